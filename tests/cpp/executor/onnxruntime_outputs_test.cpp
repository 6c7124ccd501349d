// Outputs of OnnxRuntimeExecutor whose memory is not the batch's, or whose rows are not its rows.
#include <gmock/gmock.h>

#include <thread>
#include <vector>

#include <dynbatch/onnxruntime_executor.hpp>

#include "cpp/executor/affine_model.hpp"
#include "cpp/executor/kept_outputs.hpp"
#include "cpp/executor/onnx_graph.hpp"
#include "cpp/executor/test_surroundings.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::affine;
using dynbatch::testing::affine_of;
using dynbatch::testing::KeptOutputs;
using dynbatch::testing::message_of;
using dynbatch::testing::OnnxGraph;
using dynbatch::testing::open_graph;
using dynbatch::testing::open_small;
using dynbatch::testing::rising;
using dynbatch::testing::run;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(OnnxRuntimeOutputs, OutputsWithoutMemoryAreHandedOver) {
  const auto executor = open_small("unknown_inner_output");  // y = x, of a width known only late
  EXPECT_FALSE(executor->spec().outputs[0].has_known_shape());
  const std::vector<float> x = rising(16);
  KeptOutputs kept;
  const Failure failure = run(*executor, 2, {x.data()}, {nullptr}, kept);
  ASSERT_FALSE(failure) << failure.message;
  ASSERT_EQ(kept.adopted.size(), 1U);
  EXPECT_EQ(kept.adopted[0].shape, (Shape{2, 8}));
  EXPECT_EQ(kept.adopted[0].elements<float>(), x);
}

TEST(OnnxRuntimeOutputs, HandedOverOutputsOutliveTheExecutor) {
  auto executor = open_small("unknown_inner_output");
  std::vector<float> x = rising(8);
  KeptOutputs kept;
  ASSERT_FALSE(run(*executor, 1, {x.data()}, {nullptr}, kept));
  executor.reset();
  x.assign(8, -1.0F);
  std::thread reader([&] {
    EXPECT_EQ(kept.adopted[0].elements<float>(), rising(8));
    kept.release_all();
  });
  reader.join();
}

TEST(OnnxRuntimeOutputs, KnownOutputsCanBeHandedOverToo) {
  const auto executor = open_graph(affine({"batch", 2}));
  const std::vector<float> x = {1.0F, 2.0F, 3.0F, 4.0F};
  KeptOutputs kept;
  ASSERT_FALSE(run(*executor, 2, {x.data()}, {nullptr}, kept));
  EXPECT_EQ(kept.adopted[0].elements<float>(), affine_of(x));
}

TEST(OnnxRuntimeOutputs, OutputsOfUndeclaredShapeRun) {
  const auto executor = open_graph(OnnxGraph()
                                       .input("x", DataType::float32, {"batch", 2})
                                       .node("Add", {"x", "x"}, {"y"})
                                       .output("y", DataType::float32));
  const std::vector<float> x = {1.0F, 2.0F};
  KeptOutputs kept;
  const bool known = executor->spec().outputs[0].has_known_shape();
  std::vector<float> y(2);
  ASSERT_FALSE(run(*executor, 1, {x.data()}, {known ? y.data() : nullptr}, kept));
  if (!known) y = kept.adopted[0].elements<float>();
  EXPECT_THAT(y, ElementsAre(2.0F, 4.0F));
}

TEST(OnnxRuntimeOutputs, OutputWhoseLeadingDimensionIsNotTheBatchFailsTheRun) {
  const std::vector<float> x = rising(24, 1.0F);
  for (const std::size_t rows : {1U, 2U, 3U}) {
    KeptOutputs kept;
    const auto failure_of = [&](const char* model) {
      return run(*open_small(model), rows, {x.data()}, {nullptr}, kept);
    };
    const Failure doubled = failure_of("doubled_rows");
    EXPECT_EQ(doubled.code, ErrorCode::model);
    EXPECT_THAT(doubled.message, AllOf(HasSubstr("'y'"), HasSubstr("leading dimension")));
    EXPECT_THAT(failure_of("sum_of_rows").message, HasSubstr("'y' has the shape []"));
    if (rows != 2) {
      EXPECT_THAT(failure_of("nonzero_output").message, HasSubstr("leading dimension"));
    }
    EXPECT_THAT(kept.adopted, IsEmpty());
  }
}

TEST(OnnxRuntimeOutputs, OutputThatDoesNotFitItsMemoryFailsTheRunAndOverrunsNothing) {
  const auto executor = open_small("doubled_rows");
  const std::vector<float> x = rising(8);
  std::vector<float> y(24, -1.0F);
  KeptOutputs kept;
  EXPECT_EQ(run(*executor, 1, {x.data()}, {y.data() + 8}, kept).code, ErrorCode::model);
  for (std::size_t place = 0; place < 8; ++place) EXPECT_EQ(y[place], -1.0F);
  for (std::size_t place = 16; place < 24; ++place) EXPECT_EQ(y[place], -1.0F);
}

TEST(OnnxRuntimeOutputs, InputThatIsAlsoAnOutputIsCopied) {
  const auto executor =
      open_graph(affine({"batch", 2}).output("x", DataType::float32, {"batch", 2}));
  const std::vector<float> x = {1.0F, 2.0F};
  std::vector<float> y(2);
  std::vector<float> same(2);
  KeptOutputs kept;
  const Failure failure = run(*executor, 1, {x.data()}, {y.data(), same.data()}, kept);
  ASSERT_FALSE(failure) << failure.message;
  EXPECT_EQ(same, x);
  EXPECT_EQ(y, affine_of(x));
  ASSERT_FALSE(run(*executor, 1, {x.data()}, {nullptr, nullptr}, kept));
  EXPECT_EQ(kept.adopted[1].elements<float>(), x);
  EXPECT_NE(kept.adopted[1].data, x.data());
}

TEST(OnnxRuntimeOutputs, ConstantOutputFailsTheRunAndOverrunsNothing) {
  const auto executor = open_graph(
      affine({"batch", 2}).constant("c", {7.0F, 8.0F}).output("c", DataType::float32, {2}));
  const std::vector<float> x = rising(6);
  for (const std::size_t rows : {1U, 3U}) {
    std::vector<float> y(6);
    std::vector<float> c(8, -1.0F);
    KeptOutputs kept;
    EXPECT_EQ(run(*executor, rows, {x.data()}, {y.data(), c.data()}, kept).code, ErrorCode::model);
    for (std::size_t place = rows; place < 8; ++place) EXPECT_EQ(c[place], -1.0F);
    EXPECT_THAT(run(*executor, rows, {x.data()}, {y.data(), nullptr}, kept).message,
                HasSubstr("'c' has the shape [2]"));
  }
}

TEST(OnnxRuntimeOutputs, BranchOutputsReachTheirMemory) {
  const OnnxGraph then_branch =
      OnnxGraph().node("Neg", {"x"}, {"t"}).output("t", DataType::float32, {"batch", 2});
  const OnnxGraph else_branch =
      OnnxGraph().node("Identity", {"x"}, {"e"}).output("e", DataType::float32, {"batch", 2});
  OnnxGraph graph = OnnxGraph()
                        .input("x", DataType::float32, {"batch", 2})
                        .constant("zero", {0.0F})
                        .node("ReduceSum", {"x"}, {"sum"})
                        .node("Less", {"sum", "zero"}, {"negative_row"})
                        .node("Squeeze", {"negative_row"}, {"negative"});
  const auto executor =
      open_graph(graph
                     .node("If", {"negative"}, {"y"},
                           {{"then_branch", then_branch}, {"else_branch", else_branch}})
                     .output("y", DataType::float32, {"batch", 2}));
  for (const float sign : {1.0F, -1.0F}) {
    const std::vector<float> x = {sign, 2.0F * sign};
    std::vector<float> y(2);
    KeptOutputs kept;
    const Failure failure = run(*executor, 1, {x.data()}, {y.data()}, kept);
    ASSERT_FALSE(failure) << failure.message;
    EXPECT_THAT(y, ElementsAre(1.0F, 2.0F));
  }
}

TEST(OnnxRuntimeOutputs, SharedInputThatIsAlsoAnOutputIsRefused) {
  const OnnxGraph graph = affine({"batch", 2})
                              .input("bias", DataType::float32, {2})
                              .output("bias", DataType::float32, {2});
  EXPECT_THAT(message_of([&] { open_graph(graph); }), HasSubstr("'bias' is a shared input"));
}

}  // namespace
}  // namespace dynbatch

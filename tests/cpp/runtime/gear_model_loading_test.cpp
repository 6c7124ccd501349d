// What GearModel makes of a model at load: which gears fit it, what is tried, and what it brings itself.
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include <dynbatch/error.hpp>
#include <dynbatch/gear_model.hpp>

#include "cpp/executor/affine_model.hpp"
#include "cpp/executor/test_surroundings.hpp"
#include "cpp/runtime/gear_runs.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::affine;
using dynbatch::testing::Dim;
using dynbatch::testing::floats;
using dynbatch::testing::gears_of;
using dynbatch::testing::load;
using dynbatch::testing::message_of;
using dynbatch::testing::OnnxGraph;
using dynbatch::testing::Sizes;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(GearModelLoading, FreeDimensionsWithoutGearsAreRefused) {
  EXPECT_THAT(message_of([] { load(affine({"n", 3})); }),
              AllOf(HasSubstr("'x' [n, 3]"), HasSubstr("dynbatch compile"), HasSubstr("gears=")));
}

TEST(GearModelLoading, ToldGearsThatDoNotFitAreRefused) {
  const auto refusal = [](const CompiledModel& gears) {
    return message_of([&] { load(affine({"n", 3, "h", "w"}), gears); },
                      ErrorCode::invalid_argument);
  };
  const GearKind batch = GearKind::batch;
  EXPECT_THAT(refusal(gears_of(batch, {{1}})), HasSubstr("[-1, 3, -1, -1]: expected one free"));
  EXPECT_THAT(refusal(gears_of(batch, {{1}}, {{"z", {-1, 3, 2, 2}}})), HasSubstr("'z'"));
  EXPECT_THAT(refusal(gears_of(batch, {{1}}, {{"x", {-1, 4, 2, 2}}})),
              HasSubstr("'x' [n, 3, h, w]"));
  EXPECT_THAT(refusal(gears_of(batch, {{1}}, {{"x", {-1, 3, 2}}})), HasSubstr("'x' [n, 3, h, w]"));
  EXPECT_THAT(refusal(gears_of(batch, {{1}}, {{"x", {-2, 3, 2, 2}}})), HasSubstr("'x' [-2"));
  EXPECT_THAT(refusal(gears_of(batch, {{1, 2}}, {{"x", {-1, 3, 2, 2}}})), HasSubstr("got [1, 2]"));
  EXPECT_THAT(refusal(gears_of(batch, {{0}}, {{"x", {-1, 3, 2, 2}}})), HasSubstr("got [0]"));
  EXPECT_THAT(refusal(gears_of(batch, {{2}, {2}}, {{"x", {-1, 3, 2, 2}}})), HasSubstr("twice"));
  EXPECT_THAT(refusal(gears_of(batch, {}, {{"x", {-1, 3, 2, 2}}})), HasSubstr("got 0"));
  EXPECT_THAT(refusal(gears_of(batch, {{1}, {2}}, {{"x", {1, 3, 2, 2}}})), HasSubstr("1 to 1"));
  EXPECT_THAT(refusal(gears_of(GearKind::image_size, {{2, 2}})), HasSubstr("height and width"));
  EXPECT_THAT(refusal(gears_of(GearKind::dims, {{2, 2}})), HasSubstr("3 sizes a gear"));
  EXPECT_THAT(refusal(gears_of(GearKind::lengths, {{2}})), HasSubstr("got lengths"));
}

TEST(GearModelLoading, AHundredGearsAreTakenAndNoMore) {
  std::vector<Sizes> sizes;
  for (std::int64_t size = 1; size <= 100; ++size) sizes.push_back({size});
  const GearModel model = load(affine({"n"}), gears_of(GearKind::batch, sizes));
  EXPECT_EQ(model.gears().gears.size(), 100U);
  sizes.push_back({101});
  EXPECT_THAT(message_of([&] { load(affine({"n"}), gears_of(GearKind::batch, sizes)); },
                         ErrorCode::invalid_argument),
              HasSubstr("1 to 100"));
}

TEST(GearModelLoading, GearsTooLargeToCountAreRefused) {
  EXPECT_THAT(message_of([] {
                load(affine({"n", 1024}), gears_of(GearKind::batch, {{INT64_C(1) << 60}}));
              }),
              HasSubstr("fewer or smaller"));
}

#if !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)  // these end the process instead
TEST(GearModelLoading, GearsTooLargeForMemoryAreRefused) {
  EXPECT_THAT(message_of([] {
                load(affine({"n", 1024}), gears_of(GearKind::batch, {{1}, {INT64_C(1) << 45}}));
              }),
              AllOf(HasSubstr("gear 35184372088832: no memory"), HasSubstr("fewer or smaller")));
}
#endif

TEST(GearModelLoading, OutputsWhoseShapeDependsOnValuesAreRefused) {
  const OnnxGraph graph = OnnxGraph()
                              .input("x", DataType::boolean, {"n"})
                              .node("NonZero", {"x"}, {"y"})
                              .output("y", DataType::int64, {1, "found"});
  EXPECT_THAT(message_of([&] { load(graph, gears_of(GearKind::batch, {{64}})); }),
              AllOf(HasSubstr("gear 64: output 'y'"), HasSubstr("other values"),
                    HasSubstr("shapes are constant")));
}

TEST(GearModelLoading, ToldShapesOfOutputsAreChecked) {
  CompiledModel gears = gears_of(GearKind::batch, {{2}, {1}});
  gears.outputs = {{"y", DataType::float32}};
  gears.gears[0].output_shapes = {{2, 3}};
  gears.gears[1].output_shapes = {{1, 4}};
  EXPECT_THAT(message_of([&] { load(affine({"n", 3}), gears); }),
              AllOf(HasSubstr("gear 1: output 'y' has the shape [1, 3]"), HasSubstr("[1, 4]")));
  gears.gears[1].output_shapes = {{1, 3}};
  const GearModel model = load(affine({"n", 3}), gears);
  EXPECT_EQ(model.output_bytes(0, 0), 6 * sizeof(float));
}

TEST(GearModelLoading, GearThatTheModelRefusesIsNamed) {
  const OnnxGraph graph = OnnxGraph()
                              .input("x", DataType::float32, {"n"})
                              .constant("three", {1.0F, 2.0F, 3.0F})
                              .node("Add", {"x", "three"}, {"y"})
                              .output("y", DataType::float32, {"m"});
  EXPECT_THAT(message_of([&] { load(graph, gears_of(GearKind::batch, {{3}, {5}})); }),
              AllOf(HasSubstr("gear 5"), HasSubstr("made-up inputs")));
}

/// Indices are made up of 0 and 1, and the table has one element.
OnnxGraph gather_from(const std::vector<float>& table, const Dim& indices) {
  return OnnxGraph()
      .input("i", DataType::int64, {indices})
      .constant("table", table)
      .node("Gather", {"table", "i"}, {"y"})
      .output("y", DataType::float32, {indices});
}

TEST(GearModelLoading, ModelThatTakesNoOtherIndicesIsTriedWithZeros) {
  GearModel model = load(gather_from({7.0F}, "n"), gears_of(GearKind::batch, {{64}}));
  EXPECT_GT(model.gears().gears[0].seconds, 0.0);
  const std::vector<std::int64_t> zeros(64);
  const InputView view{zeros.data(), DataType::int64, {64}};
  EXPECT_THAT(floats(model.execute({&view, 1})[0]), Each(7.0F));
  const std::vector<std::int64_t> ones(64, 1);
  const InputView wrong{ones.data(), DataType::int64, {64}};
  EXPECT_THAT(message_of([&] { model.execute({&wrong, 1}); }, ErrorCode::execution),
              HasSubstr("out of data bounds"));
}

TEST(GearModelLoading, FixedModelThatRefusesMadeUpValuesIsGoodForOthers) {
  // y[k] = table[i[k] + 2], and the table has two elements: 0 and 1 are both refused.
  GearModel model = load(OnnxGraph()
                             .input("i", DataType::int64, {2})
                             .constant("table", {7.0F, 8.0F})
                             .node("Shape", {"i"}, {"two"})
                             .node("Add", {"i", "two"}, {"at"})
                             .node("Gather", {"table", "at"}, {"y"})
                             .output("y", DataType::float32, {2}));
  const std::vector<std::int64_t> indices{-1, -2};
  const InputView view{indices.data(), DataType::int64, {2}};
  EXPECT_THAT(floats(model.execute({&view, 1})[0]), ElementsAre(8.0F, 7.0F));
  EXPECT_EQ(model.gears().gears[0].seconds, 0.0);
}

TEST(GearModelLoading, BytesThatAreNoModelAreRefused) {
  EXPECT_THAT(message_of([] { GearModel(nullptr, std::size_t{8}); }, ErrorCode::invalid_argument),
              HasSubstr("null pointer"));
  EXPECT_THAT(message_of([] { GearModel("no model", std::size_t{8}); }),
              HasSubstr("cannot load the model"));
  EXPECT_THAT(message_of([] { GearModel(std::string("no/such/file")); }),
              HasSubstr("no such file: 'no/such/file'"));
}

// Gears that a model brings.

OnnxGraph compiled_affine(const CompiledModel& gears) {
  return affine({"n", 3}).metadata(kCompiledModelKey, to_metadata(gears));
}

CompiledModel compiled_gears() {
  CompiledModel gears = gears_of(GearKind::batch, {{2}, {8}, {1}}, {{"x", {-1, 3}}});
  gears.outputs = {{"y", DataType::float32}};
  for (CompiledGear& gear : gears.gears) {
    gear.output_shapes = {{gear.sizes.front(), 3}};
    gear.seconds = 0.25;
  }
  return gears;
}

TEST(GearModelLoading, CompiledGearsAreThoseOfTheModel) {
  GearModel model = load(compiled_affine(compiled_gears()));
  EXPECT_EQ(model.dynamic_batch_size(), 8U);
  EXPECT_EQ(model.gears().gears[2].batch_size, 1U);
  EXPECT_EQ(model.gears().gears[2].seconds, 0.25);
  EXPECT_EQ(model.output_bytes(1, 0), 8 * 3 * sizeof(float));
}

TEST(GearModelLoading, ToldGearsOverrideCompiledOnes) {
  const GearModel model = load(compiled_affine(compiled_gears()), gears_of(GearKind::batch, {{5}}));
  EXPECT_EQ(model.dynamic_batch_size(), 5U);
}

TEST(GearModelLoading, CompiledGearsThatDoNotFitTheModelAreRefused) {
  CompiledModel gears = compiled_gears();
  gears.inputs[0].dtype = DataType::float16;
  EXPECT_THAT(
      message_of([&] { load(compiled_affine(gears)); }),
      AllOf(HasSubstr(kCompiledModelKey), HasSubstr("expected dtype float32, got float16")));
  gears = compiled_gears();
  gears.outputs[0].name = "z";
  EXPECT_THAT(message_of([&] { load(compiled_affine(gears)); }),
              AllOf(HasSubstr(kCompiledModelKey), HasSubstr("output 'y'")));
  gears = compiled_gears();
  gears.gears[1].output_shapes = {{8, 4}};
  EXPECT_THAT(message_of([&] { load(compiled_affine(gears)); }),
              AllOf(HasSubstr("gear 8: output 'y' has the shape [8, 3]"), HasSubstr("[8, 4]")));
}

TEST(GearModelLoading, BoundDimensionsOverrideCompiledSizes) {
  CompiledModel compiled = gears_of(GearKind::batch, {{2}, {4}}, {{"x", {-1, 10}}});
  compiled.outputs = {{"y", DataType::float32}};
  compiled.gears[0].output_shapes = {{2, 10}};
  compiled.gears[1].output_shapes = {{4, 10}};
  OnnxGraph graph = affine({"n", "sequence"});
  graph.metadata(kCompiledModelKey, to_metadata(compiled));
  OnnxRuntimeOptions options;
  options.dimensions = {{"sequence", 7}};
  const GearModel model = load(graph, options);
  EXPECT_EQ(model.compiled().input_shapes(1).front(), (Sizes{4, 7}));
  EXPECT_EQ(model.compiled().gears[1].output_shapes.front(), (Sizes{4, 7}));
  options.dimensions = {{"sequence", 10}};
  EXPECT_EQ(load(graph, options).compiled().input_shapes(1).front(), (Sizes{4, 10}));
  options.dimensions = {{"n", 4}};
  EXPECT_THAT(message_of([&] { load(graph, options); }, ErrorCode::invalid_argument),
              AllOf(HasSubstr("dimensions binds dimension 0"), HasSubstr("'x' [-1, 10]")));
}

}  // namespace
}  // namespace dynbatch

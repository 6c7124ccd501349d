// GearModel over whole tensors: which gears a model takes, how one is chosen, and what is refused.
#include <gmock/gmock.h>

#include <algorithm>
#include <span>
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
using dynbatch::testing::affine_of;
using dynbatch::testing::Dim;
using dynbatch::testing::elements_of;
using dynbatch::testing::GearRun;
using dynbatch::testing::gears_of;
using dynbatch::testing::message_of;
using dynbatch::testing::OnnxGraph;
using dynbatch::testing::rising;
using dynbatch::testing::Sizes;
using dynbatch::testing::small_model;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

GearModel load(const OnnxGraph& graph, const OnnxRuntimeOptions& options = {}) {
  const std::string bytes = graph.bytes();
  return GearModel(bytes.data(), bytes.size(), options);
}
GearModel load(const OnnxGraph& graph, CompiledModel gears,
               const OnnxRuntimeOptions& options = {}) {
  const std::string bytes = graph.bytes();
  return GearModel(bytes.data(), bytes.size(), std::move(gears), options);
}

GearModel images() {
  return load(affine({"n", 1, "h", "w"}),
              gears_of(GearKind::image_size, {{2, 3}, {4, 2}, {1, 1}}, {{"x", {2, 1, -1, -1}}}));
}

/// b = a + 1, d = c + 1: two inputs whose shapes have nothing to do with each other.
OnnxGraph two_ways() {
  return OnnxGraph()
      .input("a", DataType::float32, {"n", "m"})
      .input("c", DataType::float32, {"k"})
      .constant("one", {1.0F})
      .node("Add", {"a", "one"}, {"b"})
      .node("Add", {"c", "one"}, {"d"})
      .output("b", DataType::float32, {"n", "m"})
      .output("d", DataType::float32, {"k"});
}

/// The inputs are told in another order than the model's.
GearModel dims_of_two_ways() {
  return load(two_ways(),
              gears_of(GearKind::dims, {{5, 2}, {1, 3}}, {{"c", {-1}}, {"a", {2, -1}}}));
}

InputView view_of(const std::vector<float>& values, Shape shape) {
  return {values.data(), DataType::float32, shape};
}

std::vector<float> floats(const OutputView& output) {
  const auto* const first = static_cast<const float*>(output.data);
  return {first, first + output.size_bytes / sizeof(float)};
}

// Running.

TEST(GearModelKinds, BatchGearsRunWithExactlyTheirRows) {
  GearModel model = load(affine({"batch", 3}), gears_of(GearKind::batch, {{4}, {1}, {2}}));
  EXPECT_EQ(model.dynamic_batch_size(), 4U);
  model.set_dynamic_batch_size(2);
  const std::vector<float> values = rising(6);
  const InputView view = view_of(values, {2, 3});
  const std::vector<OutputView> outputs = model.execute({&view, 1});
  EXPECT_EQ(outputs[0].shape, (Shape{2, 3}));
  EXPECT_EQ(floats(outputs[0]), affine_of(rising(6)));
}

TEST(GearModelKinds, ImageSizesAreChosenByHeightAndWidth) {
  GearModel model = images();
  EXPECT_EQ(model.chosen_gear(), 1U) << "the largest at first";
  model.set_dynamic_image_size(2, 3);
  EXPECT_EQ(model.chosen_gear(), 0U);
  const std::vector<float> values = rising(12);
  const InputView view = view_of(values, {2, 1, 2, 3});
  EXPECT_EQ(model.execute({&view, 1})[0].shape, (Shape{2, 1, 2, 3}));
}

TEST(GearModelKinds, DimsAreThoseOfAllInputsInTheOrderTold) {
  GearModel model = dims_of_two_ways();
  model.set_input_dynamic_dims(Sizes{1, 2, 3});
  EXPECT_EQ(model.chosen_gear(), 1U);
  const std::vector<float> a = rising(6);
  const std::vector<float> c = rising(1);
  const std::vector<InputView> views{view_of(a, {2, 3}), view_of(c, {1})};
  const std::vector<OutputView> outputs = model.execute(views);
  EXPECT_EQ(outputs[0].shape, (Shape{2, 3}));
  EXPECT_EQ(outputs[1].shape, (Shape{1}));
  EXPECT_EQ(floats(outputs[0]), rising(6, 1.0F));
}

TEST(GearModelKinds, RunsInputsInTheModelsOwnOrder) {
  const GearModel model = dims_of_two_ways();
  EXPECT_EQ(model.spec().inputs[0].name, "a");
  EXPECT_EQ(model.compiled().inputs[0].name, "c");
  EXPECT_EQ(model.input_bytes(0, 0), 2 * 2 * sizeof(float));
  EXPECT_EQ(model.input_bytes(0, 1), 5 * sizeof(float));
  GearRun run(model, 0);
  ASSERT_FALSE(run.run(model));
  const auto in = elements_of<float>(run.inputs[1], run.inputs[1].size());
  auto expected = in;
  for (float& value : expected) value += 1.0F;
  EXPECT_EQ(elements_of<float>(run.outputs[1], 5 * sizeof(float)), expected);
}

TEST(GearModelKinds, BytesBehindTheGearAreUntouched) {
  const GearModel model = load(affine({"batch", 3}), gears_of(GearKind::batch, {{1}, {4}}));
  constexpr std::size_t kSpare = 36;
  GearRun run(model, 0, 1, kSpare);
  ASSERT_FALSE(run.run(model));
  const std::vector<std::byte> behind(run.outputs[0].end() - kSpare, run.outputs[0].end());
  EXPECT_THAT(behind, Each(GearRun::kUntouched));
}

TEST(GearModelKinds, OutputThatIsAnInputIsWritten) {
  const GearModel model = load(OnnxGraph()
                                   .input("x", DataType::float32, {"n"})
                                   .node("Neg", {"x"}, {"y"})
                                   .output("x", DataType::float32, {"n"})
                                   .output("y", DataType::float32, {"n"}),
                               gears_of(GearKind::dims, {{3}}));
  GearRun run(model, 0);
  ASSERT_FALSE(run.run(model));
  EXPECT_EQ(run.outputs[0], run.inputs[0]);
}

TEST(GearModelKinds, OutputThatIsAConstantIsWritten) {
  const GearModel model = load(OnnxGraph()
                                   .input("x", DataType::float32, {"n"})
                                   .constant("c", {1.0F, 2.0F})
                                   .node("Neg", {"x"}, {"y"})
                                   .output("c", DataType::float32, {2})
                                   .output("y", DataType::float32, {"n"}),
                               gears_of(GearKind::dims, {{3}}));
  GearRun run(model, 0);
  ASSERT_FALSE(run.run(model));
  EXPECT_THAT(elements_of<float>(run.outputs[0], 8), ElementsAre(1.0F, 2.0F));
}

TEST(GearModelKinds, WantedOutputsAreRunAlone) {
  const GearModel model =
      load(two_ways(), gears_of(GearKind::dims, {{1, 2, 3}}), {.outputs = {"d"}});
  ASSERT_EQ(model.compiled().outputs.size(), 1U);
  EXPECT_EQ(model.compiled().outputs[0].name, "d");
  EXPECT_THAT(model.compiled().gears[0].output_shapes, ElementsAre(Sizes{3}));
}

TEST(GearModelKinds, BoundDimensionsAreNoLongerFree) {
  const GearModel model = load(two_ways(), gears_of(GearKind::dims, {{7}}),
                               {.dimensions = {{"n", 2}}, .input_dimensions = {{{"a", 1}, 3}}});
  EXPECT_THAT(model.compiled().inputs[0].shape, ElementsAre(2, 3));
  EXPECT_THAT(model.compiled().gears[0].output_shapes, ElementsAre(Sizes{2, 3}, Sizes{7}));
}

TEST(GearModelKinds, ModelWithoutFreeDimensionsHasOneGear) {
  GearModel model = load(affine({2, 3}));
  ASSERT_EQ(model.compiled().gears.size(), 1U);
  EXPECT_EQ(model.dynamic_batch_size(), 0U);
  const std::vector<float> values = rising(6);
  const InputView view = view_of(values, {2, 3});
  EXPECT_EQ(floats(model.execute({&view, 1})[0]), affine_of(rising(6)));
  EXPECT_THAT(message_of([&] { model.set_dynamic_batch_size(2); }, ErrorCode::invalid_argument),
              HasSubstr("one gear"));
}

TEST(GearModelKinds, ScalarsAndEmptyTensorsAreTensors) {
  const GearModel model = load(OnnxGraph()
                                   .input("s", DataType::float32, {})
                                   .input("e", DataType::float32, {0, 2})
                                   .node("Neg", {"s"}, {"t"})
                                   .node("Neg", {"e"}, {"f"})
                                   .output("t", DataType::float32, {})
                                   .output("f", DataType::float32, {0, 2}));
  EXPECT_EQ(model.input_bytes(0, 0), sizeof(float));
  EXPECT_EQ(model.output_bytes(0, 1), 0U);
  const float in = 2.0F;
  float out = 0.0F;
  const void* const inputs[] = {&in, nullptr};
  void* const outputs[] = {&out, nullptr};
  const Failure failure = model.run(0, inputs, outputs);
  EXPECT_FALSE(failure) << failure.message;
  EXPECT_EQ(out, -2.0F);
}

TEST(GearModelKinds, GearsAreTimedAndTheirBytesTold) {
  const GearModel model = images();
  EXPECT_EQ(model.gears().kind, GearKind::image_size);
  ASSERT_EQ(model.gears().gears.size(), 3U);
  for (const Gear& gear : model.gears().gears) EXPECT_GT(gear.seconds, 0.0);
  EXPECT_THAT(model.gears().gears[1].sizes, ElementsAre(4, 2));
  EXPECT_EQ(model.gears().gears[1].input_bytes, 2 * 4 * 2 * sizeof(float));
  const MemoryPlan plan = model.memory_plan();
  EXPECT_EQ(plan.gears[0].output_bytes, 2 * 2 * 3 * sizeof(float));
  EXPECT_EQ(plan.total_bytes, 64U) << "the largest gear's outputs; inputs are read where they lie";
}

// Gears for a number of rows.

TEST(GearModelKinds, GearForRowsIsUpperNearestOrLower) {
  const GearModel model = load(affine({"batch"}), gears_of(GearKind::batch, {{8}, {2}, {4}}));
  EXPECT_EQ(model.gear_for(3), 4U);
  EXPECT_EQ(model.gear_for(4, GearChoice::upper), 4U);
  EXPECT_EQ(model.gear_for(1, GearChoice::upper), 2U);
  EXPECT_EQ(model.gear_for(7, GearChoice::lower), 4U);
  EXPECT_EQ(model.gear_for(100, GearChoice::lower), 8U);
  EXPECT_EQ(model.gear_for(5, GearChoice::nearest), 4U);
  EXPECT_EQ(model.gear_for(3, GearChoice::nearest), 4U) << "of two as near, the larger";
  EXPECT_EQ(model.gear_for(6, GearChoice::nearest), 8U) << "of two as near, the larger";
  EXPECT_EQ(model.gear_for(0, GearChoice::nearest), 2U);
  EXPECT_EQ(model.gear_for(1000, GearChoice::nearest), 8U);
}

TEST(GearModelKinds, RowsWithoutAGearNameTheGears) {
  const GearModel model = load(affine({"batch"}), gears_of(GearKind::batch, {{8}, {2}}));
  const ErrorCode code = ErrorCode::invalid_argument;
  EXPECT_EQ(message_of([&] { static_cast<void>(model.gear_for(9)); }, code),
            "rows: none of the gears 8, 2 holds 9 rows");
  EXPECT_EQ(message_of([&] { static_cast<void>(model.gear_for(1, GearChoice::lower)); }, code),
            "rows: none of the gears 8, 2 is filled by 1 rows");
}

// What is refused, by calls.

TEST(GearModelKinds, CallsForOtherKindsNameTheGears) {
  GearModel model = images();
  const ErrorCode code = ErrorCode::invalid_argument;
  for (const std::string& message :
       {message_of([&] { model.set_dynamic_batch_size(2); }, code),
        message_of([&] { model.set_input_dynamic_dims(Sizes{2, 1, 2, 3}); }, code),
        message_of([&] { static_cast<void>(model.gear_for(1)); }, code)}) {
    EXPECT_THAT(message,
                AllOf(HasSubstr("[2, 3], [4, 2], [1, 1]"), HasSubstr("set_dynamic_image_size")));
  }
  EXPECT_EQ(model.chosen_gear(), 1U);
}

TEST(GearModelKinds, SizesThatAreNoGearNameTheGears) {
  GearModel model = images();
  EXPECT_EQ(message_of([&] { model.set_dynamic_image_size(3, 2); }, ErrorCode::invalid_argument),
            "height, width: expected one of the gears [2, 3], [4, 2], [1, 1]; got [3, 2]");
  EXPECT_EQ(model.chosen_gear(), 1U);
}

TEST(GearModelKinds, DimsThatDoNotFitAreRefused) {
  GearModel model = dims_of_two_ways();
  const auto refusal = [&](const Sizes& dims) {
    return message_of([&] { model.set_input_dynamic_dims(dims); }, ErrorCode::invalid_argument);
  };
  EXPECT_THAT(refusal({1, 3}),
              AllOf(HasSubstr("'c' [-1], 'a' [2, -1]"), HasSubstr("3 dimensions")));
  EXPECT_THAT(refusal({1, 4, 3}), HasSubstr("only -1 may change; got [1, 4, 3]"));
  EXPECT_THAT(refusal({5, 2, 3}), HasSubstr("gears [5, 2], [1, 3]; got [5, 3]"));
}

TEST(GearModelKinds, InputsOfAnotherShapeNameTheGears) {
  GearModel model = images();
  const auto refusal = [&](const InputView& view) {
    return message_of([&] { model.execute({&view, 1}); }, ErrorCode::invalid_input);
  };
  const std::vector<float> values(12);
  EXPECT_EQ(
      refusal(view_of(values, {2, 1, 2, 3})),
      "input 'x': expected shape [2, 1, 4, 2], as in the chosen gear [4, 2] of [2, 3], [4, 2], "
      "[1, 1]; got [2, 1, 2, 3]");
  EXPECT_THAT(refusal({values.data(), DataType::int32, {2, 1, 4, 2}}),
              HasSubstr("expected dtype float32, got int32"));
  EXPECT_THAT(refusal({nullptr, DataType::float32, {2, 1, 4, 2}}), HasSubstr("null pointer"));
  EXPECT_THAT(message_of([&] { model.execute({}); }, ErrorCode::invalid_input),
              HasSubstr("expected 1 inputs, got 0"));
}

TEST(GearModelKinds, RunsWithoutMemoryFail) {
  const GearModel model = images();
  GearRun run(model, 0);
  const void* const in = run.inputs[0].data();
  void* const out = run.outputs[0].data();
  void* const nowhere = nullptr;
  EXPECT_EQ(model.run(3, {&in, 1}, {&out, 1}).message, "gear: expected an index below 3, got 3");
  EXPECT_EQ(model.run(0, {}, {&out, 1}).message, "expected 1 inputs, got 0");
  EXPECT_EQ(model.run(0, {&in, 1}, {&nowhere, 1}).message,
            "output 'y': expected 48 bytes of memory, got a null pointer");
  EXPECT_FALSE(model.run(0, {&in, 1}, {&out, 1}));
  EXPECT_EQ(model.input_bytes(3, 0), 0U);
  EXPECT_EQ(model.output_bytes(0, 1), 0U);
}

// What is refused, at load.

TEST(GearModelKinds, FreeDimensionsWithoutGearsAreRefused) {
  EXPECT_THAT(message_of([] { load(affine({"n", 3})); }),
              AllOf(HasSubstr("'x' [n, 3]"), HasSubstr("dynbatch compile"), HasSubstr("gears=")));
}

TEST(GearModelKinds, ToldGearsThatDoNotFitAreRefused) {
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

TEST(GearModelKinds, AHundredGearsAreTakenAndNoMore) {
  std::vector<Sizes> sizes;
  for (std::int64_t size = 1; size <= 100; ++size) sizes.push_back({size});
  const GearModel model = load(affine({"n"}), gears_of(GearKind::batch, sizes));
  EXPECT_EQ(model.gears().gears.size(), 100U);
  sizes.push_back({101});
  EXPECT_THAT(message_of([&] { load(affine({"n"}), gears_of(GearKind::batch, sizes)); },
                         ErrorCode::invalid_argument),
              HasSubstr("1 to 100"));
}

TEST(GearModelKinds, GearsTooLargeToCountAreRefused) {
  EXPECT_THAT(message_of([] {
                load(affine({"n", 1024}), gears_of(GearKind::batch, {{INT64_C(1) << 60}}));
              }),
              HasSubstr("fewer or smaller"));
}

#if !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)  // these end the process instead
TEST(GearModelKinds, GearsTooLargeForMemoryAreRefused) {
  EXPECT_THAT(message_of([] {
                load(affine({"n", 1024}), gears_of(GearKind::batch, {{1}, {INT64_C(1) << 45}}));
              }),
              AllOf(HasSubstr("gear 35184372088832: no memory"), HasSubstr("fewer or smaller")));
}
#endif

TEST(GearModelKinds, OutputsWhoseShapeDependsOnValuesAreRefused) {
  const OnnxGraph graph = OnnxGraph()
                              .input("x", DataType::boolean, {"n"})
                              .node("NonZero", {"x"}, {"y"})
                              .output("y", DataType::int64, {1, "found"});
  EXPECT_THAT(message_of([&] { load(graph, gears_of(GearKind::batch, {{64}})); }),
              AllOf(HasSubstr("gear 64: output 'y'"), HasSubstr("other values"),
                    HasSubstr("shapes are constant")));
}

TEST(GearModelKinds, ToldShapesOfOutputsAreChecked) {
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

TEST(GearModelKinds, GearThatTheModelRefusesIsNamed) {
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

TEST(GearModelKinds, ModelThatTakesNoOtherIndicesIsTriedWithZeros) {
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

TEST(GearModelKinds, FixedModelThatRefusesMadeUpValuesIsGoodForOthers) {
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

TEST(GearModelKinds, BytesThatAreNoModelAreRefused) {
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

TEST(GearModelKinds, CompiledGearsAreThoseOfTheModel) {
  GearModel model = load(compiled_affine(compiled_gears()));
  EXPECT_EQ(model.dynamic_batch_size(), 8U);
  EXPECT_EQ(model.gears().gears[2].batch_size, 1U);
  EXPECT_EQ(model.gears().gears[2].seconds, 0.25);
  EXPECT_EQ(model.output_bytes(1, 0), 8 * 3 * sizeof(float));
}

TEST(GearModelKinds, ToldGearsOverrideCompiledOnes) {
  const GearModel model = load(compiled_affine(compiled_gears()), gears_of(GearKind::batch, {{5}}));
  EXPECT_EQ(model.dynamic_batch_size(), 5U);
}

TEST(GearModelKinds, CompiledGearsThatDoNotFitTheModelAreRefused) {
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

TEST(GearModelKinds, DescribesItsModel) {
  const GearModel model = load(affine({2, 3}).metadata("author", "someone"));
  ASSERT_NE(model.description(), nullptr);
  EXPECT_EQ(model.description()->metadata.custom.at("author"), "someone");
}

}  // namespace
}  // namespace dynbatch

// GearModel over whole tensors: how a gear is chosen and run, and which calls are refused.
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
using dynbatch::testing::affine_of;
using dynbatch::testing::elements_of;
using dynbatch::testing::floats;
using dynbatch::testing::GearRun;
using dynbatch::testing::gears_of;
using dynbatch::testing::load;
using dynbatch::testing::message_of;
using dynbatch::testing::OnnxGraph;
using dynbatch::testing::rising;
using dynbatch::testing::Sizes;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

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

/// Three elements x; its outputs are x and -x.
GearModel load_passing_through() {
  return load(OnnxGraph()
                  .input("x", DataType::float32, {"n"})
                  .node("Neg", {"x"}, {"y"})
                  .output("x", DataType::float32, {"n"})
                  .output("y", DataType::float32, {"n"}),
              gears_of(GearKind::dims, {{3}}));
}

TEST(GearModelKinds, OutputThatIsAnInputIsWritten) {
  const GearModel model = load_passing_through();
  GearRun run(model, 0);
  ASSERT_FALSE(run.run(model));
  EXPECT_EQ(run.outputs[0], run.inputs[0]);
}

TEST(GearModelKinds, OutputThatIsAnInputSurvivesMemoryThatOverlaps) {
  const GearModel model = load_passing_through();
  std::vector<float> memory{1.0F, 2.0F, 3.0F, 4.0F};
  std::vector<float> negated(3);
  const void* const inputs[] = {memory.data()};
  void* const outputs[] = {memory.data() + 1, negated.data()};
  ASSERT_FALSE(
      model.run(0, inputs, outputs));  // AddressSanitizer tells of a copy that may not overlap
  EXPECT_THAT(memory, ElementsAre(1.0F, 1.0F, 2.0F, 3.0F));
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

TEST(GearModelKinds, DescribesItsModel) {
  const GearModel model = load(affine({2, 3}).metadata("author", "someone"));
  ASSERT_NE(model.description(), nullptr);
  EXPECT_EQ(model.description()->metadata.custom.at("author"), "someone");
}

}  // namespace
}  // namespace dynbatch

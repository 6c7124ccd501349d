#include <dynbatch/gear_model.hpp>

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include <dynbatch/error.hpp>
#include <dynbatch/synthetic_executor.hpp>

#include "cpp/runtime/float_rows.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::rows_of;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Rows = std::vector<float>;

GearModel make_model(std::vector<std::size_t> gears, SyntheticOptions options = {}) {
  options.row_elements = 1;
  return GearModel(make_synthetic_executor(std::move(options)), std::move(gears));
}

Rows execute(GearModel& model, const Rows& rows) {
  const InputView view = rows_of(rows);
  const OutputView output = model.execute({&view, 1}).at(0);
  const auto* const data = static_cast<const float*>(output.data);
  return {data, data + output.size_bytes / sizeof(float)};
}

template <class Call>
std::string error_of(ErrorCode code, Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "threw nothing";
  return "";
}

TEST(GearModel, LargestGearIsChosenAtFirst) {
  GearModel model = make_model({1, 4, 2});
  EXPECT_EQ(model.dynamic_batch_size(), 4U);
}

TEST(GearModel, ExecutesTheRowsOfTheChosenGear) {
  GearModel model = make_model({1, 2, 4});
  model.set_dynamic_batch_size(2);
  EXPECT_THAT(execute(model, {1.0F, 2.0F}), ElementsAre(3.0F, 5.0F));
  model.set_dynamic_batch_size(1);
  EXPECT_THAT(execute(model, {5.0F}), ElementsAre(11.0F));
}

TEST(GearModel, SizeThatIsNoGearIsRefusedAndNamesTheGears) {
  GearModel model = make_model({1, 4, 2});
  EXPECT_THAT(error_of(ErrorCode::invalid_argument, [&] { model.set_dynamic_batch_size(3); }),
              AllOf(HasSubstr("1, 4, 2"), HasSubstr("got 3")));
  EXPECT_EQ(model.dynamic_batch_size(), 4U);
}

TEST(GearModel, OtherNumbersOfRowsAreRefused) {
  GearModel model = make_model({4});
  EXPECT_EQ(error_of(ErrorCode::invalid_input, [&] { execute(model, {1.0F}); }),
            "expected 4 rows, the chosen gear; got 1");
}

TEST(GearModel, InputsThatDoNotFitAreRefused) {
  GearModel model = make_model({1});
  EXPECT_THAT(error_of(ErrorCode::invalid_input, [&] { model.execute({}); }),
              HasSubstr("expected 1 inputs, got 0"));
}

TEST(GearModel, FailedRunThrows) {
  GearModel model = make_model({1}, {.poison = 13.0F});
  EXPECT_THAT(error_of(ErrorCode::execution, [&] { execute(model, {13.0F}); }),
              HasSubstr("poisoned"));
  EXPECT_THAT(execute(model, {1.0F}), ElementsAre(3.0F));
}

TEST(GearModel, GearsAreChecked) {
  EXPECT_THAT(error_of(ErrorCode::invalid_argument, [] { make_model({}); }), HasSubstr("gears"));
  EXPECT_THAT(error_of(ErrorCode::invalid_argument, [] { make_model({2, 2}); }),
              HasSubstr("twice"));
  EXPECT_THAT(error_of(ErrorCode::invalid_argument, [] { make_model({0}); }), HasSubstr("got 0"));
  EXPECT_THAT(error_of(ErrorCode::invalid_argument, [] { make_model({2}, {.fixed_batch = 4}); }),
              HasSubstr("fixed to 4"));
}

TEST(GearModel, NeedsAnExecutor) {
  EXPECT_THAT(
      error_of(ErrorCode::invalid_argument, [] { GearModel(std::unique_ptr<Executor>(), {1}); }),
      HasSubstr("executor"));
}

TEST(GearModel, RunsAnyGearOnTheCallersMemory) {
  const GearModel model = make_model({1, 4, 2});
  EXPECT_EQ(model.input_bytes(2, 0), 2 * sizeof(float));
  EXPECT_EQ(model.output_bytes(2, 0), 2 * sizeof(float));
  const Rows in{1.0F, 2.0F};
  Rows out{-1.0F, -1.0F, -1.0F};
  const void* const inputs[] = {in.data()};
  void* const outputs[] = {out.data()};
  EXPECT_FALSE(model.run(2, inputs, outputs));
  EXPECT_THAT(out, ElementsAre(3.0F, 5.0F, -1.0F));
}

TEST(GearModel, FailedRunOnTheCallersMemoryTellsWhy) {
  const GearModel model = make_model({1}, {.poison = 13.0F});
  const float in = 13.0F;
  float out = 0.0F;
  const void* const inputs[] = {&in};
  void* const outputs[] = {&out};
  EXPECT_THAT(model.run(0, inputs, outputs).message, HasSubstr("poisoned"));
}

TEST(GearModel, DescribesTheGearsOfAnExecutor) {
  const GearModel model = make_model({1, 4, 2});
  const CompiledModel& compiled = model.compiled();
  EXPECT_EQ(compiled.kind, GearKind::batch);
  EXPECT_THAT(compiled.inputs[0].shape, ElementsAre(-1, 1));
  EXPECT_THAT(compiled.input_shapes(1), ElementsAre(ElementsAre(4, 1)));
  EXPECT_THAT(compiled.gears[1].output_shapes, ElementsAre(ElementsAre(4, 1)));
  EXPECT_EQ(model.chosen_gear(), 1U);
  EXPECT_EQ(model.gear_for(3), 4U);
  EXPECT_EQ(model.description(), nullptr);
}

TEST(GearModel, MemoryPlanIsThatOfTheLargestGear) {
  const GearModel model = make_model({1, 100});
  const MemoryPlan plan = model.memory_plan();
  EXPECT_EQ(plan.batch_blocks, 1U);
  EXPECT_EQ(plan.batch_block_bytes, 448U);  // 400 bytes, aligned
  EXPECT_EQ(plan.total_bytes, 2 * 448U);
  ASSERT_EQ(plan.gears.size(), 2U);
  EXPECT_EQ(plan.gears[0].input_bytes, 4U);
  EXPECT_EQ(plan.gears[1].output_bytes, 400U);
}

TEST(GearModel, GearsAreTimed) {
  const GearModel model = make_model({1, 2}, {.fixed = std::chrono::microseconds(1)});
  for (const Gear& gear : model.gears().gears) EXPECT_GT(gear.seconds, 0.0);
}

}  // namespace
}  // namespace dynbatch

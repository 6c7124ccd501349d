#include <gmock/gmock.h>

#include <stdexcept>
#include <thread>
#include <vector>

#include <dynbatch/synthetic_executor.hpp>

#include "cpp/executor/kept_outputs.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::KeptOutputs;
using dynbatch::testing::run;
using std::chrono::hours;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(SyntheticExecutor, TellsItsSpec) {
  const auto executor = make_synthetic_executor({.row_elements = 3, .fixed_batch = 4});
  const ModelSpec& spec = executor->spec();
  EXPECT_EQ(spec.inputs.at(0).name, "x");
  EXPECT_EQ(spec.inputs.at(0).row_shape, Shape{3});
  EXPECT_EQ(spec.outputs.at(0).name, "y");
  EXPECT_EQ(spec.outputs.at(0).row_bytes(), 12U);
  EXPECT_EQ(spec.fixed_batch, 4U);
  EXPECT_TRUE(executor->runs_on_callers());
  EXPECT_FALSE(make_synthetic_executor({.runs_on_callers = false})->runs_on_callers());
}

TEST(SyntheticExecutor, Computes) {
  const auto executor = make_synthetic_executor({.row_elements = 2});
  const std::vector<float> x = {0.0F, 1.0F, -2.0F, 0.5F};
  std::vector<float> y(4);
  KeptOutputs kept;
  EXPECT_FALSE(run(*executor, 2, {x.data()}, {y.data()}, kept));
  EXPECT_THAT(y, ElementsAre(1.0F, 3.0F, -3.0F, 2.0F));
}

TEST(SyntheticExecutor, BringsMemoryWhereThereIsNone) {
  const auto executor = make_synthetic_executor({.row_elements = 1});
  const std::vector<float> x = {1.0F, 2.0F};
  KeptOutputs kept;
  EXPECT_FALSE(run(*executor, 2, {x.data()}, {nullptr}, kept));
  EXPECT_EQ(kept.adopted[0].shape, (Shape{2, 1}));
  EXPECT_THAT(kept.adopted[0].elements<float>(), ElementsAre(3.0F, 5.0F));
}

TEST(SyntheticExecutor, NullExecutorLeavesOutputsAsTheyAre) {
  const auto executor = make_synthetic_executor({.row_elements = 1, .computes = false});
  const float x = 1.0F;
  float y = 42.0F;
  KeptOutputs kept;
  EXPECT_FALSE(run(*executor, 1, {&x}, {&y}, kept));
  EXPECT_EQ(y, 42.0F);
}

TEST(SyntheticExecutor, PoisonedRowFailsItsWholeRun) {
  const auto executor = make_synthetic_executor({.row_elements = 2, .poison = 13.0F});
  const std::vector<float> poisoned = {1.0F, 13.0F, 13.0F, 1.0F};  // only a first element counts
  std::vector<float> y(4);
  KeptOutputs kept;
  const Failure failure = run(*executor, 2, {poisoned.data()}, {y.data()}, kept);
  EXPECT_EQ(failure.code, ErrorCode::execution);
  EXPECT_THAT(failure.message, HasSubstr("row 1"));
  EXPECT_FALSE(run(*executor, 1, {poisoned.data()}, {y.data()}, kept));
}

TEST(SyntheticExecutor, FixedBatchRunsNoOtherSize) {
  const auto executor = make_synthetic_executor({.row_elements = 1, .fixed_batch = 2});
  const std::vector<float> x = {1.0F, 2.0F};
  std::vector<float> y(2);
  KeptOutputs kept;
  EXPECT_FALSE(run(*executor, 2, {x.data()}, {y.data()}, kept));
  EXPECT_THAT(run(*executor, 1, {x.data()}, {y.data()}, kept).message, HasSubstr("2 rows, got 1"));
}

TEST(SyntheticExecutor, ShowsEveryRunToItsObserver) {
  std::vector<std::size_t> rows;
  const auto executor = make_synthetic_executor(
      {.row_elements = 1, .on_run = [&](const Batch& batch) { rows.push_back(batch.rows); }});
  const std::vector<float> x(3);
  std::vector<float> y(3);
  KeptOutputs kept;
  EXPECT_FALSE(run(*executor, 3, {x.data()}, {y.data()}, kept));
  EXPECT_FALSE(run(*executor, 1, {x.data()}, {y.data()}, kept));
  EXPECT_THAT(rows, ElementsAre(3U, 1U));
}

TEST(SyntheticExecutor, ObserverThatThrowsFailsTheRun) {
  const auto executor =
      make_synthetic_executor({.on_run = [](const Batch&) { throw std::runtime_error("no"); }});
  const std::vector<float> x(16);
  std::vector<float> y(16);
  KeptOutputs kept;
  EXPECT_EQ(run(*executor, 1, {x.data()}, {y.data()}, kept).message, "no");
}

TEST(SyntheticExecutor, TerminateEndsRunsUnderWayAndLaterOnes) {
  const auto executor = make_synthetic_executor({.row_elements = 1, .fixed = hours(1)});
  const float x = 1.0F;
  float y = 0.0F;
  KeptOutputs kept;
  std::thread terminator([&] { executor->terminate(); });
  EXPECT_THAT(run(*executor, 1, {&x}, {&y}, kept).message, HasSubstr("terminated"));
  terminator.join();
  EXPECT_THAT(run(*executor, 1, {&x}, {&y}, kept).message, HasSubstr("terminated"));
}

TEST(SyntheticExecutor, RowsWithoutElementsRun) {
  const auto executor = make_synthetic_executor({.row_elements = 0});
  KeptOutputs kept;
  EXPECT_FALSE(run(*executor, 2, {nullptr}, {nullptr}, kept));
  EXPECT_EQ(kept.adopted[0].shape, (Shape{2, 0}));
}

}  // namespace
}  // namespace dynbatch

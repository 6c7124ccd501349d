#include "runtime/batching_plan.hpp"

#include <gmock/gmock.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>

#include <dynbatch/error.hpp>

namespace dynbatch {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// One input of 64 bytes a row and one output of 128.
ModelSpec small_model() {
  ModelSpec spec;
  spec.inputs = {{.name = "x", .dtype = DataType::float32, .row_shape = Shape{16}}};
  spec.outputs = {{.name = "y", .dtype = DataType::float32, .row_shape = Shape{32}}};
  return spec;
}

std::string refusal_of(const BatchingOptions& options, std::size_t fixed_batch = 0) {
  ModelSpec spec = small_model();
  spec.fixed_batch = fixed_batch;
  try {
    plan_batching(spec, options);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    return error.what();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

TEST(BatchingPlan, GearsArePowersOfTwoUpToThirtyTwo) {
  EXPECT_THAT(plan_batching(small_model(), {}).gears, ElementsAre(1U, 2U, 4U, 8U, 16U, 32U));
}

TEST(BatchingPlan, GearsEndAtMaxBatchSize) {
  EXPECT_THAT(plan_batching(small_model(), {.max_batch_size = 11}).gears,
              ElementsAre(1U, 2U, 4U, 8U, 11U));
  EXPECT_THAT(plan_batching(small_model(), {.max_batch_size = 1}).gears, ElementsAre(1U));
}

TEST(BatchingPlan, GearsKeepTheUsersOrderAndTellTheLargestBatch) {
  const BatchingPlan plan = plan_batching(small_model(), {.gears = {4, 16, 1}});
  EXPECT_THAT(plan.gears, ElementsAre(4U, 16U, 1U));
  EXPECT_EQ(plan.largest, 16U);
}

TEST(BatchingPlan, FixedBatchIsTheOnlyGearAndFilled) {
  ModelSpec spec = small_model();
  spec.fixed_batch = 4;
  const BatchingPlan plan = plan_batching(spec, {});
  EXPECT_THAT(plan.gears, ElementsAre(4U));
  EXPECT_TRUE(plan.filled);
}

TEST(BatchingPlan, FillsOnlyIfAsked) {
  EXPECT_FALSE(plan_batching(small_model(), {}).filled);
  EXPECT_FALSE(plan_batching(small_model(), {.fill = Fill::no}).filled);
  EXPECT_TRUE(plan_batching(small_model(), {.fill = Fill::yes}).filled);
}

TEST(BatchingPlan, MaxBatchSizeOutOfRange) {
  EXPECT_EQ(refusal_of({.max_batch_size = 0}), "max_batch_size: expected 1 to 16383, got 0");
  EXPECT_EQ(refusal_of({.max_batch_size = 16384}),
            "max_batch_size: expected 1 to 16383, got 16384");
}

TEST(BatchingPlan, GearOutOfRange) {
  EXPECT_EQ(refusal_of({.gears = {1, 0}}), "gears: expected 1 to 16383, got 0");
  EXPECT_EQ(refusal_of({.gears = {20000}}), "gears: expected 1 to 16383, got 20000");
}

TEST(BatchingPlan, GearGivenTwice) {
  EXPECT_EQ(refusal_of({.gears = {4, 1, 4}}), "gears: 4 is given twice in [4, 1, 4]");
}

TEST(BatchingPlan, MoreGearsThanAllowed) {
  BatchingOptions options;
  for (std::size_t gear = 1; gear <= 101; ++gear) options.gears.push_back(gear);
  EXPECT_EQ(refusal_of(options), "gears: expected 1 to 100 sizes, got 101");
  options.gears.pop_back();
  EXPECT_EQ(plan_batching(small_model(), options).largest, 100U);
}

TEST(BatchingPlan, MaxBatchSizeBesideGearsIsTheirLargest) {
  EXPECT_THAT(refusal_of({.max_batch_size = 16, .gears = {1, 8}}),
              AllOf(HasSubstr("max_batch_size"), HasSubstr("8 of [1, 8]"), HasSubstr("got 16")));
  EXPECT_EQ(plan_batching(small_model(), {.max_batch_size = 8, .gears = {1, 8}}).largest, 8U);
}

std::string shape_refusal_of(const ModelSpec& spec) {
  try {
    plan_batching(spec, {});
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::model);
    return error.what();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

/// 4 * 2^32 * 2^30 is 0 in 64 bits, and 4 * 2^62 * 5 is 2^64 more than 4 * 2^62.
TEST(BatchingPlan, RowsWithMoreBytesThanCanBeCountedNameTheTensor) {
  constexpr std::int64_t kOne = 1;
  ModelSpec spec = small_model();
  spec.inputs[0].row_shape = Shape{kOne << 32, kOne << 30};
  EXPECT_THAT(shape_refusal_of(spec),
              HasSubstr("input 'x': expected a row whose bytes can be counted, got "
                        "float32[4294967296, 1073741824]"));
  spec.inputs[0].shared = true;
  EXPECT_THAT(shape_refusal_of(spec), HasSubstr("input 'x'"));
  spec = small_model();
  spec.outputs[0].row_shape = Shape{kOne << 62, 5};
  EXPECT_THAT(shape_refusal_of(spec), HasSubstr("output 'y'"));
}

TEST(BatchingPlan, HugeDimensionsOfNoElementsAreNone) {
  constexpr std::int64_t kOne = 1;
  ModelSpec spec = small_model();
  spec.inputs[0].row_shape = Shape{kOne << 62, kOne << 62, 0};
  spec.outputs[0].row_shape = Shape{-1, kOne << 62, kOne << 62};
  EXPECT_EQ(plan_batching(spec, {}).largest, 32U);
}

TEST(BatchingPlan, DelayAboveTenSecondsHintsAtTheUnit) {
  EXPECT_THAT(refusal_of({.max_queue_delay = seconds(11)}),
              AllOf(HasSubstr("max_queue_delay: expected 0 to 10 seconds, got 11"),
                    HasSubstr("it is in seconds")));
  EXPECT_EQ(plan_batching(small_model(), {.max_queue_delay = seconds(10)}).largest, 32U);
}

TEST(BatchingPlan, NegativeDelay) {
  EXPECT_THAT(refusal_of({.max_queue_delay = milliseconds(-1)}),
              AllOf(HasSubstr("max_queue_delay"), HasSubstr("got -0.001")));
}

TEST(BatchingPlan, WorkersOutOfRange) {
  EXPECT_EQ(refusal_of({.workers = 0}), "workers: expected 1 to 1024, got 0");
  EXPECT_EQ(refusal_of({.workers = 1025}), "workers: expected 1 to 1024, got 1025");
}

TEST(BatchingPlan, RowToleranceIsANumberOfAtLeastZero) {
  EXPECT_THAT(refusal_of({.row_tolerance = -0.5}), HasSubstr("row_tolerance"));
  EXPECT_THAT(refusal_of({.row_tolerance = std::numeric_limits<double>::quiet_NaN()}),
              HasSubstr("row_tolerance"));
}

TEST(BatchingPlan, FixedBatchRefusesOtherGears) {
  EXPECT_THAT(refusal_of({.gears = {1, 4}}, 4),
              AllOf(HasSubstr("gears"), HasSubstr("fixed to 4"), HasSubstr("got [1, 4]")));
}

TEST(BatchingPlan, FixedBatchRefusesAnotherMaxBatchSize) {
  EXPECT_THAT(refusal_of({.max_batch_size = 8}, 4),
              AllOf(HasSubstr("max_batch_size"), HasSubstr("fixed to 4"), HasSubstr("got 8")));
}

TEST(BatchingPlan, FixedBatchCannotGoUnfilled) {
  EXPECT_THAT(refusal_of({.fill = Fill::no}, 4), AllOf(HasSubstr("fill"), HasSubstr("fixed to 4")));
}

GearTable table_of(std::initializer_list<std::pair<std::size_t, double>> times,
                   std::size_t cap = 0) {
  GearTable table;
  for (const auto& [size, time] : times)
    table.gears.push_back({.batch_size = size, .seconds = time});
  table.cap = cap;
  return table;
}

TEST(MeasuredCap, IsTheLargestGearWhereEachGearPays) {
  EXPECT_EQ(measured_cap(table_of({{1, 1.0}, {2, 1.1}, {4, 1.2}})), 4U);
}

TEST(MeasuredCap, IsOneWhereBatchingPaysNothing) {
  EXPECT_EQ(measured_cap(table_of({{1, 1.0}, {2, 2.0}, {4, 4.0}})), 1U);
}

TEST(MeasuredCap, IsTheSmallestWithinThreePercentOfTheBest) {
  EXPECT_EQ(measured_cap(table_of({{1, 1.0}, {8, 4.1}, {16, 8.0}})), 8U);
  EXPECT_EQ(measured_cap(table_of({{1, 1.0}, {8, 4.2}, {16, 8.0}})), 16U);
}

TEST(MeasuredCap, DoesNotDependOnTheOrderOfTheGears) {
  EXPECT_EQ(measured_cap(table_of({{16, 8.0}, {1, 1.0}, {8, 4.1}})), 8U);
}

TEST(MeasuredCap, LargerGearsThatCostMoreAreNotUsed) {
  EXPECT_EQ(measured_cap(table_of({{1, 1.0}, {2, 1.2}, {4, 9.0}})), 2U);
}

RuntimeSetup memory_for(const BatchingOptions& options, std::size_t cap = 8, bool merges = true) {
  const BatchingPlan plan = plan_batching(small_model(), options);
  return plan_memory(small_model(), options, plan, table_of({}, cap), merges);
}

std::string memory_refusal_of(const BatchingOptions& options) {
  try {
    memory_for(options);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    return error.what();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

constexpr std::size_t kBlockBytes = 8 * 64;

TEST(PlanMemory, QueueIsAThousandRowsByDefault) {
  EXPECT_EQ(memory_for({.workers = 2}).blocks, 1024U / 8U + 2U);
}

TEST(PlanMemory, QueueBytesBoundTheBlocks) {
  EXPECT_EQ(
      memory_for({.max_batch_size = 8, .workers = 2, .queue_bytes = 5 * kBlockBytes + 1}).blocks,
      5U);
}

TEST(PlanMemory, LeastBytesDoNotDependOnTheMeasuredCap) {
  // Batches of 8 would fit, but another load may measure a cap of 32.
  EXPECT_THAT(
      memory_refusal_of({.max_batch_size = 32, .workers = 2, .queue_bytes = 3 * kBlockBytes}),
      HasSubstr("max_batch_size=32 rows"));
}

TEST(PlanMemory, QueueCapacityIsRoundedUpToWholeBatches) {
  EXPECT_EQ(memory_for({.workers = 1, .queue_capacity = 1}).blocks, 2U);
  EXPECT_EQ(memory_for({.workers = 1, .queue_capacity = 16}).blocks, 3U);
  EXPECT_EQ(memory_for({.workers = 1, .queue_capacity = 17}).blocks, 4U);
}

TEST(PlanMemory, RequestsThatAreNotMergedTakeOneBlockEach) {
  const RuntimeSetup setup = memory_for({.workers = 1, .queue_capacity = 5}, 8, false);
  EXPECT_TRUE(setup.exclusive);
  EXPECT_EQ(setup.blocks, 6U);
}

TEST(PlanMemory, ContradictionOfCapacityAndBytesNamesBoth) {
  EXPECT_THAT(
      memory_refusal_of({.workers = 1, .queue_capacity = 64, .queue_bytes = 4 * kBlockBytes}),
      AllOf(HasSubstr("queue_capacity=64"), HasSubstr("queue_bytes=2048"),
            HasSubstr(std::to_string(9 * kBlockBytes))));
}

TEST(PlanMemory, BytesTooFewForOneBatchThatWaitsNameTheLeast) {
  EXPECT_THAT(
      memory_refusal_of({.max_batch_size = 8, .workers = 2, .queue_bytes = 2 * kBlockBytes}),
      AllOf(HasSubstr("queue_bytes=1024"),
            HasSubstr("at least " + std::to_string(3 * kBlockBytes))));
}

TEST(PlanMemory, CapacityOfZeroRows) {
  EXPECT_EQ(memory_refusal_of({.queue_capacity = 0}),
            "queue_capacity: expected at least 1 row, got 0");
}

TEST(PlanMemory, CapacityBeyondTheLargestQueue) {
  EXPECT_THAT(memory_refusal_of({.workers = 1, .queue_capacity = 40000}),
              AllOf(HasSubstr("queue_capacity: expected at most 32760"), HasSubstr("got 40000")));
  EXPECT_THAT(memory_refusal_of({.workers = 1, .queue_capacity = SIZE_MAX}),
              HasSubstr("queue_capacity: expected at most 32760"));
  EXPECT_THAT(memory_refusal_of({.workers = 1, .queue_capacity = SIZE_MAX, .queue_bytes = 1 << 20}),
              HasSubstr("queue_capacity"));
}

TEST(PlanMemory, HugeQueueBytesAreCutToTheLargestQueue) {
  EXPECT_EQ(memory_for({.workers = 1, .queue_bytes = SIZE_MAX}).blocks, 1024U / 8U + 1U);
}

TEST(PlanMemory, RowsWaitInBlocksOfTheCap) {
  EXPECT_EQ(memory_for({.max_batch_size = 32}, 4).block_rows, 4U);
}

TEST(PlanMemory, EachWorkerHasAnOutputBlockBesideThoseThatAreLent) {
  const RuntimeSetup setup = memory_for({.workers = 3});
  EXPECT_GE(setup.output_blocks, 2 * setup.workers);
}

/// Eight blocks of 2^61 bytes: their product is 0 in 64 bits.
TEST(PlanMemory, BatchWithMoreBytesThanCanBeCounted) {
  ModelSpec spec = small_model();
  spec.inputs[0].row_shape = Shape{std::int64_t{1} << 54};
  const BatchingOptions options{.workers = 7, .queue_bytes = 1 << 20};
  const BatchingPlan plan = plan_batching(spec, options);
  try {
    plan_memory(spec, options, plan, {.cap = plan.largest}, true);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::model);
    EXPECT_THAT(error.what(), HasSubstr("use a smaller max_batch_size"));
  }
}

}  // namespace
}  // namespace dynbatch

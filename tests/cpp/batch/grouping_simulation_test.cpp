// What follows of choosing batch after batch: nothing starves, and padding costs less than by arrival.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "batch/grouping.hpp"
#include "cpp/batch/grouping_cases.hpp"

namespace dynbatch {
namespace {

using namespace dynbatch::testing;

/// One runner and what waits for it. Batches are counted; time is that of the cost table.
class Queue {
 public:
  Queue(GroupLimits limits, CostTable cost) : limits_(limits), cost_(std::move(cost)) {}

  void arrive(std::int64_t length) {
    candidates_.push_back({.rows = 1, .sizes = {length}});
    waits_.push_back({.batches_before = batches_, .older = waits_.size()});
  }

  /// Runs the batch that is chosen, and holds each of its requests against the bound: a batch for each older
  /// request that waited, and its own.
  void run() {
    const Indices batch = chosen(grouping_, candidates_, limits_, cost_);
    now_ += cost_of(candidates_, batch, limits_, cost_);
    ++batches_;
    for (auto index = batch.rbegin(); index != batch.rend(); ++index) {
      const auto at = static_cast<std::ptrdiff_t>(*index);
      const Wait& wait = waits_[*index];
      EXPECT_LE(batches_ - wait.batches_before, wait.older + 1);
      most_batches_ = std::max(most_batches_, batches_ - wait.batches_before);
      overtaken_ += *index >= batch.size() ? 1 : 0;
      candidates_.erase(candidates_.begin() + at);
      waits_.erase(waits_.begin() + at);
    }
  }

  std::size_t waiting() const { return candidates_.size(); }
  double now() const { return now_; }
  void wait_until(double time) { now_ = std::max(now_, time); }
  std::size_t overtaken() const { return overtaken_; }
  std::size_t most_batches() const { return most_batches_; }

 private:
  struct Wait {
    std::size_t batches_before = 0;
    std::size_t older = 0;
  };

  GroupLimits limits_;
  CostTable cost_;
  Grouping grouping_;
  std::vector<GroupCandidate> candidates_;  // oldest first
  std::vector<Wait> waits_;                 // of the same
  double now_ = 0.0;
  std::size_t batches_ = 0;
  std::size_t most_batches_ = 0;
  std::size_t overtaken_ = 0;  // runs of a request while an older one waits on
};

TEST(GroupingSimulation, RandomArrivalsWaitForNoMoreBatchesThanThereAreOlderRequests) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    std::lognormal_distribution<double> length(3.4, 0.7);
    std::exponential_distribution<double> gap(1.0 /
                                              60.0);  // about as fast as a batch of 8 takes them
    Queue queue({.largest_rows = 8, .dimensions = 1}, affine_cost(100));
    double next = 0.0;
    for (int arrivals = 0; arrivals < 1000;) {
      if (queue.waiting() == 0) queue.wait_until(next);
      for (; next <= queue.now(); next += gap(random), ++arrivals)
        queue.arrive(1 + std::lround(length(random)));
      queue.run();
    }
    while (queue.waiting() > 0) queue.run();
    EXPECT_GT(queue.overtaken(), 0U);
  }
}

TEST(GroupingSimulation, LongRequestsAreNotStarvedByAStreamOfShortOnes) {
  // Short ones stand ready for full batches at all times, and a long one is dearer than all that is visible.
  Queue queue({.largest_rows = 8, .dimensions = 1}, affine_cost(10));
  std::size_t arrivals = 0;
  for (int turn = 0; turn < 500; ++turn) {
    while (queue.waiting() < 100) queue.arrive(++arrivals % 50 == 0 ? 10000 : 10);
    queue.run();
  }
  EXPECT_GT(queue.overtaken(), 0U);
  EXPECT_LE(queue.most_batches(), 100U);
}

/// All that waits, run to its end.
double seconds_by_cost(std::vector<GroupCandidate> waiting, const GroupLimits& limits,
                       const CostTable& cost) {
  Grouping grouping;
  double seconds = 0.0;
  while (!waiting.empty()) {
    const Indices batch = chosen(grouping, waiting, limits, cost);
    seconds += cost_of(waiting, batch, limits, cost);
    for (auto index = batch.rbegin(); index != batch.rend(); ++index)
      waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(*index));
  }
  return seconds;
}

double seconds_by_arrival(const std::vector<GroupCandidate>& waiting, const GroupLimits& limits,
                          const CostTable& cost) {
  double seconds = 0.0;
  for (std::size_t begin = 0; begin < waiting.size(); begin += limits.largest_rows) {
    Indices batch;
    for (std::size_t i = begin; i < std::min(waiting.size(), begin + limits.largest_rows); ++i)
      batch.push_back(static_cast<std::uint16_t>(i));
    seconds += cost_of(waiting, batch, limits, cost);
  }
  return seconds;
}

/// Rows a second of callers who ask again as soon as they are answered.
double closed_loop(std::vector<std::int64_t> lengths, const GroupLimits& limits,
                   const CostTable& cost) {
  Grouping grouping;
  std::vector<GroupCandidate> waiting;
  for (const std::int64_t length : lengths) waiting.push_back({.rows = 1, .sizes = {length}});
  double seconds = 0.0;
  std::size_t rows = 0;
  for (int batches = 0; batches < 400; ++batches) {
    const Indices batch = chosen(grouping, waiting, limits, cost);
    seconds += cost_of(waiting, batch, limits, cost);
    rows += batch.size();
    std::vector<GroupCandidate> again;
    for (const std::uint16_t index : batch) again.push_back(waiting[index]);
    for (auto index = batch.rbegin(); index != batch.rend(); ++index)
      waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(*index));
    waiting.insert(waiting.end(), again.begin(), again.end());
  }
  return static_cast<double>(rows) / seconds;
}

TEST(GroupingSimulation, ShorterRunsCostLittleOfTheRate) {
  const std::vector<std::size_t> filled{8};
  for (const double fixed : {1.0, 20.0, 100.0, 400.0}) {
    for (std::size_t callers = 2; callers <= 40; ++callers) {
      for (const bool alike : {true, false}) {
        SCOPED_TRACE(::testing::Message() << callers << " callers, " << fixed << ", " << alike);
        std::mt19937_64 random(callers);
        std::lognormal_distribution<double> length(3.4, 0.7);
        std::vector<std::int64_t> lengths;
        for (std::size_t i = 0; i < callers; ++i)
          lengths.push_back(alike ? 30 : 1 + std::lround(length(random)));
        GroupLimits limits{.largest_rows = 8, .dimensions = 1};
        for (const bool fills : {false, true}) {
          if (fills) limits.batch_gears = filled;
          limits.tolerance = 0.0;
          const double best = closed_loop(lengths, limits, affine_cost(fixed));
          limits.tolerance = 0.03;
          const double shorter = closed_loop(lengths, limits, affine_cost(fixed));
          EXPECT_GE(shorter, (alike ? 0.96 : 0.93) * best);
        }
      }
    }
  }
}

struct CostCase {
  const char* name;
  double fixed;  // of a run, in elements
};

void PrintTo(const CostCase& one, std::ostream* out) { *out << one.name; }

class LognormalLengths : public ::testing::TestWithParam<CostCase> {};

TEST_P(LognormalLengths, NeverCostMoreThanByArrival) {
  const CostTable cost = affine_cost(GetParam().fixed);
  for (const std::uint32_t largest : {8U, 16U, 32U}) {
    double by_cost = 0.0;
    double by_arrival = 0.0;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
      SCOPED_TRACE(::testing::Message() << "seed " << seed << ", largest " << largest);
      std::mt19937_64 random(seed);
      std::lognormal_distribution<double> length(3.4, 0.7);  // the median is 30
      std::vector<GroupCandidate> waiting(Grouping::kLookAhead);
      for (GroupCandidate& one : waiting) {
        one.rows = 1;
        one.sizes[0] = std::clamp<std::int64_t>(std::lround(length(random)), 1, 256);
      }
      const GroupLimits limits{.largest_rows = largest, .dimensions = 1};
      const double grouped = seconds_by_cost(waiting, limits, cost);
      const double arrived = seconds_by_arrival(waiting, limits, cost);
      ASSERT_LE(grouped, arrived * (1.0 + 1e-8));
      by_cost += grouped;
      by_arrival += arrived;
    }
    RecordProperty("by_arrival_over_by_cost_" + std::to_string(largest),
                   std::to_string(by_arrival / by_cost));
  }
}

INSTANTIATE_TEST_SUITE_P(Costs, LognormalLengths,
                         ::testing::Values(CostCase{"RunsAreDear", 1000},
                                           CostCase{"RunsAreMiddling", 100},
                                           CostCase{"RunsAreCheap", 10}),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace dynbatch

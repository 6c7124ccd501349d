// Whether a batcher keeps the lone runs that its executor offers, by what it measures.
#include <gmock/gmock.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <dynbatch/batcher.hpp>

#include "base/platform.hpp"
#include "cpp/runtime/custom_executor.hpp"
#include "cpp/runtime/float_rows.hpp"
#include "cpp/runtime/shaped_executor.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::add_one;
using dynbatch::testing::CustomExecutor;
using dynbatch::testing::rows_of;

/// Computes until so much time has passed.
void take(Nanoseconds time) {
  for (const Nanoseconds end = StdPlatform::now() + time; StdPlatform::now() < end;) {
  }
}

/// A batcher whose runs take so long alone and otherwise, and what its executor was told.
struct Offered {
  Offered(Nanoseconds shared, Nanoseconds alone) {
    auto made = std::make_unique<CustomExecutor>([=](const Batch& batch, RunOutputs&) {
      take(batch.alone ? alone : shared);
      return add_one(batch);
    });
    made->offer_lone_runs();
    executor = made.get();
    batcher.emplace(std::move(made), BatchingOptions{.gears = {1, 4}, .workers = 2});
  }
  void infer() {
    const std::vector<float> rows(1);
    const InputView view = rows_of(rows);
    batcher->infer({&view, 1});
  }

  const CustomExecutor* executor = nullptr;  // the batcher's
  std::optional<Batcher> batcher;
};

constexpr Nanoseconds kShort = 10'000;
constexpr Nanoseconds kLong = 2'000'000;

TEST(BatcherLone, RunsThatGainAreKept) {
  Offered offered(kLong, kShort);
  EXPECT_EQ(offered.executor->kept_lone_runs(), true);
  offered.infer();
  EXPECT_EQ(offered.batcher->stats().runs_alone, 1U);
  const Gear& gear = offered.batcher->gears().gears.front();
  EXPECT_GT(gear.seconds, *gear.seconds_alone);
}

TEST(BatcherLone, RunsThatDoNotGainAreDroppedButTheirTimesAreTold) {
  Offered offered(kShort, kLong);
  EXPECT_EQ(offered.executor->kept_lone_runs(), false);
  offered.infer();
  EXPECT_EQ(offered.batcher->stats().runs_alone, 0U);
  EXPECT_TRUE(offered.batcher->gears().gears.front().seconds_alone.has_value());
}

/// The same where rows differ in length: alone those of so many elements or more are fast, and all others far
/// slower, so that a busy machine does not make them look faster.
struct OfferedLines {
  explicit OfferedLines(std::int64_t fast_from) {
    auto made =
        std::make_unique<testing::ShapedExecutor>(testing::lines(), [=](testing::ShapedRun& run) {
          const Nanoseconds alone = run.shape(0)[1] >= fast_from ? kShort : 5 * kLong;
          take(run.batch.alone ? alone : kLong);
          return testing::twice(run);
        });
    made->offer_lone_runs();
    executor = made.get();
    BatchingOptions options{.gears = {1, 2}, .workers = 2};
    options.lengths["length"] = {.largest = 64};
    batcher.emplace(std::move(made), options);
  }
  void infer(std::size_t length) {
    const std::vector<float> row(length);
    const InputView view = rows_of(row, length);
    batcher->infer({&view, 1});
  }

  const testing::ShapedExecutor* executor = nullptr;  // the batcher's
  std::optional<Batcher> batcher;
};

TEST(BatcherLone, OfRowsOfDifferentLengthsThoseThatGainRunWithAllCpus) {
  OfferedLines offered(16);
  EXPECT_EQ(offered.executor->kept_lone_runs(), true);
  offered.infer(8);
  EXPECT_EQ(offered.batcher->stats().runs_alone, 0U);
  offered.infer(20);
  EXPECT_EQ(offered.batcher->stats().runs_alone, 1U);
}

TEST(BatcherLone, LinesThatDoNotGainRunLikeAnyOther) {
  OfferedLines offered(1000);
  EXPECT_EQ(offered.executor->kept_lone_runs(), false);
  offered.infer(64);
  EXPECT_EQ(offered.batcher->stats().runs_alone, 0U);
}

}  // namespace
}  // namespace dynbatch

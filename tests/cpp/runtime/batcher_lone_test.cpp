// Whether a batcher keeps the lone runs that its executor offers, by what it measures.
#include <gmock/gmock.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <dynbatch/batcher.hpp>

#include "base/platform.hpp"
#include "cpp/runtime/custom_executor.hpp"
#include "cpp/runtime/float_rows.hpp"

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

}  // namespace
}  // namespace dynbatch

// Batchers over rows of different lengths under stress: threads with random requests that are cancelled,
// expire, fail, and are closed upon. Every answer is checked by its content, and the accounts balance.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <dynbatch/batcher.hpp>

#include "cpp/runtime/custom_executor.hpp"
#include "cpp/runtime/shaped_executor.hpp"
#include "stress/stress_run.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::base_seed;
using dynbatch::testing::failed;
using dynbatch::testing::FloatTensor;
using dynbatch::testing::lines;
using dynbatch::testing::scaled;
using dynbatch::testing::ShapedExecutor;
using dynbatch::testing::ShapedRun;
using dynbatch::testing::twice;
using dynbatch::testing::Watchdog;
using std::chrono::microseconds;

constexpr float kPoison = -1.0F;

enum class Closes : std::uint8_t { at_rest, draining, cancelling };

struct Setting {
  const char* name;
  std::vector<std::int64_t> gears;  // of lengths; none: padded to the longest, or not at all
  bool pads = true;
  Fill fill = Fill::automatic;
  std::size_t workers = 1;
  std::size_t set_size = 1;
  std::size_t queue_capacity = 16;
  std::size_t queue_bytes = std::size_t{1} << 20;
  bool fails = false;
  bool gives_up = false;
  bool delays = false;
  Closes closes = Closes::at_rest;
};

void PrintTo(const Setting& setting, std::ostream* out) { *out << setting.name; }

class StagedStress : public ::testing::TestWithParam<Setting> {
 protected:
  struct Pending {
    Shape shape;
    std::vector<float> values;
    bool poisoned = false;
    Ticket ticket;
  };

  static BatchingOptions options(const Setting& setting) {
    BatchingOptions options;
    options.max_batch_size = 4;
    if (setting.pads) options.lengths["length"] = {.gears = setting.gears};
    options.fill = setting.fill;
    options.batching = Batching::always;
    options.workers = setting.workers;
    options.set_size = setting.set_size;
    options.queue_capacity = setting.queue_capacity;
    options.queue_bytes = setting.queue_bytes;
    options.verify = false;
    return options;
  }

  /// y = 2 x; fails with a poisoned element, and tells of more runs at a time than there are workers.
  Failure run(ShapedRun& run) {
    if (inside_.fetch_add(1) >= static_cast<int>(GetParam().workers)) crowded_ = true;
    bool poisoned = false;
    std::size_t elements = 1;
    for (const std::int64_t dim : run.shape(0).dims()) elements *= static_cast<std::size_t>(dim);
    for (std::size_t i = 0; i < elements; ++i) poisoned = poisoned || run.input(0)[i] == kPoison;
    Failure failure = poisoned ? failed("poison") : twice(run);
    --inside_;
    return failure;
  }

  Pending fill(std::mt19937_64& random) const {
    Pending request;
    const bool large = random() % 32 == 0;
    const auto rows = static_cast<std::int64_t>(large ? random() % 20 : random() % 4);
    const auto length = static_cast<std::int64_t>(1 + random() % (random() % 8 == 0 ? 64 : 12));
    request.shape = Shape{rows, length};
    request.values.resize(static_cast<std::size_t>(rows * length));
    for (float& value : request.values) value = static_cast<float>(1 + random() % 100'000);
    if (GetParam().fails && random() % 64 == 0 && !request.values.empty()) {
      request.values[random() % request.values.size()] = kPoison;
      request.poisoned = true;
    }
    return request;
  }

  void settle(Pending& request) {
    request.ticket.wait();
    ++progress_;
    const ErrorCode code = request.ticket.code();
    ++ends_.at(static_cast<std::size_t>(code));
    if (!request.ticket.accepted() || code != ErrorCode::none) return;
    if (request.poisoned) ++wrong_;
    const OutputView view = request.ticket.output(0);
    if (!(view.shape == request.shape)) {
      ++wrong_;
      return;
    }
    const auto* const y = static_cast<const float*>(view.data);
    for (std::size_t i = 0; i < request.values.size(); ++i)
      if (y[i] != 2.0F * request.values[i]) ++wrong_;
  }

  void make_requests(Batcher& batcher, std::uint64_t seed, std::uint64_t count) {
    const Setting& setting = GetParam();
    std::mt19937_64 random(seed);
    std::vector<Pending> pending;
    for (std::uint64_t i = 0; i < count && !batcher.closed(); ++i) {
      Pending& request = pending.emplace_back(fill(random));
      SubmitOptions how{.on_full = random() % 2 == 0 ? OnFull::wait : OnFull::raise};
      if (setting.gives_up && random() % 4 == 0) how.timeout = microseconds(random() % 200);
      const InputView view{request.values.data(), DataType::float32, request.shape};
      request.ticket =
          random() % 2 == 0 ? batcher.infer({&view, 1}, how) : batcher.submit({&view, 1}, how);
      if (request.ticket.accepted()) ++accepted_;
      if (setting.delays && random() % 16 == 0)
        batcher.set_max_queue_delay(microseconds(random() % 3 * 50));
      if (setting.gives_up && random() % 4 == 0) {
        Pending& any = pending[random() % pending.size()];
        if (random() % 2 == 0)
          any.ticket.cancel();
        else
          any.ticket.expire();
      }
      while (pending.size() > random() % 16) {
        std::swap(pending[random() % pending.size()], pending.back());
        settle(pending.back());
        pending.pop_back();
      }
    }
    for (Pending& request : pending) settle(request);
  }

  std::atomic<int> inside_{0};
  std::atomic<bool> crowded_{false};
  std::atomic<std::uint64_t> progress_{0};
  std::atomic<std::uint64_t> accepted_{0};
  std::atomic<std::uint64_t> wrong_{0};
  std::array<std::atomic<std::uint64_t>, 16> ends_{};
};

TEST_P(StagedStress, EveryRequestGetsItsOwnAndEndsOnce) {
  SCOPED_TRACE(::testing::Message() << "--seed=" << base_seed);
  const Setting& setting = GetParam();
  Batcher batcher(
      std::make_unique<ShapedExecutor>(lines(), [this](ShapedRun& run) { return this->run(run); }),
      options(setting));
  {
    const Watchdog watchdog([this] { return progress_.load(); },
                            [&batcher] {
                              const Stats stats = batcher.stats();
                              return std::to_string(stats.in_flight) + " requests in flight";
                            });
    std::vector<std::thread> threads;
    for (std::uint64_t thread = 0; thread < 4; ++thread) {
      threads.emplace_back([this, &batcher, thread] {
        make_requests(batcher, base_seed * 10 + thread, scaled(4000));
      });
    }
    if (setting.closes != Closes::at_rest) {
      while (progress_ < scaled(2000)) std::this_thread::yield();
      batcher.close(setting.closes == Closes::draining);
    }
    for (std::thread& thread : threads) thread.join();
    batcher.close(true);
  }
  EXPECT_EQ(wrong_, 0U);
  EXPECT_FALSE(crowded_);
  const Stats stats = batcher.stats();
  EXPECT_EQ(stats.accepted, accepted_);
  dynbatch::testing::requests_of_all_tests += stats.accepted;
  EXPECT_EQ(stats.accepted, stats.succeeded + stats.failed + stats.cancelled + stats.timed_out);
  EXPECT_EQ(stats.succeeded, ends_[static_cast<std::size_t>(ErrorCode::none)]);
  EXPECT_EQ(stats.in_flight, 0U);
  if (!setting.fails) {
    EXPECT_EQ(stats.failed, 0U);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Settings, StagedStress,
    ::testing::Values(
        Setting{.name = "PaddedToLongest"},
        Setting{.name = "EqualShapes", .pads = false, .workers = 2},
        Setting{.name = "Gears", .gears = {4, 16, 64}, .workers = 2, .gives_up = true},
        Setting{.name = "FilledGears", .gears = {4, 16, 64}, .fill = Fill::yes, .fails = true},
        Setting{.name = "TinyQueue", .queue_capacity = 1, .gives_up = true, .delays = true},
        Setting{.name = "FewBytes", .workers = 2, .queue_bytes = 4096, .gives_up = true},
        Setting{.name = "GatheredAhead", .workers = 2, .set_size = 2, .fails = true},
        Setting{.name = "Everything",
                .workers = 3,
                .set_size = 2,
                .fails = true,
                .gives_up = true,
                .delays = true},
        Setting{.name = "DrainedInFlight",
                .workers = 2,
                .set_size = 2,
                .fails = true,
                .delays = true,
                .closes = Closes::draining},
        Setting{.name = "ClosedInFlight",
                .workers = 2,
                .fails = true,
                .gives_up = true,
                .closes = Closes::cancelling}),
    [](const auto& setting) { return std::string(setting.param.name); });

}  // namespace
}  // namespace dynbatch

int main(int argc, char** argv) { return dynbatch::testing::run_stress(argc, argv); }

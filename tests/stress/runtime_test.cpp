// Stress of the whole batcher: real threads, random requests, everything that can go wrong at once.
// A run without progress for 20 s prints where it stands and aborts.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "cpp/runtime/custom_executor.hpp"
#include "stress/stress_run.hpp"
#include "stress/stressed_batcher.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::base_seed;
using dynbatch::testing::Closes;
using dynbatch::testing::Fails;
using dynbatch::testing::scaled;
using dynbatch::testing::Setting;
using dynbatch::testing::StressedBatcher;
using dynbatch::testing::Waits;
using std::chrono::microseconds;

void print_replay() {
  const auto* const test = ::testing::UnitTest::GetInstance()->current_test_info();
  std::printf("DYNBATCH_STRESS_SCALE=%g stress_runtime_test --seed=%llu --gtest_filter=%s.%s\n",
              dynbatch::testing::stress_scale(),
              static_cast<unsigned long long>(dynbatch::testing::base_seed),
              test->test_suite_name(), test->name());
}

class RuntimeStress : public ::testing::TestWithParam<Setting> {};

TEST_P(RuntimeStress, EveryRequestEndsOnceAndRight) {
  print_replay();
  const Setting& setting = GetParam();
  if (setting.closes == Closes::at_rest) {
    StressedBatcher batcher(setting, base_seed);
    batcher.run(scaled(setting.requests));
    batcher.expect_rest();
    std::printf("%s; %.0f requests/s\n", batcher.describe().c_str(),
                static_cast<double>(batcher.made()) / batcher.seconds());
    return;
  }
  constexpr std::uint64_t kRequestsOfARound = 600;
  std::mt19937_64 random(base_seed);
  const std::uint64_t rounds = scaled(setting.requests / kRequestsOfARound);
  for (std::uint64_t round = 0; round < rounds && !HasFailure(); ++round) {
    StressedBatcher batcher(setting, base_seed + round);
    batcher.run(kRequestsOfARound, random() % (2 * kRequestsOfARound));
    batcher.expect_rest();
    if (HasFailure()) std::printf("round %llu: ", static_cast<unsigned long long>(round));
    if (HasFailure() || round + 1 == rounds) std::printf("%s\n", batcher.describe().c_str());
  }
}

INSTANTIATE_TEST_SUITE_P(
    Settings, RuntimeStress,
    ::testing::Values(
        Setting{.name = "OneWorker"}, Setting{.name = "TwoWorkers", .workers = 2},
        Setting{.name = "FourWorkers", .workers = 4, .threads = 6, .observed = true},
        Setting{.name = "Pipelined",
                .requests = 100'000,
                .threads = 2,
                .max_batch_size = 32,
                .queue_capacity = 1024,
                .waits = Waits::pipelined},
        Setting{.name = "PipelinedOnTwoWorkers",
                .requests = 100'000,
                .workers = 2,
                .threads = 3,
                .max_batch_size = 32,
                .queue_capacity = 1024,
                .waits = Waits::pipelined,
                .observed = true},
        Setting{.name = "PipelinedAndGivingUp",
                .requests = 60'000,
                .workers = 2,
                .threads = 2,
                .max_batch_size = 16,
                .queue_capacity = 256,
                .waits = Waits::pipelined,
                .gives_up = true},
        Setting{.name = "PipelinedInATinyQueue",
                .requests = 60'000,
                .threads = 2,
                .waits = Waits::pipelined},
        Setting{.name = "PipelinedAndPoisoned",
                .requests = 60'000,
                .workers = 2,
                .threads = 3,
                .max_batch_size = 16,
                .queue_capacity = 256,
                .waits = Waits::pipelined,
                .fails = Fails::poison},
        Setting{.name = "Announced",
                .requests = 100'000,
                .threads = 2,
                .max_batch_size = 32,
                .queue_capacity = 1024,
                .waits = Waits::announced},
        Setting{.name = "AnnouncedAndGivingUp",
                .requests = 60'000,
                .workers = 3,
                .threads = 3,
                .max_batch_size = 8,
                .queue_capacity = 64,
                .waits = Waits::announced,
                .fails = Fails::anything,
                .gives_up = true},
        Setting{.name = "TinyQueue", .workers = 1, .max_batch_size = 2, .queue_capacity = 1},
        Setting{.name = "BatchesOfOne", .workers = 2, .max_batch_size = 1, .queue_capacity = 2},
        Setting{.name = "Delays", .workers = 2, .delays = true},
        Setting{.name = "DelaysAndFourWorkers", .workers = 4, .queue_capacity = 64, .delays = true},
        Setting{.name = "DelaysWhilePipelined",
                .requests = 60'000,
                .workers = 2,
                .threads = 2,
                .max_batch_size = 16,
                .queue_capacity = 256,
                .waits = Waits::pipelined,
                .delays = true},
        Setting{.name = "GivingUp", .workers = 2, .gives_up = true, .observed = true},
        Setting{.name = "Failing", .workers = 2, .fails = Fails::anything},
        Setting{
            .name = "FailingAndFilled", .workers = 2, .gears = {4, 8}, .fails = Fails::anything},
        Setting{.name = "Poisoned", .workers = 1, .fails = Fails::poison},
        Setting{.name = "PoisonedAndFilled", .workers = 2, .gears = {4, 8}, .fails = Fails::poison},
        Setting{.name = "Filled", .workers = 1, .gears = {3, 7}, .gives_up = true},
        Setting{.name = "Adopted",
                .workers = 2,
                .fails = Fails::anything,
                .gives_up = true,
                .adopts = true},
        Setting{.name = "Exclusive", .workers = 2, .batching = Batching::off, .gives_up = true},
        Setting{
            .name = "SharedInputs", .workers = 2, .shared = true, .delays = true, .gives_up = true},
        Setting{.name = "SharedInputsInATinyQueue",
                .workers = 1,
                .queue_capacity = 1,
                .fails = Fails::anything,
                .shared = true,
                .delays = true},
        Setting{.name = "LentWorkers", .workers = 2, .gives_up = true, .own_workers = false},
        Setting{.name = "CallersAlone",
                .requests = 30'000,
                .queue_capacity = 64,
                .waits = Waits::blocking,
                .own_workers = false,
                .callers_only = true},
        Setting{.name = "CallersAloneGivingUp",
                .workers = 2,
                .queue_capacity = 64,
                .waits = Waits::blocking,
                .gives_up = true,
                .own_workers = false,
                .callers_only = true},
        Setting{.name = "Everything",
                .workers = 3,
                .threads = 6,
                .queue_capacity = 16,
                .fails = Fails::anything,
                .delays = true,
                .gives_up = true,
                .adopts = true,
                .observed = true},
        Setting{.name = "Notices",
                .workers = 2,
                .max_batch_size = 2,
                .queue_capacity = 2,
                .notices = true},
        Setting{.name = "NoticesOfEverything",
                .workers = 2,
                .threads = 6,
                .max_batch_size = 4,
                .queue_capacity = 4,
                .fails = Fails::anything,
                .delays = true,
                .gives_up = true,
                .notices = true},
        Setting{.name = "NoticesOfKeys",
                .workers = 1,
                .max_batch_size = 4,
                .queue_capacity = 4,
                .shared = true,
                .delays = true,
                .notices = true},
        Setting{.name = "NoticesWhileClosing",
                .requests = 12'000,
                .workers = 2,
                .max_batch_size = 2,
                .queue_capacity = 2,
                .delays = true,
                .notices = true,
                .closes = Closes::draining},
        Setting{.name = "DrainedInFlight",
                .requests = 12'000,
                .workers = 2,
                .delays = true,
                .gives_up = true,
                .closes = Closes::draining},
        Setting{.name = "ClosedInFlight",
                .requests = 12'000,
                .workers = 2,
                .fails = Fails::anything,
                .delays = true,
                .gives_up = true,
                .closes = Closes::cancelling},
        Setting{.name = "ClosedWhileAnnounced",
                .requests = 12'000,
                .workers = 4,
                .waits = Waits::announced,
                .adopts = true,
                .closes = Closes::cancelling},
        Setting{.name = "ClosedInFlightWithLentWorkers",
                .requests = 12'000,
                .workers = 1,
                .fails = Fails::anything,
                .own_workers = false,
                .closes = Closes::cancelling},
        Setting{.name = "CallersAloneWhileClosing",
                .requests = 12'000,
                .queue_capacity = 64,
                .waits = Waits::blocking,
                .fails = Fails::anything,
                .own_workers = false,
                .callers_only = true,
                .closes = Closes::draining}),
    [](const auto& setting) { return setting.param.name; });

/// Batchers that come and go while requests are in flight and tickets outlive them.
TEST(RuntimeStress, BatchersComeAndGo) {
  print_replay();
  std::mt19937_64 random(base_seed);
  const std::uint64_t rounds = scaled(150);
  for (std::uint64_t round = 0; round < rounds; ++round) {
    std::vector<Ticket> tickets;
    std::mutex mutex;
    {
      Batcher batcher(
          dynbatch::testing::make_executor([](const Batch& batch, dynbatch::RunOutputs&) {
            return dynbatch::testing::add_one(batch);
          }),
          {.max_batch_size = 4,
           .batching = Batching::always,
           .max_queue_delay = microseconds(random() % 3 * 100),
           .workers = 1 + random() % 3,
           .verify = false});
      std::vector<std::thread> threads;
      for (int thread = 0; thread < 3; ++thread) {
        threads.emplace_back([&, thread] {
          const std::vector<float> rows(static_cast<std::size_t>(1 + thread), 1.0F);
          const InputView view{rows.data(), DataType::float32, Shape{1 + thread, 1}};
          for (int i = 0; i < 20; ++i) {
            Ticket ticket = i % 3 == 0 ? batcher.infer({&view, 1}) : batcher.submit({&view, 1});
            const std::lock_guard lock(mutex);
            tickets.push_back(std::move(ticket));
          }
        });
      }
      if (random() % 2 == 0) batcher.close(random() % 2 == 0);
      for (std::thread& thread : threads) thread.join();
    }
    for (const Ticket& ticket : tickets) {
      ASSERT_TRUE(ticket.done());
      if (ticket.code() != ErrorCode::none) continue;
      ASSERT_EQ(static_cast<const float*>(ticket.output(0).data)[ticket.rows() - 1], 2.0F);
    }
  }
}

}  // namespace
}  // namespace dynbatch

int main(int argc, char** argv) { return dynbatch::testing::run_stress(argc, argv); }

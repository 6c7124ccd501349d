// Stress of the whole batcher: real threads, random requests, everything that can go wrong at once.
//
//   stress_runtime_test [--seed=<number>]      repeats a run; without it the seed is drawn and printed
//   DYNBATCH_STRESS_SCALE=<number>             as many times the requests; 1 takes a few seconds
// A run without progress for 20 s prints where it stands and aborts.
#include <gmock/gmock.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "stress/stressed_batcher.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::base_seed;
using dynbatch::testing::scaled;
using dynbatch::testing::Setting;
using dynbatch::testing::StressedBatcher;
using std::chrono::microseconds;

class RuntimeStress : public ::testing::TestWithParam<Setting> {};

TEST_P(RuntimeStress, EveryRequestEndsOnceAndRight) {
  std::printf("--seed=%llu\n", static_cast<unsigned long long>(base_seed));
  StressedBatcher batcher(GetParam(), base_seed);
  batcher.run();
}

INSTANTIATE_TEST_SUITE_P(
    Settings, RuntimeStress,
    ::testing::Values(
        Setting{.name = "OneWorker"}, Setting{.name = "TwoWorkers", .workers = 2},
        Setting{.name = "FourWorkers", .workers = 4, .threads = 6},
        Setting{.name = "TinyQueue", .workers = 1, .max_batch_size = 2, .queue_capacity = 1},
        Setting{.name = "BatchesOfOne", .workers = 2, .max_batch_size = 1, .queue_capacity = 2},
        Setting{.name = "Delays", .workers = 2, .delays = true},
        Setting{.name = "DelaysAndFourWorkers", .workers = 4, .queue_capacity = 64, .delays = true},
        Setting{.name = "GivingUp", .workers = 2, .gives_up = true},
        Setting{.name = "Failing", .workers = 2, .fails = true},
        Setting{.name = "FailingAndFilled", .workers = 2, .gears = {4, 8}, .fails = true},
        Setting{.name = "Filled", .workers = 1, .gears = {3, 7}, .gives_up = true},
        Setting{.name = "Adopted", .workers = 2, .gives_up = true, .fails = true, .adopts = true},
        Setting{.name = "Exclusive", .workers = 2, .batching = Batching::off, .gives_up = true},
        Setting{
            .name = "SharedInputs", .workers = 2, .shared = true, .delays = true, .gives_up = true},
        Setting{.name = "SharedInputsInATinyQueue",
                .workers = 1,
                .queue_capacity = 1,
                .shared = true,
                .delays = true,
                .fails = true},
        Setting{.name = "LentWorkers", .workers = 2, .gives_up = true, .own_workers = false},
        Setting{.name = "Everything",
                .workers = 3,
                .threads = 6,
                .queue_capacity = 16,
                .delays = true,
                .gives_up = true,
                .fails = true,
                .adopts = true},
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
                .delays = true,
                .gives_up = true,
                .fails = true,
                .notices = true},
        Setting{.name = "NoticesOfKeys",
                .workers = 1,
                .max_batch_size = 4,
                .queue_capacity = 4,
                .shared = true,
                .delays = true,
                .notices = true},
        Setting{.name = "NoticesWhileClosing",
                .workers = 2,
                .max_batch_size = 2,
                .queue_capacity = 2,
                .delays = true,
                .notices = true,
                .close_in_flight = 1},
        Setting{.name = "DrainedInFlight",
                .workers = 2,
                .delays = true,
                .gives_up = true,
                .close_in_flight = 1},
        Setting{.name = "ClosedInFlight",
                .workers = 2,
                .delays = true,
                .gives_up = true,
                .fails = true,
                .close_in_flight = 2},
        Setting{.name = "ClosedInFlightWithLentWorkers",
                .workers = 1,
                .fails = true,
                .own_workers = false,
                .close_in_flight = 2}),
    [](const auto& setting) { return setting.param.name; });

/// Batchers that come and go while requests are in flight and tickets outlive them.
TEST(RuntimeStress, BatchersComeAndGo) {
  std::printf("--seed=%llu\n", static_cast<unsigned long long>(base_seed));
  std::mt19937_64 random(base_seed);
  const std::uint32_t rounds = scaled(150);
  for (std::uint32_t round = 0; round < rounds; ++round) {
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

int main(int argc, char** argv) {
  ::testing::InitGoogleMock(&argc, argv);
  dynbatch::testing::base_seed = std::random_device()() % 1'000'000;
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], "--seed=", 7) == 0)
      dynbatch::testing::base_seed = std::strtoull(argv[i] + 7, nullptr, 10);
  }
  return RUN_ALL_TESTS();
}

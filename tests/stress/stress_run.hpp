// A run of stress: its seed, its size, the watchdog that ends it when it stands still, and its program:
//
//   DYNBATCH_STRESS_SCALE=<number>             as many times the requests; 1 takes some seconds
//   --seed=<number>                            repeats a run; the seed of each run is printed
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>

namespace dynbatch::testing {

inline std::uint64_t base_seed = 0;
inline std::atomic<std::uint64_t> requests_of_all_tests{0};

inline double stress_scale() {
  const char* const scale = std::getenv("DYNBATCH_STRESS_SCALE");
  return scale == nullptr ? 1.0 : std::atof(scale);
}

/// `count`, times DYNBATCH_STRESS_SCALE, less under a sanitizer; at least 1.
inline std::uint64_t scaled(std::uint64_t count) {
  return static_cast<std::uint64_t>(stress_scale() * static_cast<double>(count) /
                                    DYNBATCH_STRESS_DIVISOR) +
         1;
}

/// Aborts, after printing what `describe` says, if `progress` does not change for 20 s.
class Watchdog {
 public:
  Watchdog(std::function<std::uint64_t()> progress, std::function<std::string()> describe)
      : progress_(std::move(progress)),
        describe_(std::move(describe)),
        thread_([this] { watch(); }) {}
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

 private:
  void watch() {
    std::unique_lock lock(mutex_);
    std::uint64_t seen = 0;
    int still = 0;
    while (!over_) {
      changed_.wait_for(lock, std::chrono::seconds(1));
      const std::uint64_t now = progress_();
      still = now == seen ? still + 1 : 0;
      seen = now;
      if (still < 20) continue;
      std::fprintf(stderr, "no progress for 20 s; --seed=%llu\n%s\n",
                   static_cast<unsigned long long>(base_seed), describe_().c_str());
      std::abort();
    }
  }

  std::function<std::uint64_t()> progress_;
  std::function<std::string()> describe_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::thread thread_;
};

/// What main() of a stress program does.
inline int run_stress(int argc, char** argv) {
  ::testing::InitGoogleMock(&argc, argv);
  base_seed = std::random_device()() % 1'000'000;
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], "--seed=", 7) == 0)
      base_seed = std::strtoull(argv[i] + 7, nullptr, 10);
  }
  const auto start = std::chrono::steady_clock::now();
  const int result = RUN_ALL_TESTS();
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  std::printf("--seed=%llu: %llu requests in %.1f s\n", static_cast<unsigned long long>(base_seed),
              static_cast<unsigned long long>(requests_of_all_tests.load()), time.count());
  return result;
}

}  // namespace dynbatch::testing

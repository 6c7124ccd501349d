// A run of stress: its seed, its size, and the watchdog that ends it when it stands still.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
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

}  // namespace dynbatch::testing

// What the core needs of the machine, as one template parameter, so that tests can own it: atomics,
// the short lock, parking on a word, an event, and the clock. StdPlatform is the real one.
//
// A platform has: atomic<T>; Mutex (lock, unlock); pause(); park(word, expected, deadline), which
// returns when the word is no longer `expected`, when it is woken, by the deadline, or for no
// reason; wake(word, count); now(); local<T, Tag>(), the T of the calling thread; Event (signal,
// clear, wait), which stays readable from a signal until it is cleared.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "base/eventfd.hpp"

namespace dynbatch {

/// Distance at which two variables written by different threads do not disturb each other.
inline constexpr std::size_t kCacheLine = 64;

/// A point in time in nanoseconds of a clock that never goes back; kNever lies beyond all others.
using Nanoseconds = std::int64_t;
inline constexpr Nanoseconds kNever = INT64_MAX;

/// `span` after `now`: now if the span is negative, kNever if the sum is beyond it.
constexpr Nanoseconds after(Nanoseconds now, Nanoseconds span) noexcept {
  if (span <= 0) return now;
  return span < kNever - now ? now + span : kNever;
}

struct StdPlatform {
  template <class T>
  using atomic = std::atomic<T>;
  using Mutex = std::mutex;
  using Word = std::atomic<std::uint32_t>;
  using Event = EventFd;

  /// The calling thread's own T, made at its first call; `Tag` tells those of one type apart.
  template <class T, class Tag>
  static T& local() noexcept {
    thread_local T value{};
    return value;
  }
  /// Tells the processor that this thread spins.
  static void pause() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }
  static void park(const Word& word, std::uint32_t expected, Nanoseconds deadline) noexcept;
  static void wake(const Word& word, int count) noexcept;
  static Nanoseconds now() noexcept {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
};

/// The same machine with a clock that only tests move.
struct ManualPlatform : StdPlatform {
  static void park(const Word& word, std::uint32_t expected, Nanoseconds deadline) noexcept;
  static Nanoseconds now() noexcept { return time_.load(std::memory_order_relaxed); }
  static void advance(Nanoseconds by) noexcept { time_.fetch_add(by, std::memory_order_relaxed); }

 private:
  inline static std::atomic<Nanoseconds> time_{1};
};

}  // namespace dynbatch

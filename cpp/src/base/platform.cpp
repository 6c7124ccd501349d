#include "base/platform.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>

namespace dynbatch {
namespace {

// The kernel reads the word itself: std::atomic<uint32_t> is that word and nothing else.
static_assert(sizeof(StdPlatform::Word) == sizeof(std::uint32_t));
static_assert(StdPlatform::Word::is_always_lock_free);

void futex_wait(const StdPlatform::Word& word, std::uint32_t expected,
                const timespec* until) noexcept {
  // FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC, which steady_clock is.
  syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected, until, nullptr,
          FUTEX_BITSET_MATCH_ANY);
}

}  // namespace

void StdPlatform::park(const Word& word, std::uint32_t expected, Nanoseconds deadline) noexcept {
  if (deadline == kNever) {
    futex_wait(word, expected, nullptr);
    return;
  }
  if (deadline < 0) deadline = 0;
  const timespec until{.tv_sec = deadline / 1'000'000'000, .tv_nsec = deadline % 1'000'000'000};
  futex_wait(word, expected, &until);
}

void StdPlatform::wake(const Word& word, int count) noexcept {
  syscall(SYS_futex, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count, nullptr, nullptr, 0);
}

void ManualPlatform::park(const Word& word, std::uint32_t expected, Nanoseconds deadline) noexcept {
  if (now() >= deadline) return;
  if (deadline == kNever) {
    StdPlatform::park(word, expected, kNever);  // a lost wake-up must show, so nothing is polled
    return;
  }
  // Manual time passes without a wake-up, so the park is cut into short pieces of real time.
  StdPlatform::park(word, expected, StdPlatform::now() + 200'000);
}

}  // namespace dynbatch

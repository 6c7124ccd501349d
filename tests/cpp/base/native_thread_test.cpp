#include "base/native_thread.hpp"

#include <gtest/gtest.h>
#include <pthread.h>

#include <csignal>
#include <cstdlib>
#include <new>

namespace {
thread_local bool memory_is_out = false;
}

[[gnu::noinline]] void* operator new(std::size_t size) {
  void* const memory = memory_is_out ? nullptr : std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace dynbatch {
namespace {

bool blocked_here(int signal) {
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  return sigismember(&mask, signal) == 1;
}

TEST(NativeThread, BlocksTheSignalsOfTheHost) {
  bool interrupt = false;
  bool user = false;
  make_native_thread([&] {
    interrupt = blocked_here(SIGINT);
    user = blocked_here(SIGUSR1);
  }).join();
  EXPECT_TRUE(interrupt);
  EXPECT_TRUE(user);
}

TEST(NativeThread, LeavesTheSignalsOfItsMakerAsTheyWere) {
  const bool before = blocked_here(SIGUSR1);
  make_native_thread([] {}).join();
  EXPECT_EQ(blocked_here(SIGUSR1), before);
}

TEST(NativeThread, LeavesThemAlsoWhereThereIsNoMemoryForAThread) {
  const bool before = blocked_here(SIGUSR1);
  bool refused = false;
  memory_is_out = true;
  try {
    make_native_thread([] {}).join();
  } catch (const std::bad_alloc&) {
    refused = true;
  }
  memory_is_out = false;
  EXPECT_TRUE(refused);
  EXPECT_EQ(blocked_here(SIGUSR1), before);
}

}  // namespace
}  // namespace dynbatch

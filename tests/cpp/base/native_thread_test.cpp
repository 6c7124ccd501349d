#include "base/native_thread.hpp"

#include <gtest/gtest.h>
#include <pthread.h>

#include <csignal>
#include <new>

#include "cpp/watched_allocations.hpp"

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
  before_allocation = refuse_allocation;
  try {
    make_native_thread([] {}).join();
  } catch (const std::bad_alloc&) {
    refused = true;
  }
  before_allocation = nullptr;
  EXPECT_TRUE(refused);
  EXPECT_EQ(blocked_here(SIGUSR1), before);
}

}  // namespace
}  // namespace dynbatch

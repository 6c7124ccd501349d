#include <dynbatch/completion_port.hpp>

#include <gmock/gmock.h>
#include <poll.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "batch/completion_list.hpp"

namespace dynbatch {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Entry : PortEntry {
  explicit Entry(void* what = nullptr) {
    context = what;
    release = [](PortEntry* entry) noexcept { ++static_cast<Entry*>(entry)->released; };
  }
  int released = 0;
};

void add(CompletionPort& port, Entry& entry) { port.implementation().add(&entry, &entry); }

bool readable(const CompletionPort& port) {
  pollfd entry{.fd = port.fd(), .events = POLLIN, .revents = 0};
  return poll(&entry, 1, 0) == 1;
}

std::vector<void*> drain(CompletionPort& port) {
  std::vector<void*> contexts;
  port.drain(contexts);
  return contexts;
}

TEST(CompletionPort, DrainsInTheOrderOfCompletion) {
  CompletionPort port;
  int a = 0;
  int b = 0;
  int c = 0;
  Entry first(&a);
  Entry second(&b);
  Entry third(&c);
  add(port, first);
  second.next_entry = nullptr;
  third.next_entry = &second;  // a chain, newest first
  port.implementation().add(&third, &second);
  EXPECT_THAT(drain(port), ElementsAre(&a, &b, &c));
}

TEST(CompletionPort, ReadableFromTheFirstEntryUntilTheDrain) {
  CompletionPort port;
  EXPECT_FALSE(readable(port));
  Entry entry;
  add(port, entry);
  EXPECT_TRUE(readable(port));
  drain(port);
  EXPECT_FALSE(readable(port));
}

TEST(CompletionPort, ReadableAgainAfterADrain) {
  CompletionPort port;
  Entry first;
  Entry second;
  add(port, first);
  drain(port);
  add(port, second);
  EXPECT_TRUE(readable(port));
}

TEST(CompletionPort, EachEntryIsReleasedOnce) {
  CompletionPort port;
  Entry entry;
  add(port, entry);
  drain(port);
  drain(port);
  EXPECT_EQ(entry.released, 1);
}

TEST(CompletionPort, DrainReplacesWhatTheVectorHeld) {
  CompletionPort port;
  int old = 0;
  std::vector<void*> contexts{&old};
  port.drain(contexts);
  EXPECT_THAT(contexts, IsEmpty());
}

TEST(CompletionPort, WakeEndsAWaitWithoutEntries) {
  CompletionPort port;
  std::thread waiter([&] { port.wait(); });
  port.wake();
  waiter.join();
  EXPECT_THAT(drain(port), IsEmpty());
}

TEST(CompletionPort, EveryEntryOfManyThreadsArrivesOnce) {
  constexpr int kThreads = 3;
  constexpr std::size_t kEntries = 5000 / DYNBATCH_STRESS_DIVISOR;
  CompletionPort port;
  std::vector<std::vector<Entry>> entries;
  for (int thread = 0; thread < kThreads; ++thread) entries.emplace_back(kEntries);
  std::vector<std::thread> threads;
  for (auto& mine : entries) {
    threads.emplace_back([&] {
      for (Entry& entry : mine) {
        entry.context = &entry;
        add(port, entry);
      }
    });
  }
  std::size_t arrived = 0;
  std::vector<void*> contexts;
  while (arrived < kThreads * kEntries) {
    port.wait();
    port.drain(contexts);
    arrived += contexts.size();
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& mine : entries) {
    for (const Entry& entry : mine) ASSERT_EQ(entry.released, 1);
  }
}

/// The thread that delivers may not have signalled yet when the entry is drained.
TEST(CompletionPort, MayBeDestroyedOnceTheLastEntryIsDrained) {
  constexpr int kRounds = 3000 / DYNBATCH_STRESS_DIVISOR;
  std::atomic<CompletionPort*> handed{nullptr};
  std::vector<Entry> entries(kRounds);
  std::thread deliverer([&] {
    for (Entry& entry : entries) {
      CompletionPort* port = nullptr;
      while ((port = handed.exchange(nullptr)) == nullptr) std::this_thread::yield();
      add(*port, entry);
    }
  });
  for (int round = 0; round < kRounds; ++round) {
    auto port = std::make_unique<CompletionPort>();
    handed = port.get();
    while (drain(*port).empty()) std::this_thread::yield();
    port.reset();
  }
  deliverer.join();
}

}  // namespace
}  // namespace dynbatch

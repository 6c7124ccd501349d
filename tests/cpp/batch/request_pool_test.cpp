#include "batch/request_pool.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <set>
#include <thread>
#include <vector>

namespace dynbatch {
namespace {

struct Object {
  std::uint32_t index = 0;
  std::atomic<int> holders{0};
};
using Pool = RequestPool<StdPlatform, Object>;

TEST(RequestPool, ObjectsThatAreOutAreAllDifferent) {
  Pool pool;
  std::set<Object*> out;
  std::set<std::uint32_t> indices;
  for (int i = 0; i < 200; ++i) {
    Object* const object = pool.acquire();
    out.insert(object);
    indices.insert(object->index);
  }
  EXPECT_EQ(out.size(), 200U);
  EXPECT_EQ(indices.size(), 200U);
}

TEST(RequestPool, ReleasedObjectIsUsedAgainBeforeThePoolGrows) {
  Pool pool;
  Object* const first = pool.acquire();
  const std::size_t size = pool.size();
  EXPECT_TRUE(pool.release(*first));
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(pool.release(*pool.acquire()));
  EXPECT_EQ(pool.size(), size);
  EXPECT_EQ(pool.acquire(), first);
}

TEST(RequestPool, ClosedPoolCountsWhatIsOut) {
  Pool pool;
  Object* const kept = pool.acquire();
  Object* const also_kept = pool.acquire();
  pool.release(*pool.acquire());
  EXPECT_EQ(pool.close(), 2U);
  EXPECT_FALSE(pool.release(*kept));
  EXPECT_FALSE(pool.release(*also_kept));
}

TEST(RequestPool, UnusedPoolHasNothingOut) {
  Pool pool;
  EXPECT_EQ(pool.close(), 0U);
}

TEST(RequestPool, NoTwoThreadsHoldOneObject) {
  constexpr int kTurns = 20000 / DYNBATCH_STRESS_DIVISOR;
  Pool pool;
  std::atomic<int> shared_objects{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < kTurns; ++turn) {
        std::array<Object*, 3> mine{};
        for (Object*& object : mine) {
          object = pool.acquire();
          if (object->holders.fetch_add(1) != 0) ++shared_objects;
        }
        for (Object* const object : mine) {
          object->holders.fetch_sub(1);
          pool.release(*object);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(shared_objects, 0);
  EXPECT_EQ(pool.close(), 0U);
}

/// Each release is either seen by close() or told to come late; never both, never neither.
TEST(RequestPool, CloseAndReleasesAgreeOnWhatIsOut) {
  constexpr int kRounds = 600 / DYNBATCH_STRESS_DIVISOR;
  for (int round = 0; round < kRounds; ++round) {
    Pool pool;
    std::vector<Object*> out;
    for (int i = 0; i < 20; ++i) out.push_back(pool.acquire());
    std::atomic<std::size_t> late{0};
    std::atomic<bool> go{false};
    std::thread releaser([&] {
      while (!go) std::this_thread::yield();
      for (Object* const object : out) {
        if (!pool.release(*object)) ++late;
      }
    });
    go = true;
    const std::size_t counted = pool.close();
    releaser.join();
    ASSERT_EQ(counted, late);
  }
}

}  // namespace
}  // namespace dynbatch

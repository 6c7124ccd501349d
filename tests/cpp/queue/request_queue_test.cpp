#include "queue/request_queue.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace dynbatch {
namespace {

using Queue = RequestQueue<StdPlatform, int>;
using ::testing::ElementsAre;

constexpr auto always = [](const Queue::BlockState&) { return true; };

/// A queue whose first block is open, as the runtime leaves it.
struct OpenQueue : Queue {
  OpenQueue(std::uint32_t blocks, std::uint32_t rows) : Queue(blocks, rows, false) {
    unsafe_open_next();
  }
  Claim put(std::uint32_t rows, int part) {
    const Claim claimed = claim(rows);
    if (claimed.rows > 0) publish(claimed, part);
    return claimed;
  }
};

TEST(RequestQueue, ClaimsStandOneBehindTheOtherInTheOpenBlock) {
  OpenQueue queue(2, 8);
  const Claim first = queue.claim(3);
  const Claim second = queue.claim(5);
  EXPECT_EQ(second.block, first.block);
  EXPECT_EQ(first.row, 0U);
  EXPECT_EQ(second.row, 3U);
}

TEST(RequestQueue, ClaimIsWholeOrNothing) {
  OpenQueue queue(2, 4);
  EXPECT_EQ(queue.claim(3).rows, 3U);
  EXPECT_EQ(queue.claim(2).rows, 0U);
  EXPECT_EQ(queue.claim(1).rows, 1U);
  EXPECT_EQ(queue.claim(1).rows, 0U);
}

TEST(RequestQueue, NumbersOfRowsThatWrapAroundAreNotClaimed) {
  OpenQueue queue(2, 4);
  queue.put(1, 1);
  EXPECT_EQ(queue.claim(UINT32_MAX).rows, 0U);
  EXPECT_EQ(queue.claim(UINT32_MAX - 1).rows, 0U);
  EXPECT_TRUE(queue.unsafe_invariants_hold());
}

TEST(RequestQueue, NothingIsClaimedBeforeABlockIsOpen) {
  Queue queue(2, 4, false);
  EXPECT_EQ(queue.claim(1).rows, 0U);
  queue.unsafe_open_next();
  EXPECT_EQ(queue.claim(1).rows, 1U);
}

TEST(RequestQueue, LastPublisherSeesTheBlockComplete) {
  OpenQueue queue(2, 4);
  const Claim first = queue.claim(1);
  const Claim second = queue.claim(2);
  EXPECT_FALSE(queue.publish(second, 2).complete);
  const auto state = queue.publish(first, 1);
  EXPECT_TRUE(state.complete);
  EXPECT_EQ(state.rows, 3U);
  EXPECT_FALSE(state.full);
}

TEST(RequestQueue, PublisherOfTheLastRowSeesTheBlockFull) {
  OpenQueue queue(2, 2);
  EXPECT_TRUE(queue.publish(queue.claim(2), 1).full);
}

TEST(RequestQueue, FewBlocksRotateWhileTheySuffice) {
  RequestQueue<StdPlatform, int> queue(4, 1, false, 2);
  const auto open_full = [&] { return queue.unsafe_claim(1, nullptr).block; };
  const auto take = [&] { return queue.unsafe_take([](const auto&) { return true; }); };
  for (const std::uint32_t expected : {0U, 1U, 0U}) {
    const Claim claim = queue.unsafe_claim(1, nullptr);
    EXPECT_EQ(claim.block, expected);
    queue.publish(claim, 1);
    queue.unsafe_recycle(take());
  }
  EXPECT_EQ(open_full(), 1U);
  EXPECT_EQ(open_full(), 0U);
  EXPECT_EQ(open_full(), 2U) << "more only where they do not suffice";
  EXPECT_EQ(open_full(), 3U);
}

TEST(RequestQueue, TakeReturnsThePartsWithTheirRows) {
  OpenQueue queue(2, 8);
  queue.put(3, 11);
  queue.put(2, 22);
  const std::uint32_t block = queue.unsafe_take(always);
  ASSERT_NE(block, Queue::kNone);
  EXPECT_EQ(queue.rows(block), 5U);
  EXPECT_EQ(queue.parts(block)[0], 11);
  EXPECT_EQ(queue.parts(block)[3], 22);
}

TEST(RequestQueue, TakenBlockTakesNoMoreRows) {
  OpenQueue queue(2, 8);
  queue.put(1, 1);
  const std::uint32_t block = queue.unsafe_take(always);
  EXPECT_EQ(queue.claim(1).rows, 0U);
  queue.unsafe_open_next();
  EXPECT_NE(queue.claim(1).block, block);
}

TEST(RequestQueue, TakeGoesFromTheOldestToTheNewest) {
  OpenQueue queue(3, 1);
  const Claim first = queue.put(1, 1);
  const Claim second = queue.unsafe_claim(1, nullptr);
  queue.publish(second, 2);
  EXPECT_EQ(queue.unsafe_take(always), first.block);
  EXPECT_EQ(queue.unsafe_take(always), second.block);
  EXPECT_EQ(queue.unsafe_take(always), Queue::kNone);
}

TEST(RequestQueue, TakePassesABlockWhoseRowsAreNotAllThere) {
  OpenQueue queue(3, 2);
  const Claim late = queue.claim(2);
  const Claim ready = queue.unsafe_claim(2, nullptr);
  queue.publish(ready, 2);
  EXPECT_EQ(queue.unsafe_take(always), ready.block);
  EXPECT_EQ(queue.unsafe_take(always), Queue::kNone);
  queue.publish(late, 1);
  EXPECT_EQ(queue.unsafe_take(always), late.block);
}

TEST(RequestQueue, PassedBlockIsSealed) {
  OpenQueue queue(2, 4);
  const Claim late = queue.claim(1);
  EXPECT_EQ(queue.unsafe_take(always), Queue::kNone);
  EXPECT_EQ(queue.claim(1).rows, 0U);
  EXPECT_TRUE(queue.publish(late, 1).sealed);
}

TEST(RequestQueue, RefusedBlockStaysOpen) {
  OpenQueue queue(2, 4);
  queue.put(1, 1);
  EXPECT_EQ(queue.unsafe_take([](const Queue::BlockState&) { return false; }), Queue::kNone);
  EXPECT_EQ(queue.claim(1).rows, 1U);
}

TEST(RequestQueue, DecisionSeesWhenTheFirstRowCame) {
  OpenQueue queue(2, 4);
  const Claim claimed = queue.claim(1);
  queue.set_first_at(claimed, 77);
  queue.publish(claimed, 1);
  Nanoseconds seen = 0;
  queue.unsafe_take([&](const Queue::BlockState& state) {
    seen = state.first_at;
    return false;
  });
  EXPECT_EQ(seen, 77);
}

TEST(RequestQueue, NewLifeOfABlockForgetsWhenItsFirstRowCame) {
  OpenQueue queue(1, 4);
  queue.set_first_at({.block = 0}, 77);
  queue.put(1, 1);
  queue.unsafe_recycle(queue.unsafe_take(always));
  queue.unsafe_open_next();
  EXPECT_EQ(queue.first_at(queue.claim(1)), 0);
}

TEST(RequestQueue, BlocksAreUsedInRotation) {
  OpenQueue queue(3, 1);
  std::vector<std::uint32_t> used;
  for (int turn = 0; turn < 6; ++turn) {
    used.push_back(queue.put(1, turn).block);
    queue.unsafe_recycle(queue.unsafe_take(always));
    queue.unsafe_open_next();
  }
  EXPECT_THAT(used, ElementsAre(0U, 1U, 2U, 0U, 1U, 2U));
}

TEST(RequestQueue, FullQueueHasNoRoomUntilABlockIsRecycled) {
  OpenQueue queue(2, 2);
  EXPECT_EQ(queue.unsafe_room(100, nullptr), 4U);
  queue.put(2, 1);
  queue.publish(queue.unsafe_claim(2, nullptr), 2);
  EXPECT_EQ(queue.unsafe_room(1, nullptr), 0U);
  EXPECT_EQ(queue.unsafe_claim(1, nullptr).rows, 0U);
  queue.unsafe_recycle(queue.unsafe_take(always));
  EXPECT_EQ(queue.unsafe_room(100, nullptr), 2U);
  EXPECT_EQ(queue.unsafe_claim(5, nullptr).rows, 2U);
}

TEST(RequestQueue, RoomCountsTheRestOfTheOpenBlock) {
  OpenQueue queue(2, 4);
  queue.put(3, 1);
  EXPECT_EQ(queue.unsafe_room(100, nullptr), 5U);
  EXPECT_EQ(queue.unsafe_room(2, nullptr), 2U);
}

TEST(RequestQueue, ClaimUnderTheLockCutsAtTheEndOfTheBlock) {
  OpenQueue queue(2, 4);
  queue.put(3, 1);
  const Claim rest = queue.unsafe_claim(5, nullptr);
  EXPECT_EQ(rest.row, 3U);
  EXPECT_EQ(rest.rows, 1U);
  const Claim next = queue.unsafe_claim(4, nullptr);
  EXPECT_NE(next.block, rest.block);
  EXPECT_EQ(next.rows, 4U);
}

TEST(RequestQueue, ExclusiveQueueGivesEachRequestABlockOfItsOwn) {
  Queue queue(2, 4, true);
  EXPECT_EQ(queue.claim(1).rows, 0U);
  const Claim first = queue.unsafe_claim(1, nullptr);
  const Claim second = queue.unsafe_claim(3, nullptr);
  EXPECT_NE(first.block, second.block);
  EXPECT_EQ(queue.unsafe_claim(1, nullptr).rows, 0U);
  queue.publish(first, 1);
  EXPECT_EQ(queue.unsafe_take(always), first.block);
}

TEST(RequestQueue, KeysNeverShareABlock) {
  const int a = 0;
  const int b = 0;
  Queue queue(3, 4, false);
  const Claim first = queue.unsafe_claim(1, &a);
  const Claim other = queue.unsafe_claim(1, &b);
  const Claim again = queue.unsafe_claim(2, &a);
  EXPECT_NE(first.block, other.block);
  EXPECT_EQ(again.block, first.block);
  EXPECT_EQ(again.row, 1U);
  EXPECT_EQ(queue.key(first.block), &a);
  EXPECT_EQ(queue.key(other.block), &b);
}

TEST(RequestQueue, RoomOfAKeyLeavesOutTheBlocksOfOthers) {
  const int a = 0;
  const int b = 0;
  Queue queue(2, 4, false);
  queue.unsafe_claim(1, &a);
  EXPECT_EQ(queue.unsafe_room(100, &a), 7U);
  EXPECT_EQ(queue.unsafe_room(100, &b), 4U);
}

TEST(RequestQueue, StoppedClaimsFreeTheEmptyBlockAndKeepTheOthers) {
  OpenQueue queue(3, 2);
  queue.put(2, 1);
  queue.unsafe_open_next();
  queue.unsafe_stop_claims();
  EXPECT_EQ(queue.claim(1).rows, 0U);
  EXPECT_EQ(queue.unsafe_free_rows(), 4U);
  EXPECT_FALSE(queue.unsafe_idle());
  queue.unsafe_recycle(queue.unsafe_take(always));
  EXPECT_TRUE(queue.unsafe_idle());
}

TEST(RequestQueue, StoppedClaimsKeepABlockWhoseRowsAreStillBeingWritten) {
  OpenQueue queue(2, 4);
  const Claim late = queue.claim(1);
  queue.unsafe_stop_claims();
  EXPECT_FALSE(queue.unsafe_idle());
  queue.publish(late, 1);
  EXPECT_EQ(queue.unsafe_take(always), late.block);
}

TEST(RequestQueue, OpenEmptyBlockCountsAsIdle) {
  OpenQueue queue(2, 4);
  EXPECT_TRUE(queue.unsafe_idle());
  const Claim claimed = queue.claim(1);
  EXPECT_FALSE(queue.unsafe_idle());
  queue.publish(claimed, 1);
  const std::uint32_t block = queue.unsafe_take(always);
  EXPECT_FALSE(queue.unsafe_idle());
  queue.unsafe_recycle(block);
  EXPECT_TRUE(queue.unsafe_idle());
}

TEST(RequestQueue, CountsOnlyBlocksThatCouldBeTaken) {
  OpenQueue queue(3, 2);
  const Claim late = queue.claim(2);
  EXPECT_EQ(queue.unsafe_count_ready(always), 0U);
  queue.publish(queue.unsafe_claim(1, nullptr), 2);
  EXPECT_EQ(queue.unsafe_count_ready(always), 1U);
  queue.publish(late, 1);
  EXPECT_EQ(queue.unsafe_count_ready(always), 2U);
}

TEST(RequestQueue, LooksReadyOnceARowIsPublished) {
  OpenQueue queue(2, 4);
  EXPECT_FALSE(queue.looks_ready());
  const Claim claimed = queue.claim(1);
  EXPECT_FALSE(queue.looks_ready());
  queue.publish(claimed, 1);
  EXPECT_TRUE(queue.looks_ready());
}

TEST(RequestQueue, OpensTheNextBlockOnlyIfTheNewestTakesNoMore) {
  OpenQueue queue(3, 2);
  queue.unsafe_open_next();
  EXPECT_EQ(queue.unsafe_free_rows(), 4U);
  queue.put(2, 1);
  queue.unsafe_open_next();
  EXPECT_EQ(queue.unsafe_free_rows(), 2U);
}

TEST(RequestQueue, HoldsTheLargestBlockThatAWordCanCount) {
  OpenQueue queue(1, Queue::kMaxRows);
  EXPECT_EQ(queue.put(Queue::kMaxRows - 1, 1).rows, Queue::kMaxRows - 1);
  EXPECT_TRUE(queue.publish(queue.claim(1), 2).full);
  EXPECT_EQ(queue.rows(queue.unsafe_take(always)), Queue::kMaxRows);
  EXPECT_TRUE(queue.unsafe_invariants_hold());
}

struct Written {
  int id = 0;
  std::uint32_t rows = 0;
};

/// Every part that was published, by any thread, is taken exactly once and as it was written.
TEST(RequestQueue, ConcurrentClaimsAreTakenOnceEach) {
  constexpr int kThreads = 3;
  constexpr int kParts = 6000 / DYNBATCH_STRESS_DIVISOR;
  constexpr auto any = [](const auto&) { return true; };
  RequestQueue<StdPlatform, Written> queue(4, 5, false);
  queue.unsafe_open_next();
  StdPlatform::Mutex mutex;
  std::atomic<int> writing{kThreads};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kParts;) {
        const auto rows = static_cast<std::uint32_t>(1 + i % 2);
        Claim claimed = queue.claim(rows);
        if (claimed.rows == 0) {
          const std::lock_guard lock(mutex);
          claimed = queue.unsafe_claim(rows, nullptr);
        }
        if (claimed.rows == 0) {
          std::this_thread::yield();
          continue;
        }
        queue.publish(claimed, {.id = thread * kParts + i, .rows = claimed.rows});
        ++i;
      }
      --writing;
    });
  }
  std::vector<int> seen(static_cast<std::size_t>(kThreads * kParts));
  for (;;) {
    const bool last_look = writing == 0;
    std::uint32_t block = Queue::kNone;
    {
      const std::lock_guard lock(mutex);
      block = queue.unsafe_take(any);
      queue.unsafe_open_next();
    }
    if (block == Queue::kNone) {
      if (last_look) break;
      std::this_thread::yield();
      continue;
    }
    const auto parts = queue.parts(block);
    for (std::size_t row = 0; row < parts.size(); row += parts[row].rows) {
      ++seen[static_cast<std::size_t>(parts[row].id)];
    }
    const std::lock_guard lock(mutex);
    queue.unsafe_recycle(block);
    queue.unsafe_open_next();
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(seen, ::testing::Each(1));
  EXPECT_TRUE(queue.unsafe_idle());
  EXPECT_TRUE(queue.unsafe_invariants_hold());
}

}  // namespace
}  // namespace dynbatch

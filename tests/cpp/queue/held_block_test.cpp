// Blocks that are held for their claimers, who are about to claim more.
#include <gtest/gtest.h>

#include <cstdint>

#include "queue/request_queue.hpp"

namespace dynbatch {
namespace {

/// A queue whose first block is open, as the runtime leaves it.
struct OpenQueue : RequestQueue<StdPlatform, int> {
  OpenQueue(std::uint32_t blocks, std::uint32_t rows)
      : RequestQueue<StdPlatform, int>(blocks, rows, false) {
    unsafe_open_next();
  }
};

TEST(HeldBlock, ABlockIsHeldWhileAllItsClaimersHoldIt) {
  OpenQueue queue(2, 8);
  EXPECT_TRUE(queue.publish(queue.claim(1, true), 1).held);
  EXPECT_FALSE(queue.looks_ready());
  EXPECT_TRUE(queue.publish(queue.claim(1, true), 2).held);
  EXPECT_FALSE(queue.publish(queue.claim(1), 3).held);
  EXPECT_TRUE(queue.looks_ready());
  EXPECT_FALSE(queue.publish(queue.claim(1, true), 4).held) << "somebody there does not wait";
}

TEST(HeldBlock, AHeldBlockIsReleasedByItsHolder) {
  OpenQueue queue(2, 8);
  queue.publish(queue.claim(1, true), 1);
  queue.unsafe_release_held();
  EXPECT_TRUE(queue.looks_ready());
  EXPECT_FALSE(queue.publish(queue.claim(1, true), 2).held);
}

TEST(HeldBlock, TheNextLifeOfABlockIsNotHeld) {
  OpenQueue queue(1, 2);
  queue.publish(queue.claim(2, true), 1);
  queue.unsafe_recycle(queue.unsafe_take([](const auto&) { return true; }));
  queue.unsafe_open_next();
  EXPECT_FALSE(queue.publish(queue.claim(1), 2).held);
}

}  // namespace
}  // namespace dynbatch

#include "memory/output_block.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace dynbatch {
namespace {

using Pool = OutputPool<StdPlatform>;

/// A pool of four blocks for one worker: three of them may be lent.
struct FourBlocks {
  GearMemory memory{
      BlockLayout({{.name = "y", .dtype = DataType::float32, .row_shape = Shape{1}}}, 2), 4};
  Pool pool{memory, 1, 1, 1};

  Pool::Block& run() {
    Pool::Block& block = *pool.acquire();
    block.readers.store(1, std::memory_order_relaxed);
    return block;
  }
};

TEST(OutputPool, LendsAllBlocksButThoseThatRunsNeed) {
  FourBlocks four;
  std::vector<Pool::Block*> lent;
  for (int i = 0; i < 3; ++i) {
    lent.push_back(&four.run());
    EXPECT_TRUE(four.pool.lend(*lent.back()));
  }
  Pool::Block& last = four.run();
  EXPECT_FALSE(four.pool.lend(last));
  four.pool.release(last);
  four.pool.release(*lent.back());
  Pool::Block& next = four.run();
  EXPECT_TRUE(four.pool.lend(next));
}

TEST(OutputPool, LastReaderGivesTheBlockBack) {
  FourBlocks four;
  Pool::Block& block = four.run();
  ASSERT_TRUE(four.pool.lend(block));
  block.readers.fetch_add(5, std::memory_order_relaxed);
  four.pool.release(block, 3);
  four.pool.release(block);
  four.pool.release(block);
  EXPECT_FALSE(four.pool.invariants_hold());
  four.pool.release(block);
  EXPECT_TRUE(four.pool.invariants_hold());
}

TEST(OutputPool, AdoptedMemoryIsReleasedOnceByTheLastReader) {
  FourBlocks four;
  int releases = 0;
  Pool::Block& block = four.run();
  block.adopted[0] = {.data = nullptr,
                      .shape = Shape{1, 1},
                      .release = [](void* count) { ++*static_cast<int*>(count); },
                      .context = &releases};
  block.readers.fetch_add(1, std::memory_order_relaxed);
  four.pool.release(block);
  EXPECT_EQ(releases, 0);
  four.pool.release(block);
  EXPECT_EQ(releases, 1);
  four.pool.release(four.run());
  EXPECT_EQ(releases, 1);
}

TEST(OutputPool, BlocksHaveTheAddressesOfTheirSlots) {
  FourBlocks four;
  Pool::Block& block = four.run();
  EXPECT_EQ(block.tensors[0], four.memory.row(block.slot, 0, 0));
  four.pool.release(block);
}

}  // namespace
}  // namespace dynbatch

// When a runtime reads the clock: a submit that needs no time does not pay for it.
#include "runtime/runtime.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "cpp/runtime/driven_runtime.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::DrivenRuntime;
using dynbatch::testing::HookedPlatform;

RuntimeSetup setup_of(Nanoseconds delay) {
  RuntimeSetup setup;
  setup.blocks = 3;
  setup.block_rows = 4;
  setup.output_blocks = 4;
  setup.max_delay = delay;
  setup.output_row_shapes = {Shape{1}};
  return setup;
}

/// How often ten submits of a row read the clock. On a thread of its own, whose requests are counted
/// from the first: one of many is measured.
int clock_reads(Nanoseconds delay) {
  DrivenRuntime<HookedPlatform> runtime(setup_of(delay));
  int reads = 0;
  std::thread submitter([&] {
    HookedPlatform::on_now = [&] { ++reads; };
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(runtime.submit({1.0F}).accepted());
    HookedPlatform::on_now = nullptr;
  });
  submitter.join();
  return reads;
}

TEST(RuntimeClock, IsNotReadBySubmitsThatNeedNoTime) { EXPECT_EQ(clock_reads(0), 0); }

TEST(RuntimeClock, IsReadForTheFirstRowOfABatchThatMayWait) { EXPECT_GT(clock_reads(1000), 0); }

}  // namespace
}  // namespace dynbatch

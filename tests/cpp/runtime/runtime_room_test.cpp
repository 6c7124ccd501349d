// A caller that is known to wait for room in a full runtime.
#include "runtime/runtime.hpp"

#include <gmock/gmock.h>

#include <chrono>
#include <future>
#include <thread>

#include "cpp/runtime/driven_runtime.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::DrivenRuntime;
using dynbatch::testing::HookedPlatform;
using std::chrono::nanoseconds;

TEST(RuntimeRoom, LongestTimeoutWaitsForIt) {
  RuntimeSetup setup;
  setup.blocks = 2;
  setup.block_rows = 1;
  setup.output_blocks = 4;
  setup.output_row_shapes = {Shape{1}};
  DrivenRuntime<HookedPlatform> runtime(setup);
  const auto first = runtime.submit({1.0F});
  const auto second = runtime.submit({2.0F});
  HookedPlatform::advance(1);  // beyond what the sum of both times can count
  std::promise<void> parked;
  std::thread caller([&] {
    HookedPlatform::on_park = [&] {
      HookedPlatform::on_park = nullptr;
      parked.set_value();
    };
    const SubmitOptions options{.on_full = OnFull::wait, .timeout = nanoseconds::max()};
    const auto third = runtime.submit({3.0F}, options);
    ASSERT_TRUE(third.accepted());
    EXPECT_EQ(third.wait(), ErrorCode::none);
  });
  parked.get_future().wait();
  runtime.add_worker();
  caller.join();
}

}  // namespace
}  // namespace dynbatch

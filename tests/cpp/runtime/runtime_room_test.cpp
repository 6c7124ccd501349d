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

class RuntimeRoom : public ::testing::Test {
 protected:
  RuntimeRoom() : runtime_(setup()) {}
  static RuntimeSetup setup() {
    RuntimeSetup setup;
    setup.blocks = 2;
    setup.block_rows = 1;
    setup.output_blocks = 4;
    setup.output_row_shapes = {Shape{1}};
    return setup;
  }
  /// Returns once another thread waits to submit its row; `then` gets what came of it.
  template <class Then>
  void have_caller_wait(const SubmitOptions& options, Then then) {
    caller_ = std::thread([this, options, then] {
      HookedPlatform::on_park = [this] {
        HookedPlatform::on_park = nullptr;
        parked_.set_value();
      };
      then(runtime_.submit({3.0F}, options));
    });
    parked_.get_future().wait();
  }

  DrivenRuntime<HookedPlatform> runtime_;
  const DrivenRuntime<HookedPlatform>::Handle first_ = runtime_.submit({1.0F});
  const DrivenRuntime<HookedPlatform>::Handle second_ = runtime_.submit({2.0F});
  std::promise<void> parked_;
  std::thread caller_;
};

TEST_F(RuntimeRoom, LongestTimeoutWaitsForIt) {
  HookedPlatform::advance(1);  // beyond what the sum of both times can count
  have_caller_wait({.on_full = OnFull::wait, .timeout = nanoseconds::max()}, [](const auto& third) {
    ASSERT_TRUE(third.accepted());
    EXPECT_EQ(third.wait(), ErrorCode::none);
  });
  runtime_.add_worker();
  caller_.join();
}

TEST_F(RuntimeRoom, CloseRefusesWhoWaitsForIt) {
  have_caller_wait({.on_full = OnFull::wait},
                   [](const auto& third) { EXPECT_FALSE(third.accepted()); });
  runtime_->close(true);
  caller_.join();
  EXPECT_EQ(runtime_.refusal.code, ErrorCode::closed);
  EXPECT_EQ(runtime_.stats().refused, 1U);
}

}  // namespace
}  // namespace dynbatch

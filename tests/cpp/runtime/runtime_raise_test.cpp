// OnFull::raise never waits, however others race for the room that it has just counted.
#include <gmock/gmock.h>

#include <atomic>
#include <functional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "cpp/runtime/driven_runtime.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::DrivenRuntime;
using dynbatch::testing::HookedPlatform;

/// Calls a hook of the thread after a relaxed look at a block's word, as counting room takes one.
struct RacingPlatform : HookedPlatform {
  template <class T>
  struct atomic : std::atomic<T> {
    using std::atomic<T>::atomic;
    T load(std::memory_order order) const noexcept {
      const T value = std::atomic<T>::load(order);
      if (std::is_same_v<T, std::uint64_t> && order == std::memory_order_relaxed) {
        if (const std::function<void()> hook = std::exchange(on_look, nullptr)) hook();
      }
      return value;
    }
  };
  inline static thread_local std::function<void()> on_look;
};

RuntimeSetup setup_of(std::uint32_t blocks, std::uint32_t rows) {
  RuntimeSetup setup;
  setup.blocks = blocks;
  setup.block_rows = rows;
  setup.output_blocks = 4;
  setup.output_row_shapes = {Shape{1}};
  return setup;
}

using Driven = DrivenRuntime<RacingPlatform>;

TEST(RuntimeRaise, RequestIsRefusedWholeIfARivalTakesAPartOfItsRoom) {
  Driven* self = nullptr;
  Driven::Handle first, rival, tried, fits;
  int parks = 0;
  // Inside the only run, where a wait for room would be a wait for its own end.
  Driven runtime(setup_of(3, 2), [&](const Batch& batch, RunOutputs&) {
    if (first.accepted()) return self->log.run(batch);
    first = self->submit({1.0F});
    RacingPlatform::on_park = [&] { ++parks; };
    RacingPlatform::on_look = [&] { std::thread([&] { rival = self->submit({2.0F}); }).join(); };
    tried = self->submit({3.0F, 4.0F, 5.0F});  // there is room for three rows until it is counted
    RacingPlatform::on_look = nullptr;
    RacingPlatform::on_park = nullptr;
    fits = self->submit({6.0F, 7.0F});
    return self->log.run(batch);
  });
  self = &runtime;
  const auto leads = runtime.lead({0.0F});
  EXPECT_TRUE(rival.accepted());
  EXPECT_FALSE(tried.accepted());
  EXPECT_EQ(runtime.refusal.code, ErrorCode::queue_full);
  EXPECT_TRUE(fits.accepted()) << "room that was left is lost";
  EXPECT_EQ(parks, 0);
  EXPECT_EQ(leads.wait(), ErrorCode::none);
}

}  // namespace
}  // namespace dynbatch

// When a batch is alone, and runs with all CPUs.
#include <gmock/gmock.h>

#include <mutex>
#include <thread>
#include <vector>

#include "cpp/runtime/driven_runtime.hpp"
#include "runtime/runtime.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::add_one;
using dynbatch::testing::DrivenRuntime;
using dynbatch::testing::failed;
using dynbatch::testing::floats;
using dynbatch::testing::Gate;
using dynbatch::testing::HookedPlatform;
using ::testing::ElementsAre;

constexpr Nanoseconds kLimit = 1000;

/// Two permits; batches of up to 4 rows, of which 1, 2 and 4 rows gain when they are alone. Notes for
/// each run whether it was; rows below 0 fail, a row of 50 takes too long for a lone run, and one of 100
/// waits at the gate.
class LoneRuntime {
 public:
  explicit LoneRuntime(std::vector<bool> sizes = {false, true, true, false, true})
      : runtime_(setup_of(std::move(sizes)),
                 [this](const Batch& batch, RunOutputs&) { return run(batch); }) {}

  DrivenRuntime<HookedPlatform>& operator*() { return runtime_; }
  DrivenRuntime<HookedPlatform>* operator->() { return &runtime_; }
  Gate& gate() { return gate_; }
  std::vector<bool> alone() const {
    const std::lock_guard lock(mutex_);
    return alone_;
  }
  /// Leads a batch while another one, of this thread's making, is held in its run.
  void meet_company() {
    gate_.close();
    std::thread other([&] { runtime_.lead({100.0F}); });
    gate_.wait_for(1);
    runtime_.lead({1.0F});
    gate_.open();
    other.join();
  }

 private:
  static RuntimeSetup setup_of(std::vector<bool> sizes) {
    RuntimeSetup setup;
    setup.blocks = 4;
    setup.block_rows = 4;
    setup.workers = 2;
    setup.output_blocks = 6;
    setup.output_row_shapes = {Shape{1}};
    for (const bool gains : sizes) setup.lone_limits.push_back(gains ? kLimit : 0);
    return setup;
  }
  Failure run(const Batch& batch) {
    {
      const std::lock_guard lock(mutex_);
      alone_.push_back(batch.alone);
    }
    const float first = *floats(batch.inputs[0]);
    if (first == 100.0F) gate_.pass();
    if (first == 50.0F) HookedPlatform::advance(kLimit + 1);
    return first < 0.0F ? failed("negative") : add_one(batch);
  }

  Gate gate_;
  mutable std::mutex mutex_;
  std::vector<bool> alone_;
  DrivenRuntime<HookedPlatform> runtime_;
};

TEST(RuntimeLone, BatchWithoutCompanyIsAlone) {
  LoneRuntime runtime;
  runtime->lead({1.0F});
  runtime->lead({1.0F, 2.0F});
  EXPECT_THAT(runtime.alone(), ElementsAre(true, true));
  EXPECT_EQ(runtime->stats().runs_alone, 2U);
}

TEST(RuntimeLone, SizeThatDoesNotGainRunsLikeAnyOther) {
  LoneRuntime runtime;
  runtime->lead({1.0F, 2.0F, 3.0F});
  EXPECT_THAT(runtime.alone(), ElementsAre(false));
  EXPECT_EQ(runtime->stats().runs_alone, 0U);
}

TEST(RuntimeLone, WithoutSizesNoBatchIsAlone) {
  LoneRuntime runtime(std::vector<bool>{});
  runtime->lead({1.0F});
  EXPECT_THAT(runtime.alone(), ElementsAre(false));
}

TEST(RuntimeLone, BatchBesideARunIsNot) {
  LoneRuntime runtime;
  runtime.meet_company();
  EXPECT_THAT(runtime.alone(), ElementsAre(true, false));
}

TEST(RuntimeLone, FewBatchesAfterCompanyAreNot) {
  LoneRuntime runtime;
  runtime.meet_company();
  for (int turn = 0; turn < 6; ++turn) runtime->lead({1.0F});
  EXPECT_THAT(runtime.alone(), ElementsAre(true, false, false, false, false, false, true, true));
}

TEST(RuntimeLone, RunThatTakesTooLongPutsOffTheNextOnes) {
  LoneRuntime runtime;
  runtime->lead({1.0F});
  runtime->lead({50.0F});
  runtime->lead({1.0F});
  EXPECT_THAT(runtime.alone(), ElementsAre(true, true, false));
}

TEST(RuntimeLone, BatchBehindWhichOthersWaitIsNot) {
  LoneRuntime runtime;
  const auto older = runtime->submit({1.0F, 2.0F, 3.0F, 4.0F});
  const auto newer = runtime->lead({5.0F});
  EXPECT_TRUE(older.done());
  EXPECT_TRUE(newer.done());
  EXPECT_THAT(runtime.alone(), ElementsAre(false, false));
}

TEST(RuntimeLone, BatchThatAWorkerRunsMayBeAlone) {
  LoneRuntime runtime;
  runtime->add_worker();
  const auto request = runtime->submit({1.0F});
  EXPECT_EQ(request.wait(), ErrorCode::none);
  EXPECT_THAT(runtime.alone(), ElementsAre(true));
}

TEST(RuntimeLone, RerunsOfAFailedBatchAreNot) {
  LoneRuntime runtime;
  const auto bad = runtime->submit({-1.0F});
  const auto good = runtime->submit({2.0F});
  runtime->add_worker();
  EXPECT_EQ(bad.wait(), ErrorCode::execution);
  EXPECT_EQ(good.wait(), ErrorCode::none);
  EXPECT_THAT(runtime.alone(), ElementsAre(true, false, false));
}

}  // namespace
}  // namespace dynbatch

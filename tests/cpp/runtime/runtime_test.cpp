// The runtime on a clock that the test moves. Without workers, only a leading caller runs anything,
// so what runs and when is the test's.
#include "runtime/runtime.hpp"

#include <gmock/gmock.h>

#include <array>
#include <future>
#include <semaphore>
#include <thread>
#include <vector>

#include "batch/completion_list.hpp"
#include "cpp/runtime/driven_runtime.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::DrivenRuntime;
using dynbatch::testing::Gate;
using dynbatch::testing::HookedPlatform;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Driven = DrivenRuntime<HookedPlatform>;
using Rows = std::vector<float>;

constexpr Nanoseconds kDelay = 1000;

RuntimeSetup setup_of(std::uint32_t blocks, std::uint32_t rows, Nanoseconds delay = 0) {
  RuntimeSetup setup;
  setup.blocks = blocks;
  setup.block_rows = rows;
  setup.output_blocks = 4;
  setup.max_delay = delay;
  setup.output_row_shapes = {Shape{1}};
  return setup;
}

TEST(Runtime, LoneCallerRunsItsRequestBeforeSubmitReturns) {
  Driven runtime(setup_of(2, 4));
  const auto request = runtime.lead({1.0F});
  EXPECT_TRUE(request.done());
  EXPECT_EQ(runtime.stats().runs_on_callers, 1U);
}

TEST(Runtime, SubmitThatMayNotLeadRunsNothing) {
  Driven runtime(setup_of(2, 4));
  const auto request = runtime.submit({1.0F});
  EXPECT_FALSE(request.done());
  EXPECT_THAT(runtime.log.runs(), IsEmpty());
}

TEST(Runtime, LeaderRunsWhatWaitedBesideItsOwnRows) {
  Driven runtime(setup_of(2, 4));
  const auto waits = runtime.submit({1.0F});
  const auto leads = runtime.lead({2.0F});
  EXPECT_TRUE(waits.done());
  EXPECT_THAT(runtime.log.runs(), ElementsAre(Rows{1.0F, 2.0F}));
}

TEST(Runtime, LeaderRunsOlderBatchesUntilItsOwnIsDone) {
  Driven runtime(setup_of(3, 2));
  const auto older = runtime.submit({1.0F, 2.0F});
  const auto leads = runtime.lead({3.0F});
  EXPECT_TRUE(leads.done());
  EXPECT_THAT(runtime.log.runs(), ElementsAre(Rows{1.0F, 2.0F}, Rows{3.0F}));
}

TEST(Runtime, RowsAreNotRunBeforeTheyAreDue) {
  Driven runtime(setup_of(2, 4, kDelay));
  const auto first = runtime.lead({1.0F});
  HookedPlatform::advance(kDelay - 1);
  const auto second = runtime.lead({2.0F});
  EXPECT_FALSE(first.done());
  EXPECT_THAT(runtime.log.runs(), IsEmpty());
}

TEST(Runtime, RowsRunWhenTheFirstOfThemIsDue) {
  Driven runtime(setup_of(2, 4, kDelay));
  const auto first = runtime.lead({1.0F});
  HookedPlatform::advance(kDelay);
  const auto second = runtime.lead({2.0F});
  EXPECT_TRUE(first.done());
  EXPECT_THAT(runtime.log.runs(), ElementsAre(Rows{1.0F, 2.0F}));
  EXPECT_EQ(runtime.stats().closed_delay, 1U);
}

TEST(Runtime, FullBatchDoesNotWaitForItsTime) {
  Driven runtime(setup_of(2, 2, kDelay));
  const auto first = runtime.lead({1.0F});
  const auto second = runtime.lead({2.0F});
  EXPECT_TRUE(first.done());
  EXPECT_EQ(runtime.stats().closed_full, 1U);
}

TEST(Runtime, ParkedWorkerWakesByItselfWhenRowsAreDue) {
  Driven runtime(setup_of(2, 4, kDelay));
  runtime.add_worker();
  const auto request = runtime.submit({1.0F});
  HookedPlatform::advance(kDelay);
  EXPECT_EQ(request.wait(), ErrorCode::none);
  runtime->close(true);
  EXPECT_EQ(runtime.stats().closed_delay, 1U);
}

TEST(Runtime, WorkerWakesForTheSecondBatchAfterTheFirst) {
  Driven runtime(setup_of(3, 4, kDelay));
  runtime.add_worker();
  for (int turn = 0; turn < 20; ++turn) {
    const auto request = runtime.submit({1.0F});
    HookedPlatform::advance(kDelay);
    EXPECT_EQ(request.wait(), ErrorCode::none);
  }
  runtime->close(true);
  EXPECT_EQ(runtime.stats().closed_delay, 20U);
}

TEST(Runtime, DelayThatIsTakenAwayMakesRowsDue) {
  Driven runtime(setup_of(2, 4, kDelay));
  runtime.add_worker();
  const auto request = runtime.submit({1.0F});
  runtime->set_max_delay(0);
  EXPECT_EQ(request.wait(), ErrorCode::none);
}

TEST(Runtime, ShorterDelayHoldsForRowsThatWaitAlready) {
  Driven runtime(setup_of(2, 4, kDelay));
  runtime.add_worker();
  const auto request = runtime.submit({1.0F});
  runtime->set_max_delay(kDelay / 2);
  HookedPlatform::advance(kDelay / 2);
  EXPECT_EQ(request.wait(), ErrorCode::none);
}

TEST(Runtime, LongerDelayHoldsForRowsThatWaitAlready) {
  Driven runtime(setup_of(2, 4, kDelay));
  const auto first = runtime.lead({1.0F});
  runtime->set_max_delay(2 * kDelay);
  HookedPlatform::advance(kDelay);
  const auto second = runtime.lead({2.0F});
  EXPECT_FALSE(first.done());
  HookedPlatform::advance(kDelay);
  const auto third = runtime.lead({3.0F});
  EXPECT_TRUE(first.done());
}

TEST(Runtime, RowsOfBeforeADelayWasSetDoNotWait) {
  Driven runtime(setup_of(2, 4));
  const auto before = runtime.submit({1.0F});
  runtime->set_max_delay(kDelay);
  const auto after_it = runtime.lead({2.0F});
  EXPECT_TRUE(before.done());
}

TEST(Runtime, RowsAreDueOnceSomebodyWaitsForRoom) {
  Gate gate;
  gate.close();
  RuntimeSetup setup = setup_of(2, 4, kDelay);
  setup.workers = 2;
  Driven runtime(setup, [&](const Batch&, RunOutputs&) {
    gate.pass();
    return Failure{};
  });
  runtime.add_worker();
  runtime.add_worker();
  const auto full = runtime.submit({1.0F, 2.0F, 3.0F, 4.0F});
  gate.wait_for(1);
  const auto waits = runtime.submit({5.0F});
  CompletionList<HookedPlatform> port;
  runtime->notify_space(port, &gate, 4);  // the open block has room for three
  gate.wait_for(2);
  gate.open();
  runtime->close(true);
  EXPECT_EQ(runtime.stats().closed_space, 1U);
  std::vector<void*> contexts;
  port.drain(contexts);
  EXPECT_THAT(contexts, ElementsAre(&gate));
}

TEST(Runtime, RequestLargerThanTheQueueRunsItsOwnRowsToGetRoom) {
  Driven runtime(setup_of(2, 4, kDelay));
  runtime.add_worker();
  const auto small = runtime.submit({1.0F});
  const auto large = runtime.submit(Rows(15, 2.0F), {.on_full = OnFull::wait});
  EXPECT_EQ(large.wait(), ErrorCode::none);
  EXPECT_EQ(small.wait(), ErrorCode::none);
}

TEST(Runtime, CallersThatWaitForRoomAreServedInTheOrderTheyCame) {
  std::counting_semaphore<> runs_allowed(0);
  Driven runtime(setup_of(2, 1), [&](const Batch&, RunOutputs&) {
    runs_allowed.acquire();
    return Failure{};
  });
  const auto first = runtime.submit({100.0F});
  const auto second = runtime.submit({200.0F});
  std::counting_semaphore<> served(0);
  std::vector<int> order;  // written by one served caller at a time
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    std::promise<void> parked;
    callers.emplace_back([&, i] {
      HookedPlatform::on_park = [&] {
        HookedPlatform::on_park = nullptr;
        parked.set_value();
      };
      const auto request = runtime.submit({static_cast<float>(i)}, {.on_full = OnFull::wait});
      order.push_back(i);
      served.release();
      EXPECT_EQ(request.wait(), ErrorCode::none);
    });
    parked.get_future().wait();
  }
  runtime.add_worker();
  for (int i = 0; i < 4; ++i) {
    runs_allowed.release();  // one block becomes free
    served.acquire();
  }
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3));
  runs_allowed.release(2);
  for (std::thread& caller : callers) caller.join();
}

TEST(Runtime, GivenUpRequestIsSkippedIfItStandsAtAnEnd) {
  Driven runtime(setup_of(2, 8));
  const auto first = runtime.submit({1.0F});
  const auto second = runtime.submit({2.0F});
  const auto third = runtime.submit({3.0F});
  EXPECT_TRUE(first.cancel());
  EXPECT_TRUE(third.cancel());
  const auto leads = runtime.submit({4.0F});
  EXPECT_TRUE(leads.cancel());
  runtime.add_worker();
  EXPECT_EQ(second.wait(), ErrorCode::none);
  runtime->close(true);
  EXPECT_THAT(runtime.log.runs(), ElementsAre(Rows{2.0F}));
}

TEST(Runtime, GivenUpRequestInTheMiddleKeepsItsPlace) {
  Driven runtime(setup_of(2, 8));
  const auto first = runtime.submit({1.0F});
  const auto second = runtime.submit({2.0F});
  EXPECT_TRUE(second.cancel());
  const auto leads = runtime.lead({3.0F});
  EXPECT_THAT(runtime.log.runs(), ElementsAre(Rows{1.0F, 2.0F, 3.0F}));
  EXPECT_EQ(second.wait(), ErrorCode::cancelled);
}

TEST(Runtime, BatchThatIsGivenUpWholeIsNotRunAndHasNoReason) {
  Driven runtime(setup_of(2, 8));
  const auto request = runtime.submit({1.0F});
  EXPECT_TRUE(request.cancel());
  runtime.add_worker();
  runtime->close(true);
  const Stats stats = runtime.stats();
  EXPECT_EQ(stats.batches, 0U);
  EXPECT_EQ(stats.closed_full + stats.closed_idle + stats.closed_delay + stats.closed_space +
                stats.closed_drain,
            0U);
  EXPECT_EQ(stats.cancelled, 1U);
  EXPECT_EQ(stats.in_flight, 0U);
}

TEST(Runtime, ExclusiveRequestsRunOneByOne) {
  RuntimeSetup setup = setup_of(4, 4);
  setup.exclusive = true;
  Driven runtime(setup);
  const auto first = runtime.submit({1.0F});
  const auto second = runtime.submit({2.0F, 3.0F});
  const auto leads = runtime.lead({4.0F});
  EXPECT_THAT(runtime.log.runs(), ElementsAre(Rows{1.0F}, Rows{2.0F, 3.0F}, Rows{4.0F}));
}

/// Who was told of room may never come for it; with nothing in flight nobody else would be woken.
TEST(Runtime, RoomIsNotKeptForWhoWasToldOnceNothingIsInFlight) {
  Driven runtime(setup_of(2, 1));
  const auto first = runtime.submit({1.0F});
  const auto second = runtime.submit({2.0F});
  CompletionList<HookedPlatform> port;
  runtime->notify_space(port, &port, 2);
  std::promise<void> parked;
  std::thread caller([&] {
    HookedPlatform::on_park = [&] {
      HookedPlatform::on_park = nullptr;
      parked.set_value();
    };
    EXPECT_EQ(runtime.submit({3.0F}, {.on_full = OnFull::wait}).wait(), ErrorCode::none);
  });
  parked.get_future().wait();
  runtime.add_worker();
  caller.join();
  std::vector<void*> contexts;
  port.drain(contexts);
  EXPECT_THAT(contexts, ElementsAre(&port));
}

/// The rest of a cut request waits behind a notice of more room than there will be while it waits.
TEST(Runtime, NoticeOfMoreRoomThanThereIsHoldsNobodyUp) {
  Driven runtime(setup_of(2, 1));
  const auto first = runtime.submit({1.0F});
  CompletionList<HookedPlatform> port;
  std::promise<void> parked;
  std::thread caller([&] {
    HookedPlatform::on_park = [&] {
      HookedPlatform::on_park = nullptr;
      parked.set_value();
    };
    const auto large = runtime.submit(Rows(6, 2.0F), {.on_full = OnFull::wait});
    EXPECT_EQ(large.wait(), ErrorCode::none);
  });
  parked.get_future().wait();
  runtime->notify_space(port, &port, 3);
  runtime.add_worker();
  caller.join();
  port.event().wait();
  std::vector<void*> contexts;
  port.drain(contexts);
  EXPECT_THAT(contexts, ElementsAre(&port));
}

/// Each request takes a block of its own there, however few rows it has.
TEST(Runtime, NoticesOfAnExclusiveRuntimeCountBlocks) {
  std::counting_semaphore<> runs_allowed(0);
  RuntimeSetup setup = setup_of(2, 4);
  setup.exclusive = true;
  Driven runtime(setup, [&](const Batch&, RunOutputs&) {
    runs_allowed.acquire();
    return Failure{};
  });
  const auto first = runtime.submit({1.0F});
  const auto second = runtime.submit({2.0F});
  CompletionList<HookedPlatform> port;
  std::array<int, 2> waiters{};
  for (int& waiter : waiters) runtime->notify_space(port, &waiter, 1);
  runtime.add_worker();
  runs_allowed.release();  // one block becomes free
  EXPECT_EQ(first.wait(), ErrorCode::none);
  port.event().wait();
  std::vector<void*> told;
  port.drain(told);
  EXPECT_THAT(told, ElementsAre(&waiters[0]));
  runs_allowed.release();
  // The port must not go while the other notice is on its way.
  port.event().wait();
  port.drain(told);
  EXPECT_THAT(told, ElementsAre(&waiters[1]));
}

TEST(Runtime, NoticeOfRoomComesAtOnceIfThereIsRoom) {
  Driven runtime(setup_of(2, 1));
  CompletionList<HookedPlatform> port;
  int context = 0;
  runtime->notify_space(port, &context, 1);
  std::vector<void*> contexts;
  port.drain(contexts);
  EXPECT_THAT(contexts, ElementsAre(&context));
}

TEST(Runtime, NoticeOfRoomComesWhenABlockIsFree) {
  Driven runtime(setup_of(2, 1));
  CompletionList<HookedPlatform> port;
  int context = 0;
  std::vector<void*> contexts;
  const auto first = runtime.submit({1.0F});
  const auto second = runtime.submit({2.0F});
  EXPECT_FALSE(runtime.submit({3.0F}).accepted());
  EXPECT_EQ(runtime.refusal.code, ErrorCode::queue_full);
  runtime->notify_space(port, &context, 1);
  port.drain(contexts);
  EXPECT_THAT(contexts, IsEmpty());
  runtime.add_worker();
  port.event().wait();
  port.drain(contexts);
  EXPECT_THAT(contexts, ElementsAre(&context));
}

/// A row is published with the delay of before it was changed; the change has seen no row yet.
TEST(Runtime, DelayThatChangesWhileRowsAreWrittenHoldsForThem) {
  Driven runtime(setup_of(2, 4, kDelay));
  runtime.add_worker();
  std::thread submitter([&] {
    HookedPlatform::on_now = [&] {
      HookedPlatform::on_now = nullptr;
      runtime->set_max_delay(0);
    };
    const auto request = runtime.submit({1.0F});
    EXPECT_EQ(request.wait(), ErrorCode::none);
  });
  submitter.join();
}

}  // namespace
}  // namespace dynbatch

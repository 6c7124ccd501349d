// The runtime on a clock that the test moves. Without workers, only a leading caller runs anything,
// so what runs and when is the test's.
#include "runtime/runtime.hpp"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>
#include <optional>
#include <thread>
#include <vector>

#include <dynbatch/completion_port.hpp>

#include "cpp/runtime/driven_runtime.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::DrivenRuntime;
using dynbatch::testing::failed;
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
  CompletionPort port;
  runtime->notify_space(port.implementation(), &gate, 4);  // the open block has room for three
  gate.wait_for(2);
  gate.open();
  runtime->close(true);
  EXPECT_EQ(runtime.stats().closed_space, 1U);
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
  Driven runtime(setup_of(2, 1));
  const auto first = runtime.submit({100.0F});
  const auto second = runtime.submit({200.0F});
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    std::promise<void> parked;
    callers.emplace_back([&, i] {
      HookedPlatform::on_park = [&] {
        HookedPlatform::on_park = nullptr;
        parked.set_value();
      };
      const Rows row{static_cast<float>(i)};
      EXPECT_EQ(runtime.submit(row, {.on_full = OnFull::wait}).wait(), ErrorCode::none);
    });
    parked.get_future().wait();
  }
  runtime.add_worker();
  for (std::thread& caller : callers) caller.join();
  EXPECT_THAT(runtime.log.runs(),
              ElementsAre(Rows{100.0F}, Rows{200.0F}, Rows{0.0F}, Rows{1.0F}, Rows{2.0F}, Rows{3.0F}));
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

TEST(Runtime, NoticeOfRoomComesAtOnceIfThereIsRoom) {
  Driven runtime(setup_of(2, 1));
  CompletionPort port;
  int context = 0;
  runtime->notify_space(port.implementation(), &context, 1);
  std::vector<void*> contexts;
  port.drain(contexts);
  EXPECT_THAT(contexts, ElementsAre(&context));
}

TEST(Runtime, NoticeOfRoomComesWhenABlockIsFree) {
  Driven runtime(setup_of(2, 1));
  CompletionPort port;
  int context = 0;
  std::vector<void*> contexts;
  const auto first = runtime.submit({1.0F});
  const auto second = runtime.submit({2.0F});
  EXPECT_FALSE(runtime.submit({3.0F}).accepted());
  EXPECT_EQ(runtime.refusal.code, ErrorCode::queue_full);
  runtime->notify_space(port.implementation(), &context, 1);
  port.drain(contexts);
  EXPECT_THAT(contexts, IsEmpty());
  runtime.add_worker();
  port.wait();
  port.drain(contexts);
  EXPECT_THAT(contexts, ElementsAre(&context));
}

TEST(Runtime, ClosedRuntimeNoticesRoomAtOnce) {
  Driven runtime(setup_of(2, 1));
  runtime->close(true);
  CompletionPort port;
  int context = 0;
  runtime->notify_space(port.implementation(), &context, 1);
  std::vector<void*> contexts;
  port.drain(contexts);
  EXPECT_THAT(contexts, ElementsAre(&context));
}

TEST(Runtime, CloseNoticesThoseThatWaitForRoom) {
  Driven runtime(setup_of(2, 1));
  CompletionPort port;
  int context = 0;
  const auto first = runtime.submit({1.0F});
  const auto second = runtime.submit({2.0F});
  runtime->notify_space(port.implementation(), &context, 1);
  runtime->close(false);
  std::vector<void*> contexts;
  port.drain(contexts);
  EXPECT_THAT(contexts, ElementsAre(&context));
}

TEST(Runtime, CloseWithoutWorkersCancelsWhatWaits) {
  Driven runtime(setup_of(2, 4));
  const auto request = runtime.submit({1.0F});
  runtime->close(true);
  EXPECT_EQ(request.wait(), ErrorCode::cancelled);
  EXPECT_TRUE(runtime->invariants_hold());
}

TEST(Runtime, CloseWithoutWorkersEndsABatchThatFailedOnACaller) {
  Driven runtime(setup_of(2, 4), [](const Batch&, RunOutputs&) { return failed("no"); });
  const auto waits = runtime.submit({1.0F});
  const auto leads = runtime.lead({2.0F});
  EXPECT_FALSE(waits.done());  // a worker is to find out which of the two is guilty
  runtime->close(true);
  EXPECT_TRUE(waits.done());
  EXPECT_TRUE(leads.done());
}

TEST(Runtime, CloseWithoutWorkersEndsABatchThatFailsMeanwhile) {
  Gate gate;
  gate.close();
  Driven runtime(setup_of(2, 4), [&](const Batch&, RunOutputs&) {
    gate.pass();
    return failed("no");
  });
  const auto waits = runtime.submit({1.0F});
  std::thread leader([&] { runtime.lead({2.0F}); });
  gate.wait_for(1);
  std::promise<void> parked;
  std::thread closer([&] {
    HookedPlatform::on_park = [&] {
      parked.set_value();
      HookedPlatform::on_park = nullptr;
    };
    runtime->close(true);
  });
  parked.get_future().wait();
  gate.open();
  closer.join();
  leader.join();
  EXPECT_TRUE(waits.done());
}

/// The rows are claimed but not yet published when close() looks.
TEST(Runtime, CloseWithoutWorkersWaitsForRowsThatAreBeingWritten) {
  Driven runtime(setup_of(2, 4, kDelay));
  std::promise<void> parked;
  std::thread closer;
  std::thread submitter([&] {
    HookedPlatform::on_now = [&] {
      HookedPlatform::on_now = nullptr;
      closer = std::thread([&] {
        HookedPlatform::on_park = [&] {
          HookedPlatform::on_park = nullptr;
          parked.set_value();
        };
        runtime->close(false);
      });
      parked.get_future().wait();
    };
    const auto request = runtime.submit({1.0F});
    EXPECT_EQ(request.wait(), ErrorCode::cancelled);
  });
  submitter.join();
  closer.join();
  EXPECT_EQ(runtime.stats().in_flight, 0U);
}

/// The same with a worker, which leaves only after the rows have been run.
TEST(Runtime, DrainingCloseWaitsForRowsThatAreBeingWritten) {
  Driven runtime(setup_of(2, 4, kDelay));
  runtime.add_worker();
  std::promise<void> parked;
  std::thread closer;
  std::thread submitter([&] {
    HookedPlatform::on_now = [&] {
      HookedPlatform::on_now = nullptr;
      closer = std::thread([&] {
        HookedPlatform::on_park = [&] {
          HookedPlatform::on_park = nullptr;
          parked.set_value();
        };
        runtime->close(true);
      });
      parked.get_future().wait();
    };
    const auto request = runtime.submit({1.0F});
    EXPECT_EQ(request.wait(), ErrorCode::none);
  });
  submitter.join();
  closer.join();
  EXPECT_EQ(runtime.stats().closed_drain, 1U);
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

TEST(Runtime, EntriesOfAForkedChildAnswerClosedThoughTheLockIsHeld) {
  Driven runtime(setup_of(2, 4, kDelay));
  std::promise<void> locked;
  std::promise<void> forked;
  std::thread holder([&] {
    int calls = 0;
    HookedPlatform::on_now = [&] {
      if (++calls != 2) return;  // the first is made by publish, the second under the lock
      locked.set_value();
      forked.get_future().wait();
    };
    runtime.lead({1.0F});
    HookedPlatform::on_now = nullptr;
  });
  locked.get_future().wait();
  const pid_t child = fork();
  if (child == 0) {
    alarm(30);  // ends a child that waits for the lock
    int faults = 0;
    if (runtime.submit({1.0F}).accepted() || runtime.refusal.code != ErrorCode::closed) ++faults;
    if (!runtime->closed()) ++faults;
    if (runtime->average_run_time() != 0) ++faults;
    if (runtime.stats().batches != 0) ++faults;
    runtime->set_max_delay(5);
    runtime->work();
    runtime->wait_for_workers(1);
    runtime->close(true);
    CompletionPort port;
    std::vector<void*> contexts;
    runtime->notify_space(port.implementation(), &contexts, 1);
    port.drain(contexts);
    if (contexts.size() != 1) ++faults;
    _exit(faults);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  forked.set_value();
  holder.join();
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace dynbatch

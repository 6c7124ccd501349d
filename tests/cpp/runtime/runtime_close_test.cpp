// Closing a runtime whose threads and clock are the test's, and using one in the child of a fork.
#include "runtime/runtime.hpp"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>
#include <thread>
#include <vector>

#include "batch/completion_list.hpp"
#include "cpp/runtime/driven_runtime.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::DrivenRuntime;
using dynbatch::testing::failed;
using dynbatch::testing::Gate;
using dynbatch::testing::HookedPlatform;
using ::testing::ElementsAre;

using Driven = DrivenRuntime<HookedPlatform>;
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

TEST(RuntimeClose, ClosedRuntimeNoticesRoomAtOnce) {
  Driven runtime(setup_of(2, 1));
  runtime->close(true);
  CompletionList<HookedPlatform> port;
  int context = 0;
  runtime->notify_space(port, &context, 1);
  std::vector<void*> contexts;
  port.drain(contexts);
  EXPECT_THAT(contexts, ElementsAre(&context));
}

TEST(RuntimeClose, BatchThatFailedOnItsCallerIsCountedOnce) {
  Driven runtime(setup_of(2, 2, kDelay),
                 [](const Batch&, RunOutputs&) { return failed("poison"); });
  const auto waits = runtime.submit({1.0F});
  const auto leads = runtime.lead({2.0F});  // and leaves what failed to a worker, which never comes
  EXPECT_FALSE(waits.done() || leads.done());
  runtime->close(false);
  EXPECT_EQ(waits.wait(), ErrorCode::cancelled);
  EXPECT_EQ(leads.wait(), ErrorCode::cancelled);
  const Stats stats = runtime.stats();
  EXPECT_EQ(stats.batches, 1U);
  EXPECT_EQ(stats.failed_runs, 1U);
  EXPECT_EQ(stats.closed_full, 1U);
  EXPECT_EQ(stats.closed_drain, 0U);
}

TEST(RuntimeClose, CloseNoticesThoseThatWaitForRoom) {
  Driven runtime(setup_of(2, 1));
  CompletionList<HookedPlatform> port;
  int context = 0;
  const auto first = runtime.submit({1.0F});
  const auto second = runtime.submit({2.0F});
  runtime->notify_space(port, &context, 1);
  runtime->close(false);
  std::vector<void*> contexts;
  port.drain(contexts);
  EXPECT_THAT(contexts, ElementsAre(&context));
}

TEST(RuntimeClose, CloseWithoutWorkersCancelsWhatWaits) {
  Driven runtime(setup_of(2, 4));
  const auto request = runtime.submit({1.0F});
  runtime->close(true);
  EXPECT_EQ(request.wait(), ErrorCode::cancelled);
  EXPECT_TRUE(runtime->invariants_hold());
}

TEST(RuntimeClose, CloseWithoutWorkersEndsABatchThatFailedOnACaller) {
  Driven runtime(setup_of(2, 4), [](const Batch&, RunOutputs&) { return failed("no"); });
  const auto waits = runtime.submit({1.0F});
  const auto leads = runtime.lead({2.0F});
  EXPECT_FALSE(waits.done());  // a worker is to find out which of the two is guilty
  runtime->close(true);
  EXPECT_TRUE(waits.done());
  EXPECT_TRUE(leads.done());
}

TEST(RuntimeClose, CloseWithoutWorkersEndsABatchThatFailsMeanwhile) {
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
TEST(RuntimeClose, CloseWithoutWorkersWaitsForRowsThatAreBeingWritten) {
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
TEST(RuntimeClose, DrainingCloseWaitsForRowsThatAreBeingWritten) {
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

TEST(RuntimeClose, EntriesOfAForkedChildAnswerClosedThoughTheLockIsHeld) {
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
    CompletionList<HookedPlatform> port;
    std::vector<void*> contexts;
    runtime->notify_space(port, &contexts, 1);
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

// A worker that keeps its permit for a while after a run: rows that come meanwhile are its own to find,
// and those that come as it gives up are found by somebody else.
#include <gtest/gtest.h>

#include <memory>

#include "model/exploration.hpp"
#include "model/model_runtime.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::explore;
using dynbatch::testing::make_runtime;
using dynbatch::testing::ModelRuntime;
using dynbatch::testing::Schedule;

constexpr Nanoseconds kRunTime = 10'000;  // half of which is more than the poll

RuntimeSetup lingering(std::size_t workers = 1, std::uint32_t block_rows = 2) {
  RuntimeSetup setup = ModelRuntime::setup(workers, 3, block_rows);
  setup.longest_linger = 2'000;
  return setup;
}

/// Comes while the first run goes on, or the worker polls after it.
Nanoseconds during_the_poll(const Schedule& schedule) { return schedule.now() + kRunTime + 1; }

TEST(LingerModel, RowsThatComeMeanwhileRun) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, lingering());
    runtime->let_runs_take_time(kRunTime);
    const Nanoseconds later = during_the_poll(schedule);
    schedule.thread("submitter", [runtime] { runtime->submit({1.0F}); });
    schedule.thread("late", [runtime, later, &schedule] {
      schedule.sleep_until(later);
      runtime->submit({2.0F});
    });
  });
}

TEST(LingerModel, CallersQueueMeanwhile) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, lingering(1, 1));
    runtime->let_runs_take_time(kRunTime);
    const Nanoseconds later = during_the_poll(schedule);
    schedule.thread("submitter", [runtime] { runtime->submit({1.0F}); });
    schedule.thread("caller", [runtime, later, &schedule] {
      schedule.sleep_until(later);
      runtime->infer({2.0F});
    });
  });
}

TEST(LingerModel, TwoWorkersThatPollLeaveNothingBehind) {
  const auto make = [](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, lingering(2, 1));
    runtime->let_runs_take_time(kRunTime);
    const Nanoseconds later = during_the_poll(schedule);
    for (int i = 1; i <= 2; ++i)
      schedule.thread("submitter", [runtime, i] { runtime->submit({static_cast<float>(i)}); });
    schedule.thread("late", [runtime, later, &schedule] {
      schedule.sleep_until(later);
      runtime->submit({3.0F});
    });
  };
  explore(make, 1);  // a second preemption takes minutes
}

TEST(LingerModel, ARowThatIsNotYetDueHasATimekeeper) {
  explore([](Schedule& schedule) {
    RuntimeSetup setup = lingering();
    setup.max_delay = 1'000;
    const auto runtime = make_runtime(schedule, setup);
    runtime->let_runs_take_time(kRunTime);
    const Nanoseconds later = during_the_poll(schedule) + setup.max_delay;
    schedule.thread("submitter", [runtime] { runtime->submit({1.0F}); });
    schedule.thread("late", [runtime, later, &schedule] {
      schedule.sleep_until(later);
      runtime->submit({2.0F});
    });
  });
}

TEST(LingerModel, ClosingEndsThePoll) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, lingering());
    runtime->let_runs_take_time(kRunTime);
    const Nanoseconds later = during_the_poll(schedule);
    schedule.thread("submitter", [runtime] { runtime->submit({1.0F}); });
    schedule.thread("closer", [runtime, later, &schedule] {
      schedule.sleep_until(later);
      (*runtime)->close(true);
    });
  });
}

}  // namespace
}  // namespace dynbatch

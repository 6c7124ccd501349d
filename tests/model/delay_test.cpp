// Rows that wait for company: a row that is not yet due has a worker that wakes in time, whatever
// happens to the delay meanwhile.
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

constexpr Nanoseconds kDelay = 1'000;

RuntimeSetup delayed(std::uint32_t block_rows = 2) {
  RuntimeSetup setup = ModelRuntime::setup(1, 3, block_rows);
  setup.max_delay = kDelay;
  return setup;
}

TEST(DelayModel, ALoneRowRunsWhenItsTimeIsUp) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, delayed());
    schedule.thread("submitter", [runtime] { runtime->submit({1.0F}); });
  });
}

TEST(DelayModel, RowsThatComeOneByOneAllRun) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, delayed(3));
    schedule.thread("submitter", [runtime] { runtime->submit({1.0F}); });
    schedule.thread("submitter", [runtime] { runtime->submit({2.0F}); });
  });
}

TEST(DelayModel, AFullBatchDoesNotWaitForTheTimer) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, delayed());
    schedule.stop_clock();
    schedule.thread("submitter", [runtime] { runtime->submit({1.0F}); });
    schedule.thread("submitter", [runtime] { runtime->submit({2.0F}); });
  });
}

TEST(DelayModel, ACallerWaitsForCompanyToo) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, delayed());
    schedule.thread("caller", [runtime] { runtime->infer({1.0F}); });
    schedule.thread("submitter", [runtime] { runtime->submit({2.0F}); });
  });
}

TEST(DelayModel, RowsBecomeDueWhenTheDelayGoes) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, delayed());
    schedule.stop_clock();
    schedule.thread("submitter", [runtime] { runtime->submit({1.0F}); });
    schedule.thread("changer", [runtime] { (*runtime)->set_max_delay(0); });
  });
}

TEST(DelayModel, AShorterDelayHoldsForRowsThatWait) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, delayed());
    schedule.thread("submitter", [runtime] { runtime->submit({1.0F}); });
    schedule.thread("changer", [runtime] { (*runtime)->set_max_delay(kDelay / 2); });
  });
}

/// The timekeeper wakes for rows that a caller has run meanwhile. Who publishes just then must not
/// rely on its old time.
TEST(DelayModel, ARowThatComesAsTheTimekeeperWakesRuns) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, delayed());
    const Nanoseconds due = schedule.now() + kDelay;
    schedule.thread("caller", [runtime, &schedule] {
      runtime->submit({1.0F});
      schedule.sleep_until(schedule.now() + 1);  // the worker comes to keep the time
      runtime->submit({2.0F}, {}, true);
    });
    schedule.thread("late", [runtime, due, &schedule] {
      schedule.sleep_until(due);
      runtime->submit({3.0F});
    });
  });
}

}  // namespace
}  // namespace dynbatch

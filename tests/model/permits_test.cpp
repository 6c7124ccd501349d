// Permits, leaders and parked workers: a due row and a free permit never coexist without a thread on
// its way. So no schedule ends with everybody parked while an accepted request is not done.
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

float value(int number) { return static_cast<float>(number); }

TEST(PermitsModel, AWorkerComesForEveryRow) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup());
    for (int i = 1; i <= 2; ++i)
      schedule.thread("submitter", [runtime, i] { runtime->submit({value(i)}); });
  });
}

TEST(PermitsModel, AWorkerThatComesLateLooks) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup(), 0);
    schedule.thread("submitter", [runtime] { runtime->submit({1.0F}); });
    schedule.daemon("late worker", [runtime] { (*runtime)->work(); });
  });
}

TEST(PermitsModel, ASecondBatchWakesASecondWorker) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup(2, 3, 1));
    for (int i = 1; i <= 2; ++i)
      schedule.thread("submitter", [runtime, i] { runtime->submit({value(i)}); });
  });
}

TEST(PermitsModel, AThreadThatComesAgainFindsAWorker) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup());
    schedule.thread("submitter", [runtime] {
      for (int i = 1; i <= 3; ++i) runtime->submit({value(i)});
    });
  });
}

TEST(PermitsModel, CallersThatLeadLeaveNobodyBehind) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup());
    for (int i = 1; i <= 2; ++i)
      schedule.thread("caller", [runtime, i] { runtime->infer({value(i)}); });
  });
}

TEST(PermitsModel, ACallerLeavesTheRowsOfOthersToAWorker) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup(1, 3, 1));
    schedule.thread("caller", [runtime] { runtime->infer({1.0F}); });
    schedule.thread("submitter", [runtime] { runtime->submit({2.0F}); });
  });
}

TEST(PermitsModel, RowsThatComeDuringARunAreSeenAfterIt) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup(1, 3, 1));
    runtime->let_runs_take_time();
    schedule.thread("caller", [runtime] { runtime->infer({1.0F}); });
    schedule.thread("submitter", [runtime] { runtime->submit({2.0F}); });
  });
}

TEST(PermitsModel, CallersWithoutWorkersRunThemselves) {
  explore([](Schedule& schedule) {
    RuntimeSetup setup = ModelRuntime::setup(2, 3, 1);
    const auto runtime = make_runtime(schedule, setup, 0);
    for (int i = 1; i <= 2; ++i)
      schedule.thread("caller", [runtime, i] { runtime->infer({value(i)}); });
  });
}

TEST(PermitsModel, TheParentOfCutRowsGetsThemAll) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup());
    schedule.thread("submitter", [runtime] { runtime->submit({1.0F, 2.0F, 3.0F}); });
    schedule.thread("other", [runtime] { runtime->submit({4.0F}); });
  });
}

TEST(PermitsModel, APoisonedNeighbourFailsAlone) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup());
    schedule.thread("caller", [runtime] { runtime->infer({1.0F}); });
    schedule.thread("poisoner", [runtime] { runtime->submit({ModelRuntime::kPoison}); });
  });
}

}  // namespace
}  // namespace dynbatch

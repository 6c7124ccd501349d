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

TEST(PermitsModel, AWorkerComesForEveryRow) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup());
    for (int i = 1; i <= 2; ++i) {
      schedule.thread("submitter", [runtime, i] { runtime->submit({1.0F * static_cast<float>(i)}); });
    }
  });
}

TEST(PermitsModel, ACallerThatLeadsLeavesNobodyBehind) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup());
    for (int i = 1; i <= 2; ++i) {
      schedule.thread("caller", [runtime, i] { runtime->infer({1.0F * static_cast<float>(i)}); });
    }
  });
}

}  // namespace
}  // namespace dynbatch

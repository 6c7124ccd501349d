// close() at every moment: what was accepted ends, nobody is left behind, and everybody leaves.
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

TEST(CloseModel, DrainingAnswersWhatWasAccepted) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup());
    schedule.thread("submitter", [runtime] { runtime->submit({1.0F}); });
    schedule.thread("closer", [runtime] { (*runtime)->close(true); });
  });
}

TEST(CloseModel, DrainingDoesNotWaitForCompany) {
  explore([](Schedule& schedule) {
    RuntimeSetup setup = ModelRuntime::setup();
    setup.max_delay = 1'000;
    const auto runtime = make_runtime(schedule, setup);
    schedule.stop_clock();
    schedule.thread("submitter", [runtime] { runtime->submit({1.0F}); });
    schedule.thread("closer", [runtime] { (*runtime)->close(true); });
  });
}

TEST(CloseModel, DrainingWaitsForCallersThatLead) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup());
    schedule.thread("caller", [runtime] { runtime->infer({1.0F}); });
    schedule.thread("closer", [runtime] { (*runtime)->close(true); });
  });
}

TEST(CloseModel, DrainingRunsAllPartsOfACutRequest) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup(1, 2, 1));
    // Its first part may be accepted, and the rest be refused, only if close() cancels.
    schedule.thread("submitter",
                    [runtime] { runtime->submit({1.0F, 2.0F, 3.0F}, {.on_full = OnFull::wait}); });
    schedule.thread("closer", [runtime] { (*runtime)->close(true); });
  });
}

TEST(CloseModel, NotDrainingCancelsWhatWaits) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup());
    runtime->allow(ErrorCode::cancelled);
    schedule.thread("submitter", [runtime] { runtime->submit({1.0F}); });
    schedule.thread("closer", [runtime] { (*runtime)->close(false); });
  });
}

TEST(CloseModel, WhoWaitsForRoomIsRefused) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup(1, 1, 1));
    runtime->allow(ErrorCode::cancelled);
    for (int i = 1; i <= 2; ++i) {
      schedule.thread("submitter", [runtime, i] {
        runtime->submit({static_cast<float>(i)}, {.on_full = OnFull::wait});
      });
    }
    schedule.thread("closer", [runtime] { (*runtime)->close(false); });
  });
}

TEST(CloseModel, WithoutWorkersNobodyWaitsForEver) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup(), 0);
    runtime->allow(ErrorCode::cancelled);
    schedule.thread("submitter", [runtime] { runtime->submit({1.0F}); });
    schedule.thread("caller", [runtime] { runtime->submit({2.0F}, {}, true); });
    schedule.thread("closer", [runtime] { (*runtime)->close(true); });
  });
}

TEST(CloseModel, EveryCloserReturns) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup());
    runtime->allow(ErrorCode::cancelled);
    schedule.thread("submitter", [runtime] { runtime->submit({1.0F}); });
    schedule.thread("closer", [runtime] { (*runtime)->close(true); });
    schedule.thread("second closer", [runtime] { (*runtime)->close(false); });
  });
}

}  // namespace
}  // namespace dynbatch

// Requests that end from two sides: cancel and expiry against completion, tickets that are dropped, and
// requests that are used again.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>

#include "model/exploration.hpp"
#include "model/model_runtime.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::explore;
using dynbatch::testing::make_runtime;
using dynbatch::testing::ModelRuntime;
using dynbatch::testing::Schedule;

using Sent = ModelRuntime::Sent;

TEST(EndingModel, CancelAndCompletionEndARequestOnce) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup());
    runtime->allow(ErrorCode::cancelled);
    schedule.thread("submitter", [runtime] {
      Sent& sent = runtime->submit({1.0F});
      runtime->cancel(sent);
      runtime->drop(sent);
    });
    schedule.thread("neighbour", [runtime] { runtime->submit({2.0F}); });
  });
}

TEST(EndingModel, WhoeverWaitsIsToldOfACancel) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup());
    runtime->allow(ErrorCode::cancelled);
    const auto shared = std::make_shared<Sent*>(nullptr);
    schedule.thread("caller", [runtime, shared] {
      *shared = &runtime->submit({1.0F});
      wait_for_end(*(*shared)->request, kNever);
    });
    schedule.thread("canceller", [runtime, shared] {
      if (*shared != nullptr && (*shared)->accepted()) runtime->cancel(**shared);
    });
  });
}

TEST(EndingModel, ACallerWhoseTimeIsUpGoes) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup());
    runtime->allow(ErrorCode::timeout);
    schedule.thread("caller", [runtime] {
      Sent& sent = runtime->submit({1.0F});
      if (!wait_for_end(*sent.request, 1'500)) runtime->expire(sent);
      runtime->drop(sent);
    });
    schedule.thread("neighbour", [runtime] { runtime->infer({2.0F}); });
  });
}

TEST(EndingModel, ARequestThatIsUsedAgainIsANewOne) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup(1, 3, 1));
    runtime->allow(ErrorCode::cancelled);
    schedule.thread("submitter", [runtime] {
      Sent& sent = runtime->submit({1.0F});
      runtime->cancel(sent);
      runtime->drop(sent);
      runtime->submit({2.0F});
    });
    schedule.thread("other", [runtime] { runtime->infer({3.0F}); });
  });
}

TEST(EndingModel, WhoHasAnAnswerFindsItsRunCounted) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup(1, 3, 1));
    const auto answered = std::make_shared<std::uint64_t>(0);
    for (const float value : {1.0F, 2.0F}) {
      schedule.thread("caller", [runtime, answered, value, &schedule] {
        runtime->infer({value});
        const std::uint64_t least = ++*answered;
        Stats stats;
        (*runtime)->add_to(stats);
        schedule.expect(stats.batches >= least, "each run to be counted");
        schedule.expect(stats.closed_full >= least, "and why its batch was closed");
      });
    }
  });
}

/// Of a batch that failed first: on the caller that leads, or on the worker.
void expect_that_reruns_find_it_counted(bool may_lead) {
  std::uint64_t reruns = 0;  // in all schedules
  explore([may_lead, &reruns](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup());
    for (const float value : {1.0F, ModelRuntime::kPoison}) {
      schedule.thread("caller", [runtime, may_lead, value, &reruns, &schedule] {
        wait_for_end(*runtime->submit({value}, {}, may_lead).request, kNever);
        Stats stats;
        (*runtime)->add_to(stats);
        reruns += stats.reruns;
        schedule.expect(stats.batches > stats.reruns, "the first run to be counted");
        schedule.expect(stats.closed_full + stats.closed_idle == stats.batches - stats.reruns,
                        "and why its batch was closed");
      });
    }
  });
  EXPECT_GT(reruns, 0U);
}

TEST(EndingModel, WhoHasAnAnswerOfARerunFindsTheFirstRunCounted) {
  expect_that_reruns_find_it_counted(false);
}

TEST(EndingModel, WhoHasAnAnswerOfARerunFindsTheFirstRunOfACallerCounted) {
  expect_that_reruns_find_it_counted(true);
}

TEST(EndingModel, AReaderKeepsItsOutputBlock) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup(1, 3, 1));
    schedule.thread("reader", [runtime] {
      Sent& sent = runtime->infer({1.0F});
      runtime->infer({2.0F});
      runtime->drop(sent);
    });
    schedule.thread("other", [runtime] { runtime->infer({3.0F}); });
  });
}

}  // namespace
}  // namespace dynbatch

// Requests that are held together: they start when their holder says so, and at once when anybody who
// does not wait shares their block, wants room, or closes.
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

SubmitOptions held(OnFull on_full = OnFull::raise) {
  SubmitOptions options;
  options.on_full = on_full;
  options.hold = true;
  return options;
}

TEST(HoldModel, AHolderStartsWhatItHeld) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup(1, 3, 3));
    schedule.thread("holder", [runtime] {
      runtime->submit({1.0F}, held());
      runtime->submit({2.0F}, held());
      (*runtime)->start_held();
    });
  });
}

TEST(HoldModel, AFullBatchStartsByItself) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup());
    schedule.thread("holder", [runtime] {
      for (int i = 1; i <= 2; ++i) runtime->submit({static_cast<float>(i)}, held());
    });
  });
}

TEST(HoldModel, WhoDoesNotHoldIsNotKeptWaiting) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup(1, 3, 3));
    schedule.thread("holder", [runtime] {
      runtime->submit({1.0F}, held());
      runtime->submit({2.0F});  // nobody calls start_held()
    });
    schedule.thread("other holder", [runtime] {
      runtime->submit({3.0F}, held());
      (*runtime)->start_held();
    });
  });
}

TEST(HoldModel, ACallerLeadsRowsThatAreHeld) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup(1, 3, 3));
    schedule.thread("holder", [runtime] {
      runtime->submit({1.0F}, held());
      (*runtime)->start_held();
    });
    schedule.thread("caller", [runtime] { runtime->infer({2.0F}); });
  });
}

TEST(HoldModel, TwoHoldersStartEachOther) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup(1, 3, 3));
    for (int i = 1; i <= 2; ++i) {
      schedule.thread("holder", [runtime, i] {
        runtime->submit({static_cast<float>(i)}, held());
        (*runtime)->start_held();
      });
    }
  });
}

TEST(HoldModel, HeldRowsMakeRoomForWhoWaits) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup(1, 2, 2));
    schedule.thread("holder", [runtime] {
      runtime->submit({1.0F}, held());
      runtime->submit({2.0F, 3.0F, 4.0F, 5.0F}, held(OnFull::wait));
      (*runtime)->start_held();
    });
  });
}

TEST(HoldModel, CloseDrainsWhatIsHeld) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup(1, 3, 3));
    runtime->allow(ErrorCode::closed);
    schedule.thread("holder", [runtime] { runtime->submit({1.0F}, held()); });
    schedule.thread("closer", [runtime] { (*runtime)->close(true); });
  });
}

TEST(HoldModel, HeldRowsThatWaitForCompanyHaveATimekeeper) {
  explore([](Schedule& schedule) {
    RuntimeSetup setup = ModelRuntime::setup(1, 3, 3);
    setup.max_delay = 1'000;
    const auto runtime = make_runtime(schedule, setup);
    schedule.thread("holder", [runtime] {
      runtime->submit({1.0F}, held());
      (*runtime)->start_held();
    });
    schedule.thread("submitter", [runtime] { runtime->submit({2.0F}); });
  });
}

}  // namespace
}  // namespace dynbatch

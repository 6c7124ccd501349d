// Full queues: room that becomes free goes to those who wait for it, in their order, and rows that wait
// for company are due when somebody wants their room.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <vector>

#include "batch/completion_list.hpp"
#include "model/exploration.hpp"
#include "model/model_runtime.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::explore;
using dynbatch::testing::make_runtime;
using dynbatch::testing::ModelPlatform;
using dynbatch::testing::ModelRuntime;
using dynbatch::testing::Schedule;

constexpr SubmitOptions kWait{.on_full = OnFull::wait};

TEST(SpaceModel, WhoWaitsForRoomGetsIt) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup(1, 1, 1));
    for (int i = 1; i <= 2; ++i) {
      schedule.thread("submitter",
                      [runtime, i] { runtime->submit({static_cast<float>(i)}, kWait); });
    }
  });
}

TEST(SpaceModel, ALargeRequestGoesThroughASmallQueue) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup(1, 1, 1));
    schedule.thread("submitter", [runtime] { runtime->submit({1.0F, 2.0F}, kWait); });
    schedule.thread("other", [runtime] { runtime->submit({3.0F}, kWait); });
  });
}

TEST(SpaceModel, WhoseTimeIsUpIsOutOfTheLine) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup(1, 1, 1));
    schedule.thread("submitter", [runtime] { runtime->submit({1.0F}, kWait); });
    schedule.thread("hasty", [runtime] {
      runtime->submit({2.0F}, {.on_full = OnFull::wait, .timeout = std::chrono::nanoseconds(500)});
    });
  });
}

TEST(SpaceModel, RowsOfAnotherKeyAreDueWhenTheirRoomIsWanted) {
  explore([](Schedule& schedule) {
    RuntimeSetup setup = ModelRuntime::setup(1, 1, 2);
    setup.max_delay = 1'000;
    const auto runtime = make_runtime(schedule, setup, 1, true);
    schedule.stop_clock();
    schedule.thread("submitter", [runtime] {
      runtime->submit({1.0F}, kWait, false, 1.0F);
      // Fills its block, as nobody else wants its room.
      runtime->submit({2.0F, 3.0F}, kWait, false, 2.0F);
    });
  });
}

TEST(SpaceModel, WhoAskedIsToldOfRoom) {
  explore([](Schedule& schedule) {
    RuntimeSetup setup = ModelRuntime::setup(1, 1, 2);
    setup.max_delay = 1'000;
    const auto runtime = make_runtime(schedule, setup);
    schedule.stop_clock();
    const auto port = std::make_shared<CompletionList<ModelPlatform>>();
    schedule.thread("submitter", [runtime] { runtime->submit({1.0F}); });
    schedule.thread("asker", [runtime, port] { (*runtime)->notify_space(*port, port.get(), 2); });
    schedule.at_rest([runtime, port, &schedule] {
      std::vector<void*> contexts;
      port->drain(contexts);
      schedule.expect(contexts == std::vector<void*>{port.get()}, "the asker to be told once");
    });
  });
}

}  // namespace
}  // namespace dynbatch

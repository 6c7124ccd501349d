// The runtime between real threads, on a platform of its own type, so that the faults of
// base/mutant.hpp can be compiled into it alone. Those that take an order away leave schedules as
// they are: ThreadSanitizer sees them here (tests/model/mutants.py).
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "batch/request_pool.hpp"
#include "cpp/runtime/driven_runtime.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::DrivenRuntime;

struct OrderPlatform : StdPlatform {};

RuntimeSetup setup() {
  RuntimeSetup setup;
  setup.blocks = 4;
  setup.block_rows = 2;
  setup.output_blocks = 3;
  setup.output_row_shapes = {Shape{1}};
  return setup;
}

TEST(OrdersStress, AnswersArePublishedByTheEndOfTheirRequest) {
  DrivenRuntime<OrderPlatform> runtime(
      setup(), [](const Batch& batch, RunOutputs&) { return dynbatch::testing::add_one(batch); });
  runtime.add_worker();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&runtime, thread] {
      const std::vector<float> values(1, static_cast<float>(thread));
      const InputView view = dynbatch::testing::rows_of(values);
      for (int i = 0; i < 2'000 / DYNBATCH_STRESS_DIVISOR; ++i) {
        Failure refusal;
        const SubmitOptions how{.on_full = OnFull::wait};
        const DrivenRuntime<OrderPlatform>::Handle handle(
            runtime->submit({&view, 1}, how, thread == 0, refusal));
        ASSERT_TRUE(handle.accepted()) << refusal.message;
        while (!handle.done()) std::this_thread::yield();  // no futex that would order it as well
        const auto& request = handle.request();
        const float* const answer =
            request.outputs != nullptr
                ? dynbatch::testing::floats(request.outputs->tensors[0]) + request.first_row
                : dynbatch::testing::floats(request.own_outputs->tensors[0].data.get());
        EXPECT_EQ(*answer, values[0] + 1.0F);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(OrdersStress, AnObjectIsHandedOverWithWhatIsInIt) {
  struct Object {
    std::uint32_t index = 0;
    std::uint64_t uses = 0;
  };
  RequestPool<OrderPlatform, Object> pool;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&pool] {
      for (int i = 0; i < 20'000 / DYNBATCH_STRESS_DIVISOR; ++i) {
        Object* const object = pool.acquire();
        ++object->uses;
        pool.release(*object);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace dynbatch

// The two sessions of an executor: lone runs in the second one, and arenas that shrink.
#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include <dynbatch/onnxruntime_executor.hpp>

#include "cpp/executor/affine_model.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::affine;
using dynbatch::testing::affine_of;
using dynbatch::testing::FloatSlots;
using dynbatch::testing::open_graph;
using dynbatch::testing::rising;
using ::testing::HasSubstr;

/// Of this process, as the system counts it.
std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t pages = 0;
  file >> pages >> pages;
  return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

/// With a value for the free dimension "width": such a model is opened twice.
OnnxRuntimeOptions bound(OnnxRuntimeOptions options) {
  options.dimensions["width"] = 2;
  return options;
}

TEST(OnnxRuntimeSessions, LoneRunsAreOfferedOnlyIfThreadsAreGivenToThem) {
  EXPECT_FALSE(open_graph(affine({"batch", 1}))->offers_lone_runs());
  OnnxRuntimeOptions options;
  options.lone_threads = 2;
  EXPECT_TRUE(open_graph(affine({"batch", 1}), options)->offers_lone_runs());
}

TEST(OnnxRuntimeSessions, LoneRunsThatAreNotKeptAreNoLongerOffered) {
  OnnxRuntimeOptions options;
  options.lone_threads = 2;
  const auto executor = open_graph(affine({"batch", 1}), options);
  executor->keep_lone_runs(true);
  EXPECT_TRUE(executor->offers_lone_runs());
  executor->keep_lone_runs(false);
  EXPECT_FALSE(executor->offers_lone_runs());
}

TEST(OnnxRuntimeSessions, LoneRunAnswersFromTheSameMemoryKeptOrNot) {
  for (const bool kept : {true, false}) {
    OnnxRuntimeOptions options;
    options.lone_threads = 3;
    const auto executor = open_graph(affine({"batch", "width"}), bound(options));
    executor->keep_lone_runs(kept);
    FloatSlots memory(1, 8);
    executor->prepare(memory.prepared({4}));
    memory.fill(0, rising(8));
    const Failure failure = memory.run(*executor, 0, 4, {.alone = true});
    EXPECT_FALSE(failure) << failure.message;
    EXPECT_EQ(memory.outputs[0], affine_of(rising(8)));
  }
}

TEST(OnnxRuntimeSessions, LoneThreadsThatAreNoMoreThanOthersAreRefused) {
  OnnxRuntimeOptions options;
  options.intra_op_threads = 2;
  options.lone_threads = 2;
  EXPECT_THAT([&] { open_graph(affine({"batch", 1}), options); },
              ::testing::ThrowsMessage<Error>(HasSubstr("lone_threads: expected 3 to")));
}

TEST(OnnxRuntimeSessions, RunThatShrinksGivesTheMemoryOfLargerOnesBack) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer keeps what is freed";
#endif
  constexpr std::size_t kElements = std::size_t{1} << 20;  // of a row, 4 MiB
  constexpr std::size_t kRows = 8;
  const auto executor = open_graph(affine({"batch", static_cast<int>(kElements)}));
  FloatSlots memory(1, kRows * kElements);
  executor->prepare(memory.prepared({kRows}));
  // "doubled" lives in the arena, which keeps what was allocated first.
  ASSERT_FALSE(memory.run(*executor, 0, 1));
  ASSERT_FALSE(memory.run(*executor, 0, kRows));
  const std::size_t high = resident_bytes();
  ASSERT_FALSE(memory.run(*executor, 0, 1));
  EXPECT_GT(resident_bytes() + (std::size_t{8} << 20), high);
  ASSERT_FALSE(memory.run(*executor, 0, 1, {.shrinks = true}));
  EXPECT_LT(resident_bytes() + (kRows / 2) * kElements * sizeof(float), high);
  EXPECT_EQ(memory.outputs[0][kElements - 1], 1.0F);
}

TEST(OnnxRuntimeSessions, RunThatShrinksFailsAsOthersDo) {
  const auto executor = open_graph(affine({"batch", 1}));
  FloatSlots memory(1, 1);
  executor->prepare(memory.prepared({1}));
  executor->terminate();
  EXPECT_THAT(memory.run(*executor, 0, 1, {.shrinks = true}).message, HasSubstr("terminate"));
}

TEST(OnnxRuntimeSessions, TerminateEndsLoneRunsAsWell) {
  OnnxRuntimeOptions options;
  options.lone_threads = 2;
  const auto executor = open_graph(affine({"batch", 1}), options);
  FloatSlots memory(1, 1);
  executor->prepare(memory.prepared({1}));
  executor->terminate();
  EXPECT_THAT(memory.run(*executor, 0, 1, {.alone = true}).message, HasSubstr("terminate"));
}

}  // namespace
}  // namespace dynbatch

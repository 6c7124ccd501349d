// Memory follows the gear: what only larger batches needed is given back once batches have become smaller.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "cpp/runtime/driven_runtime.hpp"
#include "memory/lower_gear.hpp"
#include "runtime/runtime.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::DrivenRuntime;
using dynbatch::testing::floats;
using dynbatch::testing::HookedPlatform;
using dynbatch::testing::rows_of;

constexpr std::size_t kElements = 4096;  // of a row: 16 KiB, some pages
constexpr std::size_t kRowBytes = kElements * sizeof(float);
constexpr std::uint32_t kBlocks = 3;

/// Rows of 16 KiB in batches of up to 16, on a clock that the test moves; y = x.
class Wide {
 public:
  Wide()
      : runtime_(
            setup_of(), [this](const Batch& batch, RunOutputs&) { return run(batch); },
            wide_floats()) {}

  /// Leads a request of so many rows, and checks the answer.
  void infer(std::size_t rows) {
    std::vector<float> values(rows * kElements);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i + rows);
    const InputView view = rows_of(values, kElements);
    const auto request = runtime_.lead(view);
    ASSERT_TRUE(request.done());
    const auto* const outputs = request.request().outputs;
    ASSERT_NE(outputs, nullptr);
    const auto* const first = floats(outputs->tensors[0]) + request.request().first_row * kElements;
    EXPECT_EQ(std::vector<float>(first, first + values.size()), values);
  }
  /// Single rows, until the gear has been a lower one for long enough.
  void stay_low() {
    for (std::uint32_t i = 0; i <= LowerGear::kRuns; ++i) {
      infer(1);
      HookedPlatform::advance(LowerGear::kSpan / LowerGear::kRuns);
    }
  }
  Stats stats() { return runtime_.stats(); }
  std::vector<bool> shrinks() const { return shrinks_; }

 private:
  static RuntimeSetup setup_of() {
    RuntimeSetup setup;
    setup.blocks = kBlocks;
    setup.block_rows = 16;
    setup.output_blocks = kBlocks;
    setup.output_row_shapes = {Shape{kElements}};
    return setup;
  }
  static ModelSpec wide_floats() {
    const Shape row{static_cast<std::int64_t>(kElements)};
    ModelSpec spec;
    spec.inputs = {{.name = "x", .dtype = DataType::float32, .row_shape = row}};
    spec.outputs = {{.name = "y", .dtype = DataType::float32, .row_shape = row}};
    return spec;
  }
  Failure run(const Batch& batch) {
    shrinks_.push_back(batch.shrinks);
    std::memcpy(batch.outputs[0], batch.inputs[0], batch.rows * kRowBytes);
    return {};
  }

  std::vector<bool> shrinks_;
  DrivenRuntime<HookedPlatform> runtime_;
};

TEST(RuntimeMemory, ResidentBytesFollowTheGearDown) {
  Wide wide;
  for (std::uint32_t block = 0; block < kBlocks; ++block) wide.infer(16);
  const std::size_t high = wide.stats().resident_bytes;
  EXPECT_GE(high, (kBlocks + 1) * 16 * kRowBytes);  // all blocks, and one for outputs
  wide.stay_low();
  EXPECT_EQ(wide.stats().resident_bytes, high);  // the blocks are trimmed when they are used next
  for (std::uint32_t block = 0; block < kBlocks; ++block) wide.infer(1);
  const Stats low = wide.stats();
  EXPECT_EQ(low.given_back_bytes, (kBlocks + 1) * 15 * kRowBytes);
  // A row of each block, and of the output block that was used in place of the one that was trimmed.
  EXPECT_EQ(low.resident_bytes, (kBlocks + 2) * kRowBytes);
}

TEST(RuntimeMemory, SteadyTrafficGivesNothingBack) {
  Wide wide;
  for (int turn = 0; turn < 8; ++turn) {
    wide.infer(16);
    for (std::uint32_t i = 0; i + 1 < LowerGear::kRuns; ++i) {
      wide.infer(1);
      HookedPlatform::advance(LowerGear::kSpan);
    }
  }
  EXPECT_EQ(wide.stats().given_back_bytes, 0U);
  EXPECT_EQ(wide.stats().shrinks, 1U);  // after load
}

TEST(RuntimeMemory, LargerBatchAfterwardsKeepsItsMemory) {
  Wide wide;
  wide.infer(16);
  wide.stay_low();
  wide.infer(16);
  const std::size_t given_back = wide.stats().given_back_bytes;
  wide.infer(1);
  wide.infer(1);
  EXPECT_EQ(wide.stats().given_back_bytes, given_back);
}

TEST(RuntimeMemory, ExecutorIsToldAtTheFirstRunAndAfterLeavingAHighGear) {
  Wide wide;
  wide.infer(16);
  wide.infer(16);
  EXPECT_EQ(wide.shrinks(), (std::vector<bool>{true, false}));
  wide.stay_low();
  wide.infer(1);
  const std::vector<bool> told = wide.shrinks();
  EXPECT_EQ(std::count(told.begin(), told.end(), true), 2);
  EXPECT_EQ(wide.stats().shrinks, 2U);
}

}  // namespace
}  // namespace dynbatch

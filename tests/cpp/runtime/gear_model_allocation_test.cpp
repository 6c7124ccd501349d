// What a run of a gear allocates: nothing beyond what plain ONNX Runtime does by itself.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <dynbatch/gear_model.hpp>
#include <dynbatch/synthetic_executor.hpp>

#include "cpp/executor/affine_model.hpp"
#include "cpp/runtime/gear_runs.hpp"
#include "cpp/watched_allocations.hpp"
#include "executor/ort_session.hpp"
#include "executor/ort_values.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::affine;
using dynbatch::testing::gears_of;

constexpr int kRuns = 50;

template <class Run>
std::size_t allocations_of(Run run_once) {
  for (int turn = 0; turn < 10; ++turn) run_once();  // arenas and scratch memory grow here
  const std::size_t before = allocations;
  for (int turn = 0; turn < kRuns; ++turn) run_once();
  return allocations - before;
}

/// What ONNX Runtime allocates by itself for a run on the caller's memory, values included.
std::size_t bare_allocations(const std::string& bytes, const std::vector<float>& in,
                             std::vector<float>& out) {
  const OrtLibrary& library = use_ort_library({});
  const auto session = open_session(
      library, {.path = {}, .data = bytes.data(), .size = bytes.size()}, OnnxRuntimeOptions());
  const std::vector<std::int64_t> shape{3, 2};
  const char* const in_name = "x";
  const char* const out_name = "y";
  return allocations_of([&] {
    ort::Value* values[2] = {};
    EXPECT_EQ(make_value(library, DataType::float32, shape, 24,
                         reinterpret_cast<const std::byte*>(in.data()), &values[0]),
              nullptr);
    EXPECT_EQ(make_value(library, DataType::float32, shape, 24,
                         reinterpret_cast<const std::byte*>(out.data()), &values[1]),
              nullptr);
    EXPECT_EQ(
        library.api.Run(session.get(), nullptr, &in_name, &values[0], 1, &out_name, 1, &values[1]),
        nullptr);
    library.api.ReleaseValue(values[0]);
    library.api.ReleaseValue(values[1]);
  });
}

TEST(GearModelAllocation, RunAddsNoneToOnnxRuntimes) {
  const std::string bytes = affine({"batch", 2}).bytes();
  const std::vector<float> in(8);
  std::vector<float> out(8);
  const std::size_t bare = bare_allocations(bytes, in, out);
  EXPECT_GT(bare, 0U) << "the counter does not see ONNX Runtime's allocations";
  const GearModel model(bytes.data(), bytes.size(), gears_of(GearKind::batch, {{3}, {4}}));
  const void* const inputs[] = {in.data()};
  void* const outputs[] = {out.data()};
  EXPECT_EQ(allocations_of([&] { EXPECT_FALSE(model.run(0, inputs, outputs)); }), bare);
}

TEST(GearModelAllocation, RunOfAnExecutorAllocatesNothing) {
  const GearModel model(make_synthetic_executor({.row_elements = 1}), {4});
  const std::vector<float> in(4);
  std::vector<float> out(4);
  const void* const inputs[] = {in.data()};
  void* const outputs[] = {out.data()};
  EXPECT_EQ(allocations_of([&] { EXPECT_FALSE(model.run(0, inputs, outputs)); }), 0U);
}

TEST(GearModelAllocation, ChoosingAGearIsOneSmallList) {
  GearModel model(make_synthetic_executor({.row_elements = 1}), {4, 2});
  EXPECT_EQ(allocations_of([&] { model.set_dynamic_batch_size(2); }), std::size_t{kRuns});
}

}  // namespace
}  // namespace dynbatch

// What a run of OnnxRuntimeExecutor allocates: nothing beyond what ONNX Runtime does by itself.
#include <gtest/gtest.h>

#include <vector>

#include <dynbatch/onnxruntime_executor.hpp>

#include "cpp/executor/affine_model.hpp"
#include "cpp/watched_allocations.hpp"
#include "executor/ort_session.hpp"
#include "executor/ort_values.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::affine;
using dynbatch::testing::FloatSlots;
using dynbatch::testing::KeptOutputs;
using dynbatch::testing::open_graph;

constexpr int kRuns = 50;

template <class Run>
std::size_t allocations_of(Run run_once) {
  for (int turn = 0; turn < 10; ++turn) run_once();  // arenas and scratch memory grow here
  const std::size_t before = allocations;
  for (int turn = 0; turn < kRuns; ++turn) run_once();
  return allocations - before;
}

/// What ONNX Runtime allocates by itself for such runs.
std::size_t bare_allocations(FloatSlots& memory) {
  const std::string bytes = affine({"batch", 2}).bytes();
  const OrtLibrary& library = use_ort_library({});
  const auto session = open_session(
      library, {.path = {}, .data = bytes.data(), .size = bytes.size()}, OnnxRuntimeOptions());
  const TensorSpec spec{.name = "x", .dtype = DataType::float32, .row_shape = Shape{2}};
  ort::Value* in = nullptr;
  ort::Value* out = nullptr;
  EXPECT_EQ(make_value(library, spec, 3, FloatSlots::bytes_of(memory.inputs[0]), &in), nullptr);
  EXPECT_EQ(make_value(library, spec, 3, FloatSlots::bytes_of(memory.outputs[0]), &out), nullptr);
  const auto options = ort::make_handle<ort::RunOptions>(
      library.api, library.api.ReleaseRunOptions, "",
      [&](auto made) { return library.api.CreateRunOptions(made); });
  const char* in_name = "x";
  const char* out_name = "y";
  const std::size_t count = allocations_of([&] {
    EXPECT_EQ(library.api.Run(session.get(), options.get(), &in_name, &in, 1, &out_name, 1, &out),
              nullptr);
  });
  library.api.ReleaseValue(in);
  library.api.ReleaseValue(out);
  return count;
}

TEST(OnnxRuntimeAllocation, RunOnPreparedMemoryAddsNone) {
  FloatSlots memory(1, 8);
  const std::size_t bare = bare_allocations(memory);
  EXPECT_GT(bare, 0U) << "the counter does not see ONNX Runtime's allocations";
  const auto executor = open_graph(affine({"batch", 2}));
  executor->prepare(memory.prepared({1, 2, 4}));
  EXPECT_EQ(allocations_of([&] { EXPECT_FALSE(memory.run(*executor, 0, 3)); }), bare);
}

}  // namespace
}  // namespace dynbatch

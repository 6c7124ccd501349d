// The executor of <dynbatch/onnxruntime_executor.hpp>. Batches run in one of two ways: in place, over
// memory that was prepared (onnxruntime_executor.cpp), or with the shapes that they name
// (ort_executor_shaped.cpp). Any thread may run; prepare() comes before.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include <dynbatch/onnxruntime_executor.hpp>

#include "base/platform.hpp"
#include "executor/onnx_loading.hpp"
#include "executor/ort_handles.hpp"
#include "executor/ort_library.hpp"
#include "executor/ort_values.hpp"

namespace dynbatch {

/// What a run needs beside the stack; a thread keeps it, so that later runs allocate nothing.
struct RunScratch {
  std::vector<ort::Value*> values;
  std::vector<Shape> shapes;
};

class OnnxRuntimeExecutor final : public Executor {
 public:
  OnnxRuntimeExecutor(const OnnxModelSource& model, const OnnxRuntimeOptions& options);

  const ModelSpec& spec() const noexcept override { return spec_; }
  void prepare(const PreparedMemory& memory) override;
  Failure run(const Batch& batch, RunOutputs& outputs) noexcept override;
  void terminate() noexcept override;
  bool offers_lone_runs() const noexcept override { return lone_session_.handle != nullptr; }
  void keep_lone_runs(bool keep) noexcept override {
    if (!keep) lone_session_.handle.reset();
  }

  const OnnxModelDescription& description() const noexcept { return description_; }

 private:
  /// Each session has an arena of its own, which its next run may be told to shrink.
  struct Session {
    ort::Handle<ort::Session> handle;
    StdPlatform::atomic<bool> shrinks{false};
  };

  ort::Handle<ort::RunOptions> make_run_options() const;
  void take(LoadedOnnxModel model);
  void find_passed_through();
  std::vector<std::size_t> sizes_to_prepare(const PreparedMemory& memory) const;
  Failure run_batch(const Batch& batch, RunOutputs& outputs);
  ort::Status* run_session(const Batch& batch, const RunValues& inputs,
                           RunValues& outputs) noexcept;
  Failure failure_of(ort::Status* status) const;
  Failure explained(Failure failure, const Batch& batch);
  Failure make_missing(const Batch& batch, RunValues& inputs, RunValues& outputs) const;
  void copy_passed_through(const Batch& batch) const noexcept;
  void copy_rows(const Batch& batch, std::size_t input, std::byte* target) const noexcept;
  Failure read_shapes(const Batch& batch, const RunValues& values, std::span<Shape> shapes) const;
  Failure hand_over(const Batch& batch, RunValues& values, std::span<const Shape> shapes,
                    RunOutputs& outputs) const;
  Failure run_shaped(const Batch& batch, RunOutputs& outputs);
  Failure make_shaped(const Batch& batch, RunValues& inputs) const;
  Failure read_any_shapes(const RunValues& values, std::span<Shape> shapes) const;
  Failure hand_over_one(const Batch& batch, RunValues& values, std::size_t output,
                        const Shape& shape, RunOutputs& outputs) const;
  std::size_t input_bytes(const Batch& batch, std::size_t input) const noexcept;

  const OrtLibrary& library_;
  OnnxModelDescription description_;
  ModelSpec spec_;
  std::vector<const char*> input_names_;   // into spec_
  std::vector<const char*> output_names_;  // into spec_
  // [output]: the input that the graph hands out again under the same name, or kComputed. ONNX
  // Runtime leaves such an output's memory as it is, or answers with the input's own memory.
  static constexpr std::size_t kComputed = static_cast<std::size_t>(-1);
  std::vector<std::size_t> passed_through_;
  Session session_;
  Session lone_session_;  // without a handle: a lone run is like any other
  // One each for all runs: they only read it, and terminate() is meant for all of them.
  ort::Handle<ort::RunOptions> run_options_;
  ort::Handle<ort::RunOptions> shrinking_run_options_;
  StdPlatform::atomic<bool> has_shrunk_{false};  // so that a failure is not the options'
  std::optional<PreparedValues> prepared_inputs_;
  std::optional<PreparedValues> prepared_outputs_;
};

}  // namespace dynbatch

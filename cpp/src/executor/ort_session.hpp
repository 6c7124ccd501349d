// Opens ONNX Runtime sessions as dynbatch needs them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <dynbatch/onnxruntime_executor.hpp>

#include "executor/ort_handles.hpp"
#include "executor/ort_library.hpp"

namespace dynbatch {

/// A model file, or a model in memory that is read only while sessions are opened.
struct OnnxModelSource {
  std::string path;
  const void* data = nullptr;  // null: `path` counts
  std::size_t size = 0;
};

/// A session that runs the model with options.intra_op_threads threads. Throws Error(model) with ONNX
/// Runtime's message.
ort::Handle<ort::Session> open_session(
    const OrtLibrary& library, const OnnxModelSource& model, const OnnxRuntimeOptions& options,
    const std::vector<std::pair<std::string, std::int64_t>>& dimension_overrides = {});

/// The same with options.lone_threads threads.
ort::Handle<ort::Session> open_lone_session(
    const OrtLibrary& library, const OnnxModelSource& model, const OnnxRuntimeOptions& options,
    const std::vector<std::pair<std::string, std::int64_t>>& dimension_overrides);

/// A session that is only asked what the model declares: opened without optimising the graph.
ort::Handle<ort::Session> open_session_to_inspect(const OrtLibrary& library,
                                                  const OnnxModelSource& model,
                                                  const OnnxRuntimeOptions& options);

}  // namespace dynbatch

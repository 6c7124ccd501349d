// A model that is loaded: its sessions, what it tells of itself, and what the rules make of that.
#pragma once

#include <dynbatch/onnxruntime_executor.hpp>

#include "executor/ort_handles.hpp"
#include "executor/ort_library.hpp"
#include "executor/ort_session.hpp"

namespace dynbatch {

struct LoadedOnnxModel {
  OnnxModelDescription description;
  ModelSpec spec;
  ort::Handle<ort::Session> session;
  ort::Handle<ort::Session> lone_session;  // null: a lone run is like any other
};

/// What a session tells of its model. Throws Error(model) for types that no batch can hold.
OnnxModelDescription describe_model(const OrtLibrary& library, const ort::Session* session,
                                    const OnnxRuntimeOptions& options);

/// Throws as make_onnxruntime_executor does.
LoadedOnnxModel load_onnx_model(const OrtLibrary& library, const OnnxModelSource& source,
                                const OnnxRuntimeOptions& options);

}  // namespace dynbatch

// The executor that runs ONNX models on ONNX Runtime's C API, on whatever thread leads the batch.
//
// ONNX Runtime's shared library is loaded at run time, once a process, and never unloaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <dynbatch/executor.hpp>
#include <dynbatch/export.hpp>

namespace dynbatch {

/// Names one dimension of an input whose dimensions have no usable names of their own.
struct InputAxis {
  std::string input;
  std::size_t axis = 0;  // counted with the batch axis
  bool operator<(const InputAxis& other) const noexcept {
    return input != other.input ? input < other.input : axis < other.axis;
  }
};

/// What is said about an input that its declaration in the model does not tell.
struct InputDeclaration {
  std::optional<bool> shared;  // without a batch axis, or with one
  /// Where it is. Unset: axis 0 if that is free (or the one axis whose name says batch), else the axis that
  /// has the name of another input's batch; if no axis 0 is free, the one name that all inputs with free
  /// dimensions have.
  std::optional<std::size_t> batch_axis;
  double pad = 0.0;
  PadMode pad_mode = PadMode::constant;
  std::string mask;    // the input that is a mask of this one: made if callers leave it out
  std::string length;  // the input that holds this one's lengths: likewise
  bool ragged = false;
};

/// The same for an output. What is left out is found by dry runs.
struct OutputDeclaration {
  std::optional<bool> shared;
  std::optional<std::size_t> batch_axis;  // unset: the axis that has the batch's name, else 0
  std::optional<std::size_t> rows_per_row;
  std::string trim;  // the input whose padding this output has, at the same axes
};

/// Triton's batch_input and batch_output: what the runtime makes of a ragged (or other) input, for each
/// target. Counts are those of requests. Targets are of rank 1, for item_shape of rank 2.
struct BatchInput {
  Made kind = Made::element_count;
  std::vector<std::string> target_names;
  DataType data_type = DataType::int32;  // int32, int64 or float32; that of the model's input
  std::string source_input;
};
struct BatchOutput {  // BATCH_SCATTER_WITH_INPUT_SHAPE
  std::vector<std::string> target_names;
  std::string source_input;
};

struct OnnxRuntimeOptions {
  /// Path of ONNX Runtime's shared library. Empty: the environment variable DYNBATCH_ORT_LIB, a
  /// library that the process has loaded already, then the loader's own search.
  std::string library_path;
  /// The host's own OrtApiBase*, so that a process keeps one ONNX Runtime; null: load one.
  const void* api_base = nullptr;
  std::size_t intra_op_threads = 1;
  /// Threads of a run that is alone, more than intra_op_threads; 0: a lone run is like any other. They
  /// belong to a second session with a copy of the weights, which is kept only if that is found faster at
  /// load.
  std::size_t lone_threads = 0;
  /// Values for the model's free dimensions, by name, or by input and axis.
  std::map<std::string, std::int64_t> dimensions;
  std::map<InputAxis, std::int64_t> input_dimensions;
  /// Each free dimension that is not bound, apart from the batch, is one in which requests may differ
  /// (ModelSpec::dimensions); those of shared inputs must be bound.
  std::map<std::string, InputDeclaration> inputs;
  std::map<std::string, OutputDeclaration> output_declarations;
  std::vector<BatchInput> batch_inputs;
  std::vector<BatchOutput> batch_outputs;
  /// Names of the outputs that are wanted, in that order; empty: all. Others are not computed where
  /// ONNX Runtime can leave them out, and take no memory.
  std::vector<std::string> outputs;
  /// Session configuration entries, passed on as they are.
  std::vector<std::pair<std::string, std::string>> session_config;
};

/// Loads a model file, with what its metadata declares (see with_onnx_declarations), and what was compiled into it
/// where options say nothing (see with_compiled_dimensions in compiled_model.hpp). Throws Error(model),
/// which names the way out where the model cannot be batched (a static leading dimension of 1, a batch axis
/// that cannot be told, strings, sequences, ...), and Error(invalid_argument) where options do not fit it.
DYNBATCH_EXPORT std::unique_ptr<Executor> make_onnxruntime_executor(
    const std::string& model_path, const OnnxRuntimeOptions& options = {});
/// The same for a model in memory, which is not used after the call.
DYNBATCH_EXPORT std::unique_ptr<Executor> make_onnxruntime_executor(
    const void* model_data, std::size_t model_size, const OnnxRuntimeOptions& options = {});

/// The model metadata that ONNX Runtime's get_modelmeta tells, read through the same library.
struct OnnxModelMetadata {
  std::string producer_name;
  std::string graph_name;
  std::string domain;
  std::string description;
  std::string graph_description;
  std::int64_t version = 0;
  std::map<std::string, std::string> custom;
};

/// An input or output as the model declares it: -1 and a symbolic name (or "") where a dimension is
/// free. There are as many names as dimensions.
struct OnnxTensorDeclaration {
  std::string name;
  DataType dtype = DataType::float32;
  std::vector<std::int64_t> shape;
  std::vector<std::string> dimension_names;
};

/// What an executor made by make_onnxruntime_executor can tell beyond ModelSpec. Null for others.
struct OnnxModelDescription {
  std::string library_path;
  std::string library_version;
  OnnxModelMetadata metadata;
  std::vector<OnnxTensorDeclaration> inputs;
  std::vector<OnnxTensorDeclaration> outputs;
};
DYNBATCH_EXPORT const OnnxModelDescription* onnx_description(const Executor& executor) noexcept;

/// Bytes of a model's file and of the files in which its tensors keep their values, as far as they are there. Reads
/// the first whole. Throws Error(model).
DYNBATCH_EXPORT std::uint64_t onnx_model_bytes(const std::string& model_path);

/// The key of the model's own metadata under which a text may declare what `inputs`, `output_declarations`,
/// `batch_inputs` and `batch_outputs` would. One declaration a line, of words that blanks separate; what
/// has blanks, quotes or '=' in it stands in double quotes, with \" and \\ inside; # begins a comment.
///
///   input ids pad=0 pad_mode=constant mask=attention_mask length=lengths
///   input state batch_axis=1
///   input "x y" shared=true
///   input INPUT ragged=true
///   output y batch_axis=0 rows_per_row=1 trim=ids
///   output z shared=true
///   batch_input kind=BATCH_ELEMENT_COUNT data_type=FP32 target_name=N target_name=M source_input=INPUT
///   batch_output kind=BATCH_SCATTER_WITH_INPUT_SHAPE target_name=OUTPUT source_input=INPUT
inline constexpr const char* kOnnxDeclarationsKey = "dynbatch.declarations";

/// The options, with what the metadata declares beside them: about inputs and outputs that the options do
/// not name, and batch inputs, or outputs, if the options have none. Throws Error(model), which shows the
/// line, where the text is damaged.
DYNBATCH_EXPORT OnnxRuntimeOptions with_onnx_declarations(OnnxRuntimeOptions options,
                                                          const OnnxModelMetadata& metadata);

/// What make_onnxruntime_executor's rules make of declared inputs and outputs.
struct OnnxBatching {
  ModelSpec spec;
  /// The bindings that a session can be told: wherever the dimension's name stands, it is this value.
  std::vector<std::pair<std::string, std::int64_t>> overrides;
};
/// For an executor that runs the model in a session of its own. Uses no ONNX Runtime, and no metadata:
/// give it the options of with_onnx_declarations. `outputs` as a session declares them that was told the
/// overrides, if there is one. Throws as make_onnxruntime_executor does.
DYNBATCH_EXPORT OnnxBatching onnx_batching(const std::vector<OnnxTensorDeclaration>& inputs,
                                           const std::vector<OnnxTensorDeclaration>& outputs,
                                           const OnnxRuntimeOptions& options);

}  // namespace dynbatch

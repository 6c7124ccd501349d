// Runs of plain ONNX Runtime: a session and its Run, nothing between.
#pragma once

#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include <dynbatch/onnxruntime_executor.hpp>

#include "executor/ort_handles.hpp"
#include "executor/ort_library.hpp"
#include "executor/ort_session.hpp"
#include "executor/ort_values.hpp"

namespace dynbatch::testing {

struct PlainTensor {
  std::string name;
  DataType dtype = DataType::float32;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;
};

class PlainSession {
 public:
  explicit PlainSession(const OnnxModelSource& model)
      : session_(open_session(library_, model, OnnxRuntimeOptions())) {}

  /// The outputs of these names, in memory that ONNX Runtime brings.
  std::vector<PlainTensor> run(const std::vector<PlainTensor>& inputs,
                               const std::vector<PlainTensor>& outputs) const {
    std::vector<ort::Handle<ort::Value>> owned;
    std::vector<const char*> input_names;
    std::vector<ort::Value*> in;
    for (const PlainTensor& input : inputs) {
      ort::Value* made = nullptr;
      check(make_value(library_, input.dtype, input.shape, input.bytes.size(), input.bytes.data(),
                       &made));
      owned.push_back(ort::Handle<ort::Value>(made, {library_.api.ReleaseValue}));
      in.push_back(made);
      input_names.push_back(input.name.c_str());
    }
    std::vector<const char*> output_names;
    for (const PlainTensor& output : outputs) output_names.push_back(output.name.c_str());
    std::vector<ort::Value*> out(outputs.size(), nullptr);
    check(library_.api.Run(session_.get(), nullptr, input_names.data(), in.data(), in.size(),
                           output_names.data(), output_names.size(), out.data()));
    std::vector<PlainTensor> answers = outputs;
    for (std::size_t i = 0; i < out.size(); ++i) {
      owned.push_back(ort::Handle<ort::Value>(out[i], {library_.api.ReleaseValue}));
      read(out[i], answers[i]);
    }
    return answers;
  }

 private:
  void check(ort::Status* status) const { ort::check(library_.api, status, "plain run"); }
  void read(ort::Value* value, PlainTensor& tensor) const {
    Shape shape;
    check(read_shape(library_, value, shape));
    tensor.shape.assign(shape.dims().begin(), shape.dims().end());
    void* data = nullptr;
    check(library_.api.GetTensorMutableData(value, &data));
    const auto* const first = static_cast<const std::byte*>(data);
    tensor.bytes.assign(first, first + tensor_bytes(tensor.dtype, shape));
  }

  const OrtLibrary& library_ = use_ort_library({});
  ort::Handle<ort::Session> session_;
};

}  // namespace dynbatch::testing

// What a model's own metadata declares about its inputs and outputs. The format is described in
// <dynbatch/onnxruntime_executor.hpp>. Pure functions.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <dynbatch/onnxruntime_executor.hpp>

namespace dynbatch {

struct OnnxDeclarations {
  std::map<std::string, InputDeclaration> inputs;
  std::map<std::string, OutputDeclaration> outputs;
  std::vector<BatchInput> batch_inputs;
  std::vector<BatchOutput> batch_outputs;
};

/// Throws Error(model), which shows the line, for a text that is not of the format.
OnnxDeclarations parse_onnx_declarations(std::string_view text);

}  // namespace dynbatch

// The words in which refusals of a model's declarations are told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <dynbatch/error.hpp>
#include <dynbatch/onnxruntime_executor.hpp>

namespace dynbatch::onnx_words {

inline constexpr std::int64_t kFree = -1;
// What exporters write where they have no name; two dimensions called so need not be equal.
inline constexpr const char* kNoName = "?";

[[noreturn]] inline void fail(const std::string& message) {
  throw Error(ErrorCode::model, message);
}
[[noreturn]] inline void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

inline bool is_free(const OnnxTensorDeclaration& input, std::size_t axis) {
  return input.shape[axis] < 0;
}

inline std::string quoted(const std::string& name) { return "'" + name + "'"; }

template <class Names>
std::string listed(const Names& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + quoted(name);
  return text.empty() ? "none" : text;
}

/// "'x' [batch, 3, ?, 320]".
inline std::string described(const OnnxTensorDeclaration& declaration) {
  std::string text;
  for (std::size_t axis = 0; axis < declaration.shape.size(); ++axis) {
    const std::string& name = declaration.dimension_names[axis];
    text += axis == 0 ? "" : ", ";
    text += !is_free(declaration, axis) ? std::to_string(declaration.shape[axis])
            : name.empty()              ? kNoName
                                        : name;
  }
  return quoted(declaration.name) + " [" + text + "]";
}

inline std::string described(const std::vector<OnnxTensorDeclaration>& declarations) {
  std::string text;
  for (const OnnxTensorDeclaration& one : declarations) {
    text += (text.empty() ? "" : ", ") + described(one);
  }
  return text;
}

}  // namespace dynbatch::onnx_words

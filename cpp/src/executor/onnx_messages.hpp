// How what is wrong with a model's inputs and outputs, or with what is declared about them, is said.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <dynbatch/error.hpp>
#include <dynbatch/onnxruntime_executor.hpp>

namespace dynbatch::onnx {

using Dims = std::vector<std::int64_t>;
using Declarations = std::vector<OnnxTensorDeclaration>;

inline constexpr std::int64_t kFree = -1;

/// The model cannot be batched as it is.
[[noreturn]] void fail(const std::string& message);
/// The options do not fit the model.
[[noreturn]] void refuse(const std::string& message);

std::string quoted(const std::string& name);
/// "'a', 'b'", or "none".
std::string listed(const std::vector<std::string>& names);
std::vector<std::string> names_of(const Declarations& declarations);

/// "'x' [batch, 3, ?, 320]".
std::string described(const OnnxTensorDeclaration& declaration);
std::string described(const Declarations& declarations);

/// "inputs={\"x\": Input(batch_axis=...)}".
std::string batch_axis_hint(const std::string& input);

bool is_free(const OnnxTensorDeclaration& declaration, std::size_t axis);
/// Whether a dimension's name says that it equals others of that name.
bool is_usable(const std::string& dimension_name);

/// The place of the input or output of that name; refuses what is none: "<option> names the input 'z', ...".
std::size_t index_of(const Declarations& declarations, const std::string& name,
                     const std::string& option, const char* what = "input");

}  // namespace dynbatch::onnx

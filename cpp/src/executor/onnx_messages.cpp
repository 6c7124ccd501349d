#include "executor/onnx_messages.hpp"

#include <algorithm>

namespace dynbatch::onnx {
namespace {

// What exporters write where they have no name; two dimensions called so need not be equal.
constexpr const char* kNoName = "?";

}  // namespace

void fail(const std::string& message) { throw Error(ErrorCode::model, message); }
void refuse(const std::string& message) { throw Error(ErrorCode::invalid_argument, message); }

std::string quoted(const std::string& name) { return "'" + name + "'"; }

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + quoted(name);
  return text.empty() ? "none" : text;
}

std::vector<std::string> names_of(const Declarations& declarations) {
  std::vector<std::string> names;
  for (const OnnxTensorDeclaration& one : declarations) names.push_back(one.name);
  return names;
}

std::string described(const OnnxTensorDeclaration& declaration) {
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

std::string described(const Declarations& declarations) {
  std::string text;
  for (const OnnxTensorDeclaration& one : declarations) {
    text += (text.empty() ? "" : ", ") + described(one);
  }
  return text;
}

std::string batch_axis_hint(const std::string& input) {
  return "inputs={\"" + input + "\": Input(batch_axis=...)}";
}

bool is_free(const OnnxTensorDeclaration& declaration, std::size_t axis) {
  return declaration.shape[axis] < 0;
}

bool is_usable(const std::string& dimension_name) {
  return !dimension_name.empty() && dimension_name != kNoName;
}

std::size_t index_of(const Declarations& declarations, const std::string& name,
                     const std::string& option, const char* what) {
  const auto found = std::ranges::find(declarations, name, &OnnxTensorDeclaration::name);
  if (found != declarations.end()) return static_cast<std::size_t>(found - declarations.begin());
  refuse(option + " names the " + what + " " + quoted(name) + ", and the model has " +
         listed(names_of(declarations)));
}

}  // namespace dynbatch::onnx

#include "batch/input_check.hpp"

#include <string>

namespace dynbatch {
namespace {

// "[n, 3, 416, 416]".
std::string expected_shape(const TensorSpec& spec) {
  if (spec.shared) return to_string(spec.row_shape);
  std::string text = "[n";
  for (const std::int64_t dim : spec.row_shape.dims()) text += ", " + std::to_string(dim);
  return text + "]";
}

bool shape_fits(const TensorSpec& spec, const Shape& shape) noexcept {
  if (spec.shared) return shape == spec.row_shape;
  if (!shape.valid() || shape.rank() != spec.row_shape.rank() + 1 || shape[0] < 0) return false;
  for (std::size_t axis = 0; axis < spec.row_shape.rank(); ++axis) {
    if (shape[axis + 1] != spec.row_shape[axis]) return false;
  }
  return true;
}

Failure invalid(std::string message) {
  return {.code = ErrorCode::invalid_input, .message = std::move(message), .cause = nullptr};
}

}  // namespace

std::optional<std::size_t> check_inputs(const ModelSpec& spec, std::span<const InputView> inputs,
                                        Failure& failure) {
  if (inputs.size() != spec.inputs.size()) {
    failure = invalid("expected " + std::to_string(spec.inputs.size()) + " inputs, got " +
                      std::to_string(inputs.size()));
    return std::nullopt;
  }
  const InputView* first = nullptr;
  const TensorSpec* first_spec = nullptr;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const TensorSpec& expected = spec.inputs[i];
    const InputView& input = inputs[i];
    if (input.dtype != expected.dtype) {
      failure = invalid("input '" + expected.name + "': expected dtype " + name_of(expected.dtype) +
                        ", got " + name_of(input.dtype));
      return std::nullopt;
    }
    if (!shape_fits(expected, input.shape)) {
      failure = invalid("input '" + expected.name + "': expected shape " +
                        expected_shape(expected) + ", got " + to_string(input.shape));
      return std::nullopt;
    }
    const bool empty = expected.row_bytes() == 0 || (!expected.shared && input.shape[0] == 0);
    if (input.data == nullptr && !empty) {
      failure = invalid("input '" + expected.name + "': expected data, got a null pointer");
      return std::nullopt;
    }
    if (expected.shared) continue;
    if (first == nullptr) {
      first = &input;
      first_spec = &expected;
    } else if (input.shape[0] != first->shape[0]) {
      failure = invalid("input '" + expected.name + "': expected " +
                        std::to_string(first->shape[0]) + " rows as in input '" + first_spec->name +
                        "', got " + std::to_string(input.shape[0]));
      return std::nullopt;
    }
  }
  return first == nullptr ? 0 : static_cast<std::size_t>(first->shape[0]);
}

}  // namespace dynbatch

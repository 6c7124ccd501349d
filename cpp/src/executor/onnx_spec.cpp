#include "executor/onnx_spec.hpp"

#include <cmath>
#include <limits>

namespace dynbatch::onnx {
namespace {

template <class Integer>
bool holds(double value) {
  // The upper limit plus one is a power of two, which a double holds exactly.
  const double end = std::ldexp(1.0, std::numeric_limits<Integer>::digits);
  const double begin = static_cast<double>(std::numeric_limits<Integer>::min());
  return std::trunc(value) == value && value >= begin && value < end;
}

bool holds(DataType type, double value) {
  switch (type) {
    case DataType::boolean: return value == 0.0 || value == 1.0;
    case DataType::uint8: return holds<std::uint8_t>(value);
    case DataType::int8: return holds<std::int8_t>(value);
    case DataType::uint16: return holds<std::uint16_t>(value);
    case DataType::int16: return holds<std::int16_t>(value);
    case DataType::uint32: return holds<std::uint32_t>(value);
    case DataType::int32: return holds<std::int32_t>(value);
    case DataType::uint64: return holds<std::uint64_t>(value);
    case DataType::int64: return holds<std::int64_t>(value);
    case DataType::float16:
    case DataType::bfloat16:
    case DataType::float32:
    case DataType::float64: return true;
  }
  return false;
}

}  // namespace

void check_row_size(const TensorSpec& spec) {
  std::size_t bytes = size_of(spec.dtype);
  bool overflow = false;
  for (const std::int64_t dim : spec.row_shape.dims()) {
    // A free dimension has one element at least where the row has any.
    const auto size = static_cast<std::size_t>(dim < 0 ? 1 : dim);
    overflow |= __builtin_mul_overflow(bytes, size, &bytes);
  }
  if (overflow || bytes > std::numeric_limits<std::size_t>::max() / 2) {
    fail("a row of '" + spec.name + "' " + to_string(spec.row_shape) + " is larger than memory");
  }
}

void check_pad(const TensorSpec& input) {
  if (holds(input.dtype, input.pad)) return;
  std::string value = std::to_string(input.pad);
  refuse("pad of input " + quoted(input.name) + ": expected a value of its type, " +
         name_of(input.dtype) + ", got " + value);
}

TensorSpec make_spec(const OnnxTensorDeclaration& declaration, const Dims& dims,
                     std::optional<std::size_t> batch_axis) {
  if (declaration.shape.size() > Shape::kMaxRank) {
    fail(described(declaration) + " has " + std::to_string(declaration.shape.size()) +
         " dimensions, and at most " + std::to_string(Shape::kMaxRank) + " are supported");
  }
  TensorSpec spec;
  spec.name = declaration.name;
  spec.dtype = declaration.dtype;
  spec.batch_axis = batch_axis.value_or(0);
  for (std::size_t axis = 0; axis < dims.size(); ++axis) {
    if (axis != batch_axis) spec.row_shape.push_back(dims[axis]);
  }
  check_row_size(spec);
  return spec;
}

}  // namespace dynbatch::onnx

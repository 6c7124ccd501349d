#include <dynbatch/tensor.hpp>

#include <algorithm>

namespace dynbatch {

std::size_t size_of(DataType type) noexcept {
  switch (type) {
    case DataType::uint8:
    case DataType::int8:
    case DataType::boolean: return 1;
    case DataType::uint16:
    case DataType::int16:
    case DataType::float16:
    case DataType::bfloat16: return 2;
    case DataType::float32:
    case DataType::int32:
    case DataType::uint32: return 4;
    case DataType::float64:
    case DataType::int64:
    case DataType::uint64: return 8;
  }
  return 0;
}

const char* name_of(DataType type) noexcept {
  switch (type) {
    case DataType::float32: return "float32";
    case DataType::uint8: return "uint8";
    case DataType::int8: return "int8";
    case DataType::uint16: return "uint16";
    case DataType::int16: return "int16";
    case DataType::int32: return "int32";
    case DataType::int64: return "int64";
    case DataType::boolean: return "bool";
    case DataType::float16: return "float16";
    case DataType::float64: return "float64";
    case DataType::uint32: return "uint32";
    case DataType::uint64: return "uint64";
    case DataType::bfloat16: return "bfloat16";
  }
  return "unknown";
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (const std::int64_t dim : shape.dims()) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(dim);
  }
  if (!shape.valid()) text += ", ...";
  return text + "]";
}

bool TensorSpec::has_known_shape() const noexcept {
  return std::ranges::all_of(row_shape.dims(), [](std::int64_t dim) { return dim >= 0; });
}

std::size_t TensorSpec::row_bytes() const noexcept {
  if (!has_known_shape()) return 0;
  std::size_t bytes = size_of(dtype);
  for (const std::int64_t dim : row_shape.dims()) bytes *= static_cast<std::size_t>(dim);
  return bytes;
}

bool ModelSpec::is_staged() const noexcept {
  const auto has_own_place = [](const TensorSpec& tensor) {
    return tensor.batch_axis != 0 || tensor.ragged || tensor.made != Made::no ||
           tensor.rows_per_row != 1 || tensor.scattered_as.has_value();
  };
  return !dimensions.empty() || std::ranges::any_of(inputs, has_own_place) ||
         std::ranges::any_of(outputs, [&](const TensorSpec& output) {
           return output.shared || has_own_place(output);
         });
}

}  // namespace dynbatch

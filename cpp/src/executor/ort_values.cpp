#include "executor/ort_values.hpp"

#include <algorithm>
#include <array>

namespace dynbatch {

ort::Status* make_value(const OrtLibrary& library, DataType dtype,
                        std::span<const std::int64_t> dims, std::size_t size, const std::byte* data,
                        ort::Value** made) noexcept {
  // A tensor without elements may have no memory, and ONNX Runtime wants an address all the same.
  static constexpr std::byte kNothing{};
  const std::byte* address = data == nullptr && size == 0 ? &kNothing : data;
  // ONNX Runtime never writes to inputs; its interface has no const for them.
  return library.api.CreateTensorWithDataAsOrtValue(
      library.cpu_memory, const_cast<std::byte*>(address), size, dims.data(), dims.size(),
      static_cast<ort::ElementType>(dtype), made);
}

ort::Status* make_value(const OrtLibrary& library, const TensorSpec& spec, std::size_t rows,
                        const std::byte* data, ort::Value** made) noexcept {
  std::array<std::int64_t, Shape::kMaxRank + 1> dims{};
  std::size_t rank = 0;
  if (!spec.shared) dims[rank++] = static_cast<std::int64_t>(rows);
  for (const std::int64_t dim : spec.row_shape.dims()) dims[rank++] = dim;
  const std::size_t size = spec.row_bytes() * (spec.shared ? 1 : rows);
  return make_value(library, spec.dtype, {dims.data(), rank}, size, data, made);
}

ort::Status* make_value(const OrtLibrary& library, DataType dtype, const Shape& shape,
                        const std::byte* data, ort::Value** made) noexcept {
  return make_value(library, dtype, shape.dims(), tensor_bytes(dtype, shape), data, made);
}

std::size_t tensor_bytes(DataType dtype, const Shape& shape) noexcept {
  std::size_t bytes = size_of(dtype);
  for (const std::int64_t dim : shape.dims()) bytes *= static_cast<std::size_t>(dim);
  return bytes;
}

ort::Status* read_shape(const OrtLibrary& library, const ort::Value* value, Shape& shape) noexcept {
  const ort::Api& api = library.api;
  ort::TensorTypeAndShapeInfo* made = nullptr;
  if (ort::Status* status = api.GetTensorTypeAndShape(value, &made)) return status;
  const ort::Handle<ort::TensorTypeAndShapeInfo> tensor(made, {api.ReleaseTensorTypeAndShapeInfo});
  std::size_t rank = 0;
  if (ort::Status* status = api.GetDimensionsCount(made, &rank)) return status;
  std::array<std::int64_t, Shape::kMaxRank> dims{};
  const std::size_t read = std::min(rank, dims.size());
  if (ort::Status* status = api.GetDimensions(made, dims.data(), read)) return status;
  shape = Shape();
  for (std::size_t axis = 0; axis < rank; ++axis) shape.push_back(axis < read ? dims[axis] : -1);
  return nullptr;
}

PreparedValues::PreparedValues(const OrtLibrary& library, std::span<const TensorSpec> specs)
    : library_(library), specs_(specs) {}

PreparedValues::~PreparedValues() {
  for (ort::Value* value : values_) library_.api.ReleaseValue(value);
}

void PreparedValues::build(const std::vector<std::vector<std::byte*>>& slots,
                           std::span<const std::size_t> sizes) {
  if (slots.empty() || sizes.empty()) return;
  values_.reserve(slots.size() * sizes.size() * specs_.size());
  for (const std::vector<std::byte*>& slot : slots) {
    for (const std::size_t rows : sizes) {
      for (std::size_t tensor = 0; tensor < specs_.size(); ++tensor) {
        ort::Value*& value = values_.emplace_back(nullptr);
        if (slot[tensor] == nullptr) continue;
        ort::check(library_.api, make_value(library_, specs_[tensor], rows, slot[tensor], &value),
                   "cannot prepare memory for the model");
      }
    }
  }
  size_index_.assign(sizes.back() + 1, kNotPrepared);
  for (std::size_t place = 0; place < sizes.size(); ++place) {
    size_index_[sizes[place]] = static_cast<std::uint32_t>(place);
  }
  sizes_ = sizes.size();
  slots_ = slots.size();
}

RunValues::RunValues(const OrtLibrary& library, std::span<const TensorSpec> specs,
                     std::span<ort::Value*> values, ort::Value* const* prepared) noexcept
    : library_(library), specs_(specs), values_(values), prepared_(prepared) {
  for (std::size_t tensor = 0; tensor < values_.size(); ++tensor) {
    values_[tensor] = is_prepared(tensor) ? prepared[tensor] : nullptr;
  }
}

RunValues::~RunValues() {
  for (std::size_t tensor = 0; tensor < values_.size(); ++tensor) {
    if (!is_prepared(tensor)) library_.api.ReleaseValue(values_[tensor]);
  }
}

ort::Status* RunValues::make(std::size_t tensor, std::size_t rows, const std::byte* data) noexcept {
  return make_value(library_, specs_[tensor], rows, data, &values_[tensor]);
}

ort::Status* RunValues::make(std::size_t tensor, const Shape& shape,
                             const std::byte* data) noexcept {
  return make_value(library_, specs_[tensor].dtype, shape, data, &values_[tensor]);
}

}  // namespace dynbatch

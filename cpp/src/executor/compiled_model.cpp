#include <dynbatch/compiled_model.hpp>

#include <algorithm>

namespace dynbatch {

std::vector<std::vector<std::int64_t>> CompiledModel::input_shapes(std::size_t gear) const {
  const std::vector<std::int64_t>& sizes = gears[gear].sizes;
  std::vector<std::vector<std::int64_t>> shapes;
  std::size_t next = 0;
  for (const CompiledInput& input : inputs) {
    std::vector<std::int64_t>& shape = shapes.emplace_back(input.shape);
    if (kind == GearKind::image_size) next = 0;
    for (std::int64_t& dim : shape) {
      if (dim < 0) dim = kind == GearKind::batch ? sizes.front() : sizes[next++];
    }
  }
  return shapes;
}

std::optional<std::size_t> CompiledModel::find(
    const std::vector<std::int64_t>& sizes) const noexcept {
  const auto found = std::ranges::find(gears, sizes, &CompiledGear::sizes);
  if (found == gears.end()) return std::nullopt;
  return static_cast<std::size_t>(found - gears.begin());
}

std::size_t CompiledModel::largest() const noexcept {
  std::size_t largest = 0;
  double most = -1.0;
  for (std::size_t gear = 0; gear < gears.size(); ++gear) {
    double elements = 0.0;
    for (const std::vector<std::int64_t>& shape : input_shapes(gear)) {
      double product = 1.0;
      for (const std::int64_t dim : shape) product *= static_cast<double>(dim);
      elements += product;
    }
    if (elements <= most) continue;
    most = elements;
    largest = gear;
  }
  return largest;
}

std::optional<CompiledModel> compiled_model(const OnnxModelMetadata& metadata) {
  static_cast<void>(metadata);
  return std::nullopt;
}

}  // namespace dynbatch

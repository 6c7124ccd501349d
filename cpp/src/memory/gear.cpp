#include <dynbatch/gear.hpp>

#include <algorithm>

namespace dynbatch {

const Gear* GearTable::smallest_that_fits(std::size_t rows) const noexcept {
  const Gear* best = nullptr;
  for (const Gear& gear : gears) {
    if (gear.batch_size < rows) continue;
    if (best == nullptr || gear.batch_size < best->batch_size) best = &gear;
  }
  return best;
}

const Gear* GearTable::exact(std::size_t batch_size) const noexcept {
  const auto found = std::ranges::find(gears, batch_size, &Gear::batch_size);
  return found == gears.end() ? nullptr : &*found;
}

const Gear* GearTable::smallest_that_fits(std::size_t rows,
                                          std::span<const std::int64_t> sizes) const noexcept {
  const Gear* best = nullptr;
  double best_elements = 0.0;
  for (const Gear& gear : gears) {
    if (gear.batch_size < rows || gear.sizes.size() != sizes.size()) continue;
    bool fits = true;
    double elements = 1.0;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      fits = fits && gear.sizes[i] >= sizes[i];
      elements *= static_cast<double>(gear.sizes[i]);
    }
    if (!fits) continue;
    const bool better = best == nullptr || elements < best_elements ||
                        (elements == best_elements && gear.batch_size < best->batch_size);
    if (!better) continue;
    best = &gear;
    best_elements = elements;
  }
  return best;
}

const Gear* GearTable::exact(std::size_t batch_size,
                             std::span<const std::int64_t> sizes) const noexcept {
  const auto found = std::ranges::find_if(gears, [&](const Gear& gear) {
    return gear.batch_size == batch_size && std::ranges::equal(gear.sizes, sizes);
  });
  return found == gears.end() ? nullptr : &*found;
}

std::size_t GearTable::largest() const noexcept {
  std::size_t largest = 0;
  for (const Gear& gear : gears) largest = std::max(largest, gear.batch_size);
  return largest;
}

}  // namespace dynbatch

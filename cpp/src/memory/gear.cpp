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

std::size_t GearTable::largest() const noexcept {
  std::size_t largest = 0;
  for (const Gear& gear : gears) largest = std::max(largest, gear.batch_size);
  return largest;
}

}  // namespace dynbatch

#include "batch/former.hpp"

#include <algorithm>
#include <utility>

namespace dynbatch {

Former::Former(FormerSetup setup) : setup_(std::move(setup)) {
  weighed_ = setup_.plan.weighed();
  row_bytes_.resize(setup_.inputs.size());
  if (weighed_.empty()) return;
  for (const auto& gear : setup_.plan.size_gears) {
    std::vector<std::int64_t> own;
    for (const std::size_t d : weighed_) own.push_back(gear[d]);
    // Padded to the longest of a batch along one of them: no list of sizes tells what a batch costs.
    if (std::ranges::find(own, 0) != own.end()) {
      size_gears_.clear();
      return;
    }
    if (std::ranges::find(size_gears_, own) == size_gears_.end())
      size_gears_.push_back(std::move(own));
  }
}

std::span<const std::uint16_t> Former::choose(std::span<const StagedCandidate> waiting) noexcept {
  const std::uint32_t largest_rows = largest_rows_of(*waiting.front().key);
  // A gear with a batch of its own is filled up to it, whatever comes: the more the better.
  if (weighed_.empty() || waiting.front().key->most_rows > 0)
    return in_order(waiting, largest_rows);
  const std::size_t count = std::min(waiting.size(), kLookAhead);
  for (std::size_t i = 0; i < count; ++i) {
    candidates_[i].rows = waiting[i].rows;
    for (std::size_t d = 0; d < weighed_.size(); ++d)
      candidates_[i].sizes[d] = std::max<std::int64_t>(1, waiting[i].key->sizes[weighed_[d]]);
  }
  set_row_bytes(*waiting.front().key);
  const GroupLimits limits{.largest_rows = largest_rows,
                           .dimensions = weighed_.size(),
                           .size_gears = size_gears_,
                           .batch_gears = setup_.fill_gears,
                           .largest_bytes = static_cast<double>(setup_.staging_bytes),
                           .row_bytes = row_bytes_,
                           .tolerance = setup_.tolerance};
  return grouping_.choose({candidates_.data(), count}, limits, setup_.cost);
}

/// Where a row more costs nothing, or nobody knows: the oldest first, while they fit.
std::span<const std::uint16_t> Former::in_order(std::span<const StagedCandidate> waiting,
                                                std::uint32_t largest_rows) noexcept {
  std::uint32_t rows = 0;
  std::size_t bytes = 0;
  std::size_t taken = 0;
  for (std::size_t i = 0; i < std::min(waiting.size(), kLookAhead); ++i) {
    const std::uint32_t with = rows + waiting[i].rows;
    const std::size_t bytes_with = bytes + waiting[i].rows * waiting[i].key->row_bytes;
    if (i > 0 && (with > largest_rows || bytes_with > setup_.staging_bytes)) continue;
    rows = with;
    bytes = bytes_with;
    order_[taken++] = static_cast<std::uint16_t>(i);
  }
  return {order_.data(), taken};
}

/// A gear of dims may bring a batch of its own.
std::uint32_t Former::largest_rows_of(const StagedKey& key) const noexcept {
  return key.most_rows == 0 ? setup_.largest_rows : std::min(setup_.largest_rows, key.most_rows);
}

/// All that wait have the same sizes in the dimensions that are not weighed.
void Former::set_row_bytes(const StagedKey& key) noexcept {
  for (std::size_t i = 0; i < row_bytes_.size(); ++i) {
    const TensorSpec& input = setup_.inputs[i];
    RowBytes& row = row_bytes_[i];
    row = {.bytes = static_cast<double>(size_of(input.dtype))};
    for (std::size_t axis = 0; axis < input.row_shape.rank(); ++axis) {
      const int dimension = input.dimensions.empty() ? TensorSpec::kStatic : input.dimensions[axis];
      if (dimension == TensorSpec::kStatic) {
        row.bytes *= static_cast<double>(input.row_shape[axis]);
        continue;
      }
      const auto weighed = std::ranges::find(weighed_, static_cast<std::size_t>(dimension));
      if (weighed == weighed_.end()) {
        row.bytes *= static_cast<double>(key.sizes[static_cast<std::size_t>(dimension)]);
      } else {
        ++row.times[static_cast<std::size_t>(weighed - weighed_.begin())];
      }
    }
  }
}

}  // namespace dynbatch

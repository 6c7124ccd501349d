#include "batch/former.hpp"

#include <algorithm>
#include <utility>

namespace dynbatch {

Former::Former(FormerSetup setup) : setup_(std::move(setup)) {
  weighed_ = setup_.plan.weighed();
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
  if (weighed_.empty()) return in_order(waiting, largest_rows);
  const std::size_t count = std::min(waiting.size(), kLookAhead);
  for (std::size_t i = 0; i < count; ++i) {
    candidates_[i].rows = waiting[i].rows;
    for (std::size_t d = 0; d < weighed_.size(); ++d)
      candidates_[i].sizes[d] = waiting[i].key->sizes[weighed_[d]];
  }
  const GroupLimits limits{.largest_rows = largest_rows,
                           .dimensions = weighed_.size(),
                           .size_gears = size_gears_,
                           .batch_gears = setup_.fill_gears,
                           .largest_elements = largest_elements(waiting.first(count)),
                           .tolerance = setup_.tolerance};
  return grouping_.choose({candidates_.data(), count}, limits, setup_.cost);
}

/// Without sizes all cost the same: the oldest first, while they fit.
std::span<const std::uint16_t> Former::in_order(std::span<const StagedCandidate> waiting,
                                                std::uint32_t largest_rows) noexcept {
  std::uint32_t rows = 0;
  std::size_t taken = 0;
  const std::size_t bytes_of_row = std::max<std::size_t>(waiting.front().key->row_bytes, 1);
  for (std::size_t i = 0; i < std::min(waiting.size(), kLookAhead); ++i) {
    const std::uint32_t with = rows + waiting[i].rows;
    if (i > 0 && (with > largest_rows || with * bytes_of_row > setup_.staging_bytes)) continue;
    rows = with;
    order_[taken++] = static_cast<std::uint16_t>(i);
  }
  return {order_.data(), taken};
}

/// A gear of dims may bring a batch of its own.
std::uint32_t Former::largest_rows_of(const StagedKey& key) const noexcept {
  return key.most_rows == 0 ? setup_.largest_rows : std::min(setup_.largest_rows, key.most_rows);
}

/// Rows times padded elements, so that a batch fits its staging memory: by the request that has most bytes an
/// element.
double Former::largest_elements(std::span<const StagedCandidate> waiting) const noexcept {
  double bytes = 1.0;
  for (const StagedCandidate& candidate : waiting) {
    double elements = 1.0;
    for (const std::size_t d : weighed_)
      elements *= static_cast<double>(std::max<std::int64_t>(candidate.key->sizes[d], 1));
    bytes = std::max(bytes, static_cast<double>(candidate.key->row_bytes) / elements);
  }
  return static_cast<double>(setup_.staging_bytes) / bytes;
}

}  // namespace dynbatch

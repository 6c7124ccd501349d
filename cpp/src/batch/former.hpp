// Former: chooses, of the requests of one key that wait, those that run next. It is the staged queue's
// Chooser: what it may take is bounded by the batch, the gears and the memory; what it takes, by the policy
// that groups lengths by their cost.
//
// Not thread-safe: lives under the runtime's lock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <dynbatch/tensor.hpp>

#include "batch/cost_table.hpp"
#include "batch/grouping.hpp"
#include "batch/shape_plan.hpp"
#include "queue/staged_queue.hpp"

namespace dynbatch {

struct FormerSetup {
  ShapePlan plan;
  CostTable cost;
  double tolerance = 0.0;  // of the grouping
  std::uint32_t largest_rows = 1;
  std::vector<std::size_t> fill_gears;  // rising; empty: batches run at their own size
  std::size_t staging_bytes = 0;        // of one batch, at most
  std::vector<TensorSpec> inputs;       // that are gathered by rows
};

class Former {
 public:
  explicit Former(FormerSetup setup);

  /// As StagedQueue's Chooser.
  std::span<const std::uint16_t> choose(std::span<const StagedCandidate> waiting) noexcept;

 private:
  static constexpr std::size_t kLookAhead = 64;

  std::span<const std::uint16_t> in_order(std::span<const StagedCandidate> waiting,
                                          std::uint32_t largest_rows) noexcept;
  std::uint32_t largest_rows_of(const StagedKey& key) const noexcept;
  void set_row_bytes(const StagedKey& key) noexcept;

  FormerSetup setup_;
  std::vector<std::size_t> weighed_;                   // dimensions of the plan
  std::vector<std::vector<std::int64_t>> size_gears_;  // of the weighed dimensions alone
  std::vector<RowBytes> row_bytes_;                    // of setup_.inputs
  Grouping grouping_;
  std::array<GroupCandidate, kLookAhead> candidates_{};
  std::array<std::uint16_t, kLookAhead> order_{};
};

}  // namespace dynbatch

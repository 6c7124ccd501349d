// Requests and costs for tests of the grouping, and what a batch of them costs, computed the plain way.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <random>
#include <span>
#include <vector>

#include "batch/cost_table.hpp"
#include "batch/grouping.hpp"

namespace dynbatch::testing {

using Indices = std::vector<std::uint16_t>;

constexpr double kForbidden = std::numeric_limits<double>::infinity();
constexpr double kElementBytes = 4.0;

inline std::vector<GroupCandidate> of_lengths(std::initializer_list<std::int64_t> lengths) {
  std::vector<GroupCandidate> waiting;
  for (const std::int64_t length : lengths) waiting.push_back({.rows = 1, .sizes = {length}});
  return waiting;
}

/// fixed + rows * elements, exactly.
inline CostTable affine_cost(double fixed) {
  return {{1, 2}, {1, 2}, {fixed + 1, fixed + 2, fixed + 2, fixed + 4}};
}

inline CostTable random_cost(std::mt19937_64& random) {
  const std::vector<std::size_t> rows{1, 2, 4, 8};
  const std::vector<double> elements{8, 16, 32, 64};
  std::uniform_real_distribution<double> part(0.0, 1.0);
  const double fixed = part(random) < 0.3 ? 0.0 : 300.0 * part(random);
  const double per_row = 30.0 * part(random);
  const double bend = 2.0 * part(random);  // above 0: large batches cost more a row
  std::vector<double> seconds;
  for (const std::size_t r : rows) {
    for (const double e : elements) {
      const double work = static_cast<double>(r) * (per_row + e);
      seconds.push_back(fixed + work * (1.0 + bend * work / 500.0) + 5.0 * part(random));
    }
  }
  return {rows, elements, seconds};
}

inline double elements_of(std::span<const std::int64_t> sizes, std::size_t dimensions) {
  double elements = 1.0;
  for (std::size_t d = 0; d < dimensions; ++d) elements *= static_cast<double>(sizes[d]);
  return elements;
}

/// Seconds of a batch; kForbidden if it is none. One request is always one.
inline double cost_of(const std::vector<GroupCandidate>& waiting, const Indices& batch,
                      const GroupLimits& limits, const CostTable& cost) {
  std::size_t rows = 0;
  std::vector<std::int64_t> sizes(limits.dimensions);
  for (const std::uint16_t index : batch) {
    rows += waiting[index].rows;
    for (std::size_t d = 0; d < limits.dimensions; ++d)
      sizes[d] = std::max(sizes[d], waiting[index].sizes[d]);
  }
  bool allowed = rows <= limits.largest_rows;
  double elements = elements_of(sizes, limits.dimensions);
  if (!limits.size_gears.empty()) {
    double fewest = kForbidden;
    for (const std::vector<std::int64_t>& gear : limits.size_gears) {
      bool fits = true;
      for (std::size_t d = 0; d < limits.dimensions; ++d) fits = fits && gear[d] >= sizes[d];
      if (fits) fewest = std::min(fewest, elements_of(gear, limits.dimensions));
    }
    allowed = allowed && fewest != kForbidden;
    if (fewest != kForbidden) elements = fewest;
  }
  const auto filled = static_cast<double>(filled_rows(rows, limits.batch_gears));
  if (limits.largest_bytes > 0.0 && filled * elements * kElementBytes > limits.largest_bytes)
    allowed = false;
  if (!allowed && batch.size() > 1) return kForbidden;
  return cost.seconds(static_cast<std::size_t>(filled), elements);
}

/// A row of one tensor that has every dimension once.
inline RowBytes one_tensor() {
  RowBytes row{.bytes = kElementBytes};
  row.times.fill(1);
  return row;
}

/// The limits' lists, with the limits over them.
struct OwnedLimits {
  std::vector<std::vector<std::int64_t>> size_gears;
  std::vector<std::size_t> batch_gears;
  std::uint32_t largest_rows = 1;
  std::size_t dimensions = 1;
  double largest_bytes = 0.0;
  std::vector<RowBytes> row_bytes = {one_tensor()};
  double tolerance = 0.0;

  GroupLimits view() const {
    return {.largest_rows = largest_rows,
            .dimensions = dimensions,
            .size_gears = size_gears,
            .batch_gears = batch_gears,
            .largest_bytes = largest_bytes,
            .row_bytes = row_bytes,
            .tolerance = tolerance};
  }
};

inline OwnedLimits random_limits(std::mt19937_64& random, std::size_t dimensions) {
  OwnedLimits limits{.dimensions = dimensions};
  const auto below = [&](std::uint64_t end) { return random() % end; };
  limits.largest_rows = static_cast<std::uint32_t>(1 + below(8));
  if (below(2) == 0) {
    for (std::uint64_t g = 0; g < 1 + below(5); ++g) {
      std::vector<std::int64_t>& gear = limits.size_gears.emplace_back();
      for (std::size_t d = 0; d < dimensions; ++d)
        gear.push_back(static_cast<std::int64_t>(10 + below(60)));
    }
  }
  if (below(2) == 0) {
    for (std::uint64_t g = 0; g < 1 + below(3); ++g) limits.batch_gears.push_back(1 + below(8));
  }
  if (below(2) == 0) limits.largest_bytes = kElementBytes * static_cast<double>(50 + below(400));
  if (below(2) == 0) limits.tolerance = 0.05 * static_cast<double>(1 + below(4));
  return limits;
}

inline std::vector<GroupCandidate> random_candidates(std::mt19937_64& random, std::size_t count,
                                                     std::size_t dimensions,
                                                     std::uint32_t most_rows) {
  std::vector<GroupCandidate> waiting(count);
  const std::int64_t longest = random() % 2 == 0 ? 6 : 64;  // few lengths make many equal ones
  for (GroupCandidate& one : waiting) {
    one.rows = 1 + static_cast<std::uint32_t>(random() % most_rows);
    one.sizes.fill(-1);
    for (std::size_t d = 0; d < dimensions; ++d)
      one.sizes[d] = 1 + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(longest));
  }
  return waiting;
}

inline Indices chosen(Grouping& grouping, const std::vector<GroupCandidate>& waiting,
                      const GroupLimits& limits, const CostTable& cost) {
  const std::span<const std::uint16_t> batch = grouping.choose(waiting, limits, cost);
  return {batch.begin(), batch.end()};
}

inline Indices chosen(const std::vector<GroupCandidate>& waiting, const GroupLimits& limits,
                      const CostTable& cost) {
  Grouping grouping;
  return chosen(grouping, waiting, limits, cost);
}

}  // namespace dynbatch::testing

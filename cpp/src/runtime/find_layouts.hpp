// Concludes where each request finds its part of an output from dry runs with several batches and sizes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <dynbatch/tensor.hpp>

#include "batch/output_layout.hpp"

namespace dynbatch {

/// What one run gave.
struct DryRun {
  std::size_t rows = 0;
  std::vector<std::int64_t> sizes;    // of all rows, per ModelSpec::dimensions
  std::vector<std::size_t> elements;  // per input: of the whole tensor
  std::vector<Shape> outputs;         // whole
};

struct FoundLayouts {
  std::vector<OutputLayout> outputs;
  /// Per dimension: why rows of other sizes cannot be cut out of a padded batch; empty if they can.
  std::vector<std::string> obstacles;
};

/// Concludes from the runs, in which the number of rows differs at one size at least, and each dimension has
/// at least three sizes where that is possible. What the spec declares comes first, and is checked. Throws
/// Error(model) if an output cannot be taken apart, or in more than one way.
FoundLayouts find_layouts(const ModelSpec& spec, std::span<const DryRun> runs);

/// One size of a dimension, and that of an output's axis.
struct SizePair {
  std::int64_t size = 0;
  std::int64_t of_axis = 0;
};

/// The trim (without its dimension) of the simplest ratio that gives all pairs, numerator and denominator up to
/// 64: rounded up or down if that does, else with the only offset that does. None: no ratio does, or the pairs
/// leave several offsets (with fewer than three sizes, any).
std::optional<OutputLayout::Trim> find_trim(std::span<const SizePair> pairs);

}  // namespace dynbatch

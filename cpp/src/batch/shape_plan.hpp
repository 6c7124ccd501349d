// ShapePlan: what is settled at load about the free dimensions of a model: which of them are padded, and to
// which sizes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <dynbatch/gear.hpp>

namespace dynbatch {

struct ShapePlan {
  GearKind kind = GearKind::batch;
  std::vector<bool> padded;  // per ModelSpec::dimensions: others' sizes may share a batch
  std::vector<std::vector<std::int64_t>> size_gears;  // each a size for every dimension; empty: any sizes
  std::vector<std::size_t> gear_batches;  // parallel to size_gears: a batch of their own; 0: any
  std::vector<std::int64_t> largest;      // per dimension; 0: no limit
};

}  // namespace dynbatch

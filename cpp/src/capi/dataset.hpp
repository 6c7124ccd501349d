// Data buffers and datasets: memory of the caller's, in the order of a model's inputs or outputs, and the gear
// that was set for it. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <dynbatch/acl.h>
#include <dynbatch/gear.hpp>

namespace dynbatch::capi {

struct DataBuffer {
  void* data = nullptr;
  std::size_t size = 0;
  bool destroyed = false;  // and still in a dataset
};

/// A gear by its sizes, since a dataset belongs to no model.
struct ChosenGear {
  GearKind kind = GearKind::batch;
  std::vector<std::int64_t> sizes;
};

struct Dataset {
  std::vector<std::shared_ptr<DataBuffer>> buffers;
  std::optional<ChosenGear> gear;
};

}  // namespace dynbatch::capi

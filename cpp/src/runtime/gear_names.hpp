// How gears are written in messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <dynbatch/compiled_model.hpp>

namespace dynbatch {

/// "[2, 3, 416, 416]", of any number of dimensions.
inline std::string dims_text(std::span<const std::int64_t> dims) {
  std::string text = "[";
  for (const std::int64_t dim : dims) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(dim);
  }
  return text + "]";
}

/// "4", or "[416, 416]"; "[]" is the only gear of a model without free dimensions.
inline std::string gear_name(const CompiledModel& model, std::size_t gear) {
  const std::vector<std::int64_t>& sizes = model.gears[gear].sizes;
  return model.kind == GearKind::batch && sizes.size() == 1 ? std::to_string(sizes.front())
                                                            : dims_text(sizes);
}

/// "1, 2, 4, 8".
inline std::string gear_names(const CompiledModel& model) {
  std::string text;
  for (std::size_t gear = 0; gear < model.gears.size(); ++gear)
    text += (gear == 0 ? "" : ", ") + gear_name(model, gear);
  return text;
}

}  // namespace dynbatch

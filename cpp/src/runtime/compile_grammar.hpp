// The grammar of ATC's shape options, and what can be said of them without a model. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <dynbatch/compile.hpp>
#include <dynbatch/gear.hpp>

namespace dynbatch {

/// One part of --input_shape.
struct InputShape {
  std::string name;
  std::vector<std::int64_t> dims;  // above 0, or -1; empty: a scalar
};

/// What the options ask for.
struct GearRequest {
  GearKind kind = GearKind::batch;
  std::string option;  // that names the gears; "" if none does
  std::vector<InputShape> shapes;
  std::vector<std::vector<std::int64_t>> gears;  // in the user's order
};

/// Parses and checks everything but -1 against gears. Throws CompileError.
GearRequest parse_gear_request(const CompileOptions& options);

/// Whether -1 stand where gears of this kind settle them: after names are bound (`dimensions`). Throws CompileError.
void check_free_dimensions(const GearRequest& request, const CompileOptions& options);

}  // namespace dynbatch

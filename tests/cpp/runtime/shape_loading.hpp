// Loads models whose rows differ in shape, as a batcher does, for tests of what that concludes.
#pragma once

#include <gmock/gmock.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <dynbatch/error.hpp>

#include "cpp/runtime/shaped_executor.hpp"
#include "runtime/shape_warm_up.hpp"

namespace dynbatch::testing {

using RunFunction = ShapedExecutor::RunFunction;
using Sizes = std::vector<std::int64_t>;

inline ShapeWarmUp warm_up_with(const ModelSpec& spec, const RunFunction& run,
                                const BatchingOptions& options = {}) {
  ShapedExecutor executor(spec, run);
  ShapePlan shapes = plan_shapes(spec, options);
  ShapeWarmUp found = warm_up_shapes(executor, options, plan_batching(spec, options), shapes);
  EXPECT_EQ(found.plan.padded, shapes.padded);
  return found;
}

inline std::string error_of(const ModelSpec& spec, const RunFunction& run,
                            const BatchingOptions& options, ErrorCode code = ErrorCode::model) {
  try {
    warm_up_with(spec, run, options);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    return error.what();
  }
  ADD_FAILURE() << "loaded";
  return "";
}

inline BatchingOptions padded(Sizes gears, std::int64_t largest = 0) {
  BatchingOptions options;
  options.max_batch_size = 4;
  options.lengths["length"] = {.gears = std::move(gears), .largest = largest};
  return options;
}

inline Failure failed(const std::string& why) { return {ErrorCode::execution, why, nullptr}; }

/// Runs only lengths that `accepts` says.
inline RunFunction only(std::function<bool(std::int64_t)> accepts, RunFunction run = twice) {
  return [accepts = std::move(accepts), run = std::move(run)](ShapedRun& shaped) {
    if (!accepts(shaped.shape(0)[1])) return failed("length not accepted");
    return run(shaped);
  };
}

}  // namespace dynbatch::testing

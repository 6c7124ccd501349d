// What a report says about a probe of row independence.
#pragma once

#include <string>

#include <dynbatch/batcher.hpp>
#include <dynbatch/options.hpp>

#include "runtime/row_probe.hpp"

namespace dynbatch {

/// The difference that a probe accepts if row_tolerance is not given.
inline constexpr double kDefaultTolerance = 1e-3;

/// Sets report.merges and report.warning from what the probe found. Throws Error(model) if rows may not be
/// merged and batching="always" was demanded.
void conclude(LoadReport& report, const ProbeResult& probe, const BatchingOptions& options,
              bool made_up);

/// Why rows are not padded to share batches, by what the probe of padding found; empty if they are.
std::string refuse_padding(const ProbeResult& probe, const BatchingOptions& options, bool made_up);

/// Two digits of it.
std::string difference_in_words(double value);

}  // namespace dynbatch

// The probe of row independence: rows alone against the same rows in company.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <dynbatch/tensor.hpp>

#include "runtime/sample_rows.hpp"
#include "runtime/trial_run.hpp"

namespace dynbatch {

struct ProbeResult {
  bool ran = false;  // to its end
  bool bit_equal = true;
  double difference = 0.0;  // largest |together - alone| / max|alone|; infinite if shapes differ
  std::string obstacle;     // why it did not run to its end
};

/// One row of every output, kept.
struct RowOutputs {
  std::vector<std::vector<std::byte>> bytes;
  std::vector<Shape> shapes;
};

/// Notes in `result` how far the answers for one row are apart.
void compare(const RowOutputs& alone, const RowOutputs& together, const ModelSpec& spec,
             ProbeResult& result);

/// At most 5 runs of at most 3 rows; stops after 2 s. `fixed` above 0: all runs have that many rows. Throws
/// Error(model) if an output does not have one row for each of the batch.
ProbeResult probe_rows(TrialRun& trial, const SampleRows& samples, const ModelSpec& spec,
                       std::size_t fixed);

/// Largest |a - b| / max|a| of two arrays of one type; 0 if both are bit-equal.
double largest_difference(const std::byte* a, const std::byte* b, std::size_t bytes,
                          DataType dtype) noexcept;

}  // namespace dynbatch

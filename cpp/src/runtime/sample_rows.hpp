// Sample rows for warm-up and probe: the caller's examples, or made-up values.
#pragma once

#include <cstddef>
#include <random>
#include <vector>

#include <dynbatch/tensor.hpp>

#include "runtime/trial_run.hpp"

namespace dynbatch {

/// The same values in every process, so that a warning can be repeated.
inline constexpr std::mt19937::result_type kSampleSeed = 20250101;

/// Normal floats; integers and booleans from {0, 1}, which are valid ids and masks in most models. The first 2^20 - 3
/// elements are drawn, and then repeated.
void make_up(std::vector<std::byte>& bytes, DataType dtype, std::mt19937& random);

class SampleRows {
 public:
  /// Throws Error(invalid_argument) if the examples do not fit the model. The examples are copied.
  SampleRows(const ModelSpec& spec, const std::vector<InputView>& examples);

  /// Writes sample `sample` as row `row` of all batched inputs. There are kSamples different ones, or
  /// as many as there are examples; they repeat.
  void write_row(TrialRun& trial, std::size_t row, std::size_t sample) const noexcept;
  void write_shared(TrialRun& trial) const noexcept;
  bool made_up() const noexcept { return made_up_; }
  /// Sample 0, per input; empty for shared ones.
  std::vector<std::vector<std::byte>> first_row() const;

  static constexpr std::size_t kSamples = 3;

 private:
  const ModelSpec& spec_;
  std::vector<std::vector<std::vector<std::byte>>>
      rows_;  // [sample][input]; shared ones in sample 0
  bool made_up_ = true;
};

}  // namespace dynbatch

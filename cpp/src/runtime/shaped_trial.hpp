// ShapedTrial: runs an executor whose rows differ in shape on memory of its own, before there is a batcher.
// One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <dynbatch/executor.hpp>

#include "base/platform.hpp"
#include "memory/output_block.hpp"
#include "runtime/shape_samples.hpp"

namespace dynbatch {

class ShapedTrial {
 public:
  explicit ShapedTrial(Executor& executor);
  ~ShapedTrial();
  ShapedTrial(const ShapedTrial&) = delete;
  ShapedTrial& operator=(const ShapedTrial&) = delete;

  /// Makes the inputs of a batch of these rows, each a request, padded to `sizes`; where a row is larger it
  /// does not fit, and must not be given. At least one row; they may be the same object, and are not used
  /// after the call.
  void gather(std::span<const SampleRow* const> rows, std::span<const std::int64_t> sizes);
  /// Runs what was gathered; `elapsed` (if not null) gets the time in nanoseconds. A failure has
  /// ErrorCode::model if the executor did not bring every output. `alone`: with all CPUs, if that is on offer.
  Failure run(Nanoseconds* elapsed = nullptr, bool alone = false) noexcept;
  bool offers_lone_runs() const noexcept { return executor_.offers_lone_runs(); }

  std::size_t rows() const noexcept { return rows_; }
  /// A gathered input: its whole shape, and its bytes.
  const Shape& input_shape(std::size_t index) const noexcept { return shapes_[index]; }
  const std::vector<std::byte>& input(std::size_t index) const noexcept { return bytes_[index]; }
  /// After a run that succeeded, until the next one: the whole of output `index`.
  const Shape& output_shape(std::size_t index) const noexcept { return outputs_[index].shape; }
  const std::byte* output(std::size_t index) const noexcept { return outputs_[index].data; }

 private:
  void gather_input(std::size_t index, std::span<const SampleRow* const> rows,
                    std::span<const std::int64_t> sizes);

  Executor& executor_;
  std::size_t rows_ = 0;
  std::vector<std::vector<std::byte>> bytes_;  // per input
  std::vector<Shape> shapes_;
  std::vector<AdoptedOutput> outputs_;
};

}  // namespace dynbatch

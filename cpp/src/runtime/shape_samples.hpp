// Sample rows of any sizes, for what is run at load of a model whose rows differ in shape: the caller's
// examples, cut or repeated to the size that is wanted, or made-up values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <dynbatch/tensor.hpp>

namespace dynbatch {

/// A request of one row.
struct SampleRow {
  std::vector<std::int64_t> sizes;             // per ModelSpec::dimensions
  std::vector<Shape> shapes;                   // per input: whole, with the batch axis
  std::vector<std::vector<std::byte>> inputs;  // empty where the runtime makes the input
};

class ShapeSamples {
 public:
  static constexpr std::size_t kSamples = 3;  // different ones; they repeat

  /// Copies the first rows of the examples. Throws Error(invalid_argument) if they do not fit the model.
  ShapeSamples(const ModelSpec& spec, const std::vector<InputView>& examples);

  bool made_up() const noexcept { return rows_.empty(); }
  /// The sizes that the examples have; empty if there are none.
  const std::vector<std::int64_t>& example_sizes() const noexcept { return example_sizes_; }
  /// Sample `index` at these sizes. Made-up rows of ragged inputs have `ragged_length + index` elements of
  /// their first axis, so that no two are alike; examples have their own.
  /// The shapes alone: shapes_at().
  SampleRow at(std::size_t index, std::span<const std::int64_t> sizes,
               std::int64_t ragged_length) const;
  std::vector<Shape> shapes_at(std::size_t index, std::span<const std::int64_t> sizes,
                               std::int64_t ragged_length) const;

 private:
  void read(const std::vector<InputView>& examples);

  const ModelSpec& spec_;
  std::vector<std::int64_t> example_sizes_;
  std::vector<SampleRow> rows_;  // of the examples, at their own sizes
};

/// The whole shape of a batched or shared input for `rows` rows of these sizes. Not of ragged inputs, nor of
/// what is counted from requests.
Shape shape_at(const TensorSpec& input, std::size_t rows,
               std::span<const std::int64_t> sizes) noexcept;

/// Whether the input is counted from requests (Triton's batch inputs); callers never give it.
bool is_counted(Made made) noexcept;

/// The elements of a tensor.
std::size_t count_elements(const Shape& shape) noexcept;

}  // namespace dynbatch

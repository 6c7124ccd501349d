// Tensors as callers, the core and executors see them: types, shapes, and views that own nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <dynbatch/export.hpp>

namespace dynbatch {

/// Element types, with the numbers that ONNX gives them.
enum class DataType : std::uint8_t {
  float32 = 1,
  uint8 = 2,
  int8 = 3,
  uint16 = 4,
  int16 = 5,
  int32 = 6,
  int64 = 7,
  boolean = 9,
  float16 = 10,
  float64 = 11,
  uint32 = 12,
  uint64 = 13,
  bfloat16 = 16,
};

/// Bytes of one element; 0 for a value that is no DataType.
DYNBATCH_EXPORT std::size_t size_of(DataType type) noexcept;
/// "float32", "int64", ...; "unknown" for a value that is no DataType. A static string.
DYNBATCH_EXPORT const char* name_of(DataType type) noexcept;

/// Dimensions by value, so that views need no allocation.
class Shape {
 public:
  static constexpr std::size_t kMaxRank = 8;  // includes the batch axis; deeper tensors are refused

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims) {
    for (const std::int64_t d : dims) push_back(d);
  }
  explicit Shape(std::span<const std::int64_t> dims) {
    for (const std::int64_t d : dims) push_back(d);
  }

  /// Appends a dimension; one beyond kMaxRank makes the shape invalid, which submit() refuses.
  void push_back(std::int64_t dim) noexcept {
    if (rank_ < kMaxRank) dims_[rank_] = dim;
    ++rank_;
  }
  std::size_t rank() const noexcept { return rank_; }
  bool valid() const noexcept { return rank_ <= kMaxRank; }
  std::int64_t operator[](std::size_t axis) const noexcept { return dims_[axis]; }
  std::span<const std::int64_t> dims() const noexcept {
    return {dims_.data(), rank_ < kMaxRank ? rank_ : kMaxRank};
  }
  bool operator==(const Shape& other) const noexcept;

 private:
  std::array<std::int64_t, kMaxRank> dims_{};
  std::size_t rank_ = 0;
};

/// "[2, 3, 416, 416]".
DYNBATCH_EXPORT std::string to_string(const Shape& shape);

/// What stands behind a row that is shorter than the batch it runs in.
enum class PadMode : std::uint8_t {
  constant,  // TensorSpec::pad
  edge,      // what the row has last along the dimension
  first,     // what it has first: one more of the same for a maximum, or for attention
};

/// An input that the runtime makes, out of the rows of another one.
enum class Made : std::uint8_t {
  no,  // callers give it
  mask,  // 1 where the source has an element along the dimensions that both have, 0 where it is padded
  length,  // the source's own size of its first free dimension, one number a row
  // The batch inputs of Triton, with its names; "element" counts are those of requests, with the batch axis.
  // Made whole, once a batch: such an input has no batch axis, and row_shape is that of the whole tensor,
  // {-1}, or for item_shape {-1, dimensions of an item}.
  element_count,
  accumulated_element_count,
  accumulated_element_count_with_zero,
  max_element_count_as_shape,
  item_shape,
  item_shape_flatten,
};

/// What a model says about one input or output.
struct TensorSpec {
  static constexpr int kStatic = -1;

  std::string name;
  DataType dtype = DataType::float32;
  /// One row, without the batch axis; the whole tensor for a shared input. -1 marks a dimension that
  /// differs between requests, or, in an output, one that is known only after a run.
  Shape row_shape;
  /// Without a batch axis. An input: requests run together only if its bytes are equal. An output: each
  /// request gets all of it.
  bool shared = false;
  /// Where the batch stands in the whole tensor.
  std::size_t batch_axis = 0;
  /// For each axis of row_shape an index of ModelSpec::dimensions, or kStatic; empty: no free dimension.
  /// Of an output: it has the size of that dimension, and each request gets its own part.
  std::vector<int> dimensions;

  // Of inputs.
  double pad = 0.0;
  PadMode pad_mode = PadMode::constant;
  /// Rows of any shape follow each other in one flat tensor [elements], without padding. row_shape is {-1}.
  bool ragged = false;
  Made made = Made::no;
  std::size_t source = 0;  // the input that it is made of

  // Of outputs.
  /// Where the batch is (shared, batch_axis) was said by the user: dry runs check it, and look no further.
  bool declared = false;
  std::size_t rows_per_row = 1;  // k: batch * k rows, of which each row has k consecutive ones
  std::optional<std::size_t> scattered_as;  // flat; each request's part has the shape of this input

  /// Bytes of one row (of the whole tensor if shared); 0 if a dimension is -1.
  DYNBATCH_EXPORT std::size_t row_bytes() const noexcept;
  DYNBATCH_EXPORT bool has_known_shape() const noexcept;
};

/// A dimension of inputs, apart from the batch, whose size may differ between requests. In one request all
/// inputs that have it agree on its size.
struct FreeDimension {
  std::string name;  // the model's own, or "input[axis]"
};

/// The batched and shared inputs and the outputs of a model, in the model's own order.
struct ModelSpec {
  static constexpr std::size_t kMaxDimensions = 8;

  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
  /// Above 0: the model was exported with this batch and runs no other; its only gear, filled.
  std::size_t fixed_batch = 0;
  std::vector<FreeDimension> dimensions;  // at most kMaxDimensions

  /// Whether rows cannot be written in place: batches are gathered, and answers taken apart.
  DYNBATCH_EXPORT bool is_staged() const noexcept;
};

/// A caller's input, with its batch axis (none if the input is shared). C-contiguous. The memory is
/// read only until the call that takes the view has returned. Default-made for an input that the runtime
/// makes: then it does.
struct InputView {
  const void* data = nullptr;
  DataType dtype = DataType::float32;
  Shape shape;
};

/// An output of a finished request, with its batch axis. Valid until its ticket is destroyed.
struct OutputView {
  const void* data = nullptr;
  std::size_t size_bytes = 0;
  DataType dtype = DataType::float32;
  Shape shape;
};

inline bool Shape::operator==(const Shape& other) const noexcept {
  if (rank_ != other.rank_) return false;
  for (std::size_t axis = 0; axis < rank_ && axis < kMaxRank; ++axis) {
    if (dims_[axis] != other.dims_[axis]) return false;
  }
  return true;
}

}  // namespace dynbatch

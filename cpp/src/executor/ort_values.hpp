// ONNX Runtime's values (tensors) over memory that is ours.
//
// Making one costs about 0.15 us, so those over the slots of PreparedMemory are made once, for
// every batch size; the memory must outlive them. Any thread may read once build() is done.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <dynbatch/executor.hpp>

#include "executor/ort_handles.hpp"
#include "executor/ort_library.hpp"

namespace dynbatch {

/// Makes a value over `data`, with a batch axis of `rows` unless the tensor is shared; *made is its
/// owner's to release. Returns ONNX Runtime's status.
ort::Status* make_value(const OrtLibrary& library, const TensorSpec& spec, std::size_t rows,
                        const std::byte* data, ort::Value** made) noexcept;

/// The same with a whole shape, of `size` bytes.
ort::Status* make_value(const OrtLibrary& library, DataType dtype,
                        std::span<const std::int64_t> dims, std::size_t size, const std::byte* data,
                        ort::Value** made) noexcept;

/// The same with a whole shape of known dimensions.
ort::Status* make_value(const OrtLibrary& library, DataType dtype, const Shape& shape,
                        const std::byte* data, ort::Value** made) noexcept;

/// Bytes of a tensor whose dimensions are all known.
std::size_t tensor_bytes(DataType dtype, const Shape& shape) noexcept;

/// Reads the shape of a value; one of more than Shape::kMaxRank dimensions reads as invalid.
/// Returns ONNX Runtime's status.
ort::Status* read_shape(const OrtLibrary& library, const ort::Value* value, Shape& shape) noexcept;

/// The values of one side (the inputs, or the outputs) for every slot and batch size.
class PreparedValues {
 public:
  /// Both must outlive this object.
  PreparedValues(const OrtLibrary& library, std::span<const TensorSpec> specs);
  PreparedValues(const PreparedValues&) = delete;
  PreparedValues& operator=(const PreparedValues&) = delete;
  ~PreparedValues();

  /// `sizes` rise; slots as in PreparedMemory. Throws Error(model).
  void build(const std::vector<std::vector<std::byte*>>& slots, std::span<const std::size_t> sizes);

  /// The values for a slot and batch size, one pointer for each tensor, null where the slot has no
  /// memory for it; null if this pair is not prepared. Valid as long as this object.
  ort::Value* const* find(std::uint32_t slot, std::size_t rows) const noexcept;

 private:
  static constexpr std::uint32_t kNotPrepared = 0xffffffff;

  const OrtLibrary& library_;
  std::span<const TensorSpec> specs_;
  std::size_t slots_ = 0;
  std::size_t sizes_ = 0;
  std::vector<std::uint32_t> size_index_;  // [rows]: place of that size
  std::vector<ort::Value*> values_;        // [slot][size][tensor], owned
};

/// The values of one side in one run: prepared ones, and others that are released after it.
class RunValues {
 public:
  /// `values` and `prepared` have a place for each spec and outlive this object; `prepared` may be
  /// null.
  RunValues(const OrtLibrary& library, std::span<const TensorSpec> specs,
            std::span<ort::Value*> values, ort::Value* const* prepared) noexcept;
  RunValues(const RunValues&) = delete;
  RunValues& operator=(const RunValues&) = delete;
  ~RunValues();

  /// Makes the value of a tensor that is not prepared. Returns ONNX Runtime's status.
  ort::Status* make(std::size_t tensor, std::size_t rows, const std::byte* data) noexcept;
  /// The same for a tensor of the given shape.
  ort::Status* make(std::size_t tensor, const Shape& shape, const std::byte* data) noexcept;
  bool is_prepared(std::size_t tensor) const noexcept;
  ort::Value** values() const noexcept { return values_.data(); }
  /// Hands a value over to the caller, who releases it.
  ort::Value* take(std::size_t tensor) noexcept { return std::exchange(values_[tensor], nullptr); }

 private:
  const OrtLibrary& library_;
  std::span<const TensorSpec> specs_;
  std::span<ort::Value*> values_;
  ort::Value* const* prepared_;
};

inline ort::Value* const* PreparedValues::find(std::uint32_t slot,
                                               std::size_t rows) const noexcept {
  if (slot >= slots_ || rows >= size_index_.size()) return nullptr;
  const std::uint32_t size = size_index_[rows];
  if (size == kNotPrepared) return nullptr;
  return values_.data() + (slot * sizes_ + size) * specs_.size();
}

inline bool RunValues::is_prepared(std::size_t tensor) const noexcept {
  return prepared_ != nullptr && prepared_[tensor] != nullptr;
}

}  // namespace dynbatch

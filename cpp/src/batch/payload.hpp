// Payload: the inputs of one request (or part of it) while it waits, in one piece of memory that tells its
// own shapes: a PayloadItem for each input of the model, then the tensors, as callers gave them.
#pragma once

#include <cstddef>
#include <span>

#include <dynbatch/tensor.hpp>

namespace dynbatch {

struct PayloadItem {
  Shape shape;  // whole, of the rows of this part
  std::size_t offset =
      0;  // of the tensor, from the start of the payload; 0: the caller did not give it
  bool given() const noexcept { return offset != 0; }
};

inline constexpr std::size_t kPayloadAlignment = 64;

/// Bytes of a payload beside the tensors, with what aligning them may cost.
std::size_t payload_head_bytes(std::size_t inputs) noexcept;
/// Writes the rows [first_row, first_row + rows) of each input. Shared inputs, and those that are made and
/// were left out, take no place.
void write_payload(const ModelSpec& spec, std::byte* payload, std::span<const InputView> inputs,
                   std::size_t first_row, std::size_t rows) noexcept;

inline const PayloadItem& payload_item(const std::byte* payload, std::size_t input) noexcept {
  return reinterpret_cast<const PayloadItem*>(payload)[input];
}
inline const std::byte* payload_tensor(const std::byte* payload, std::size_t input) noexcept {
  return payload + payload_item(payload, input).offset;
}

/// Elements of a shape; 1 for a scalar.
inline std::size_t elements_of(const Shape& shape) noexcept {
  std::size_t elements = 1;
  for (const std::int64_t dim : shape.dims()) elements *= static_cast<std::size_t>(dim);
  return elements;
}

}  // namespace dynbatch

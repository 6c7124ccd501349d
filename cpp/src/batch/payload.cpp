#include "batch/payload.hpp"

#include <cstring>
#include <new>

#include "kernels/pad.hpp"

namespace dynbatch {
namespace {

constexpr std::size_t aligned(std::size_t bytes) noexcept {
  return (bytes + kPayloadAlignment - 1) / kPayloadAlignment * kPayloadAlignment;
}

Shape with_size(const Shape& shape, std::size_t at, std::size_t size) noexcept {
  Shape changed;
  for (std::size_t axis = 0; axis < shape.rank(); ++axis)
    changed.push_back(axis == at ? static_cast<std::int64_t>(size) : shape[axis]);
  return changed;
}

}  // namespace

std::size_t payload_head_bytes(std::size_t inputs) noexcept {
  return aligned(inputs * sizeof(PayloadItem)) + inputs * kPayloadAlignment;
}

void write_payload(const ModelSpec& spec, std::byte* payload, std::span<const InputView> inputs,
                   std::size_t first_row, std::size_t rows) noexcept {
  auto* const items = reinterpret_cast<PayloadItem*>(payload);
  std::size_t offset = aligned(inputs.size() * sizeof(PayloadItem));
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const TensorSpec& input = spec.inputs[i];
    PayloadItem& item = *new (items + i) PayloadItem;
    if (input.shared || inputs[i].shape.rank() == 0) continue;
    item.shape = with_size(inputs[i].shape, input.batch_axis, rows);
    item.offset = offset;
    const std::size_t bytes = elements_of(item.shape) * size_of(input.dtype);
    if (bytes > 0) {
      cut_rows(payload + offset, item.shape, static_cast<const std::byte*>(inputs[i].data),
               inputs[i].shape, input.batch_axis, first_row, size_of(input.dtype));
    }
    offset += aligned(bytes);
  }
}

}  // namespace dynbatch

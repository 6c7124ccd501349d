// Puts rows of a finished run into memory of the request's own: for requests that were cut into parts
// and for results whose block cannot be lent.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>

#include <dynbatch/error.hpp>

#include "batch/request.hpp"
#include "batch/request_ledger.hpp"

namespace dynbatch {

/// Where output `index` of the rows in a block lies, and the shape of one row.
template <class P>
inline const std::byte* output_rows(const OutputBlock<P>& block, const ModelSpec& spec,
                                    std::size_t index, Shape& row_shape) noexcept {
  const AdoptedOutput& adopted = block.adopted[index];
  if (adopted.release == nullptr) {
    row_shape = spec.outputs[index].row_shape;
    return block.tensors[index];
  }
  row_shape = Shape(adopted.shape.dims().subspan(1));
  return adopted.data;
}

inline std::size_t bytes_of_row(const Shape& row_shape, DataType dtype) noexcept {
  std::size_t bytes = size_of(dtype);
  for (const std::int64_t dim : row_shape.dims()) bytes *= static_cast<std::size_t>(dim);
  return bytes;
}

/// Memory for output `index` of a request, of its whole shape. Throws std::bad_alloc.
template <class P>
void make_own(Request<P>& request, std::size_t index, const Shape& shape) {
  auto& tensor = request.own_outputs->tensors[index];
  const std::size_t bytes = bytes_of_row(shape, request.ledger->spec.outputs[index].dtype);
  tensor.data = std::make_unique_for_overwrite<std::byte[]>(bytes == 0 ? 1 : bytes);
  tensor.shape = shape;
  tensor.size_bytes = bytes;
  request.ledger->count_unread(request, bytes);
}

template <class P>
Failure different_parts(const Request<P>& request, std::size_t index, const Shape& shape) {
  return {.code = ErrorCode::execution,
          .message = "output '" + request.ledger->spec.outputs[index].name +
                     "': the parts of a request of " + std::to_string(request.rows) +
                     " rows make answers of different shapes, " +
                     to_string(request.own_outputs->tensors[index].shape) + " and " +
                     to_string(shape) + "; raise max_batch_size or send fewer rows",
          .cause = nullptr};
}

/// Copies part `part`, which stands from row `row` on in `block`, to its place in the request's own
/// memory, which is made if there is none. A failure: the parts of the request do not fit together, or
/// there is no memory.
template <class P>
Failure copy_out(Request<P>& request, const Part<P>& part, std::uint32_t row,
                 const OutputBlock<P>& block) {
  RequestLedger<P>& ledger = *request.ledger;
  const ModelSpec& spec = ledger.spec;
  OwnOutputs<P>& own = *request.own_outputs;
  const std::lock_guard lock(own.mutex);
  own.tensors.resize(spec.outputs.size());
  for (std::size_t i = 0; i < spec.outputs.size(); ++i) {
    Shape row_shape;
    const std::byte* const source = output_rows(block, spec, i, row_shape);
    auto& tensor = own.tensors[i];
    const std::size_t row_bytes = bytes_of_row(row_shape, spec.outputs[i].dtype);
    Shape shape{static_cast<std::int64_t>(request.rows)};
    for (const std::int64_t dim : row_shape.dims()) shape.push_back(dim);
    if (!tensor.data) {
      make_own(request, i, shape);
    } else if (!(tensor.shape == shape)) {
      return different_parts(request, i, shape);
    }
    if (row_bytes > 0) {
      std::memcpy(tensor.data.get() + part.request_row * row_bytes, source + row * row_bytes,
                  part.rows * row_bytes);
    }
  }
  return {};
}

}  // namespace dynbatch

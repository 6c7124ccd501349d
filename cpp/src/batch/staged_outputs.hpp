// Puts the answers of one part of a staged batch into memory of its request's own.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include <dynbatch/error.hpp>

#include "batch/own_outputs.hpp"
#include "batch/request.hpp"
#include "batch/stager.hpp"

namespace dynbatch {

/// The shape of the whole answer, given that of one part.
inline Shape whole_answer(const OutputLayout& layout, const Shape& part,
                          std::size_t rows) noexcept {
  if (layout.shared) return part;
  const std::size_t batch_axis = layout.scattered_as ? 0 : layout.batch_axis;
  const std::size_t times = layout.scattered_as ? 1 : layout.rows_per_row;
  Shape whole;
  for (std::size_t axis = 0; axis < part.rank(); ++axis)
    whole.push_back(axis == batch_axis ? static_cast<std::int64_t>(rows * times) : part[axis]);
  return whole;
}

/// A failure: the parts of a request do not fit together. Throws std::bad_alloc.
template <class P>
Failure copy_staged_out(const Stager& stager, Staging& staging, std::size_t index,
                        Request<P>& request, const Part<P>& part, const OutputBlock<P>& block) {
  const ModelSpec& spec = request.ledger->spec;
  OwnOutputs<P>& own = *request.own_outputs;
  const std::lock_guard lock(own.mutex);
  own.tensors.resize(spec.outputs.size());
  for (std::size_t i = 0; i < spec.outputs.size(); ++i) {
    const AdoptedOutput& from = block.adopted[i];
    const OutputLayout& layout = stager.layout(i);
    const Shape shape = stager.part_shape(staging, index, i, from.shape);
    const Shape whole = whole_answer(layout, shape, request.rows);
    auto& tensor = own.tensors[i];
    if (!tensor.data) {
      make_own(request, i, whole);
    } else if (!(tensor.shape == whole)) {
      return different_parts(request, i, whole);
    }
    const std::size_t element = size_of(spec.outputs[i].dtype);
    const std::size_t batch_axis = layout.scattered_as ? 0 : layout.batch_axis;
    const std::size_t times = layout.scattered_as ? 1 : layout.rows_per_row;
    if (!request.is_cut || layout.shared) {
      stager.cut(staging, index, i, from.shape, from.data, tensor.data.get());
    } else if (batch_axis == 0) {
      const std::size_t row_bytes = tensor.size_bytes / request.rows;
      stager.cut(staging, index, i, from.shape, from.data,
                 tensor.data.get() + part.request_row * row_bytes);
    } else {
      std::vector<std::byte> rows(elements_of(shape) * element);
      stager.cut(staging, index, i, from.shape, from.data, rows.data());
      if (!rows.empty()) {
        place_rows(tensor.data.get(), whole, batch_axis, part.request_row * times, rows.data(),
                   shape, element, {});
      }
    }
  }
  return {};
}

}  // namespace dynbatch

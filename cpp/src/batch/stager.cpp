#include "batch/stager.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "kernels/batch_inputs.hpp"

namespace dynbatch {
namespace {

// Staging memory below this is not worth giving back.
constexpr std::size_t kKeptBytes = std::size_t{1} << 20;
constexpr std::uint32_t kRunsWithLess = 64;

constexpr std::size_t aligned(std::size_t bytes) noexcept {
  return (bytes + kPayloadAlignment - 1) / kPayloadAlignment * kPayloadAlignment;
}

bool is_of_triton(Made made) noexcept { return made >= Made::element_count; }

/// The smallest of `gears` (rising) that holds `rows`; `rows` itself if none does.
std::size_t gear_up(const std::vector<std::size_t>& gears, std::size_t rows) noexcept {
  const auto gear = std::lower_bound(gears.begin(), gears.end(), rows);
  return gear == gears.end() ? rows : *gear;
}

Failure failed(const TensorSpec& output, const std::string& what) {
  return {.code = ErrorCode::execution,
          .message = "output '" + output.name + "' " + what,
          .cause = nullptr};
}

}  // namespace

Staging::Staging(const ModelSpec& spec, std::size_t most_parts, std::size_t fill_row_bytes) {
  inputs.resize(spec.inputs.size());
  shapes.resize(spec.inputs.size());
  outputs.resize(spec.outputs.size());
  fill_row.resize(fill_row_bytes);
  parts.reserve(most_parts);
  request_shapes.reserve(most_parts);
}

Stager::Stager(const ModelSpec& spec, StagerSetup setup) : spec_(spec), setup_(std::move(setup)) {
  for (const TensorSpec& input : spec.inputs)
    pads_.push_back(pad_value(input.pad, input.dtype, input.pad_mode));
}

Failure Stager::stage(Staging& staging, std::span<const std::vector<std::byte>> shared) const try {
  settle_sizes(staging);
  if (Failure failure = check_counts(staging)) return failure;
  staging.elements = staging.padded_elements = 0;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < spec_.inputs.size(); ++i) {
    const TensorSpec& input = spec_.inputs[i];
    staging.shapes[i] = input.shared               ? input.row_shape
                        : is_of_triton(input.made) ? made_shape(staging, i)
                                                   : target_shape(staging, i);
    if (!input.shared && !reads_in_place(staging, i))
      bytes += aligned(elements_of(staging.shapes[i]) * size_of(input.dtype));
  }
  const bool much_less = bytes * 4 <= staging.memory.size_bytes();
  staging.runs_with_less = much_less ? staging.runs_with_less + 1 : 0;
  const bool gives_back =
      staging.runs_with_less >= kRunsWithLess && staging.memory.size_bytes() > kKeptBytes;
  if (bytes > staging.memory.size_bytes() || gives_back) {
    staging.memory = Pages();  // the old one goes first
    staging.memory = Pages(std::max(bytes, kPayloadAlignment));
    staging.runs_with_less = 0;
  }
  std::byte* at = staging.memory.data();
  for (std::size_t i = 0; i < spec_.inputs.size(); ++i) {
    if (spec_.inputs[i].shared) {
      staging.inputs[i] = shared[i].data();
    } else if (reads_in_place(staging, i)) {
      staging.inputs[i] = payload_tensor(staging.parts.front().payload, i);
      if (spec_.inputs[i].made == Made::no) staging.elements += elements_of(staging.shapes[i]);
    } else {
      gather(staging, i, at);
      staging.inputs[i] = at;
      at += aligned(elements_of(staging.shapes[i]) * size_of(spec_.inputs[i].dtype));
    }
  }
  return {};
} catch (const Error& error) {
  return {.code = ErrorCode::execution, .message = error.what(), .cause = nullptr};
}

/// Whether counts of elements fit the types in which the model wants them.
Failure Stager::check_counts(const Staging& staging) const {
  for (const TensorSpec& input : spec_.inputs) {
    if (!is_of_triton(input.made) || input.dtype == DataType::int64) continue;
    const std::size_t most = input.dtype == DataType::float32 ? std::size_t{1} << 24 : INT32_MAX;
    std::size_t elements = 0;
    for (const StagedPart& part : staging.parts)
      elements += elements_of(payload_item(part.payload, input.source).shape);
    if (elements <= most) continue;
    return {.code = ErrorCode::execution,
            .message = "input '" + input.name + "' counts " + std::to_string(elements) +
                       " elements, and " + name_of(input.dtype) + " holds at most " +
                       std::to_string(most) + " exactly",
            .cause = nullptr};
  }
  return {};
}

/// Rows and sizes of the batch: those of its parts, up to a gear.
void Stager::settle_sizes(Staging& staging) const noexcept {
  const std::size_t dimensions = spec_.dimensions.size();
  staging.rows = 0;
  staging.sizes.fill(0);
  for (StagedPart& part : staging.parts) {
    part.first_row = static_cast<std::uint32_t>(staging.rows);
    staging.rows += part.rows;
    for (std::size_t d = 0; d < dimensions; ++d)
      staging.sizes[d] = std::max(staging.sizes[d], part.key->sizes[d]);
  }
  staging.run_rows = gear_up(setup_.fill_gears, staging.rows);
  // Where no gear holds them (the gears are exact, and a request was let in with its own) they stay.
  fit_sizes(setup_.plan, {staging.sizes.data(), dimensions}, {staging.sizes.data(), dimensions});
  const ShapePlan& plan = setup_.plan;
  std::size_t batch = 0;  // the smallest of the gears of these sizes that holds the rows
  for (std::size_t g = 0; g < plan.gear_batches.size(); ++g) {
    const std::size_t own = plan.gear_batches[g];
    const bool same =
        std::equal(plan.size_gears[g].begin(), plan.size_gears[g].end(), staging.sizes.begin());
    if (same && own >= staging.rows && (batch == 0 || own < batch)) batch = own;
  }
  if (batch > 0) staging.run_rows = batch;
  for (std::size_t d = 0; d < dimensions; ++d) {
    staging.is_padded[d] = std::ranges::any_of(staging.parts, [&](const StagedPart& part) {
      return part.key->sizes[d] != staging.sizes[d];
    });
  }
}

Shape Stager::own_input_shape(std::size_t input, const StagedKey::Sizes& sizes,
                              std::size_t rows) const noexcept {
  const TensorSpec& spec = spec_.inputs[input];
  Shape shape;
  for (std::size_t axis = 0; axis <= spec.row_shape.rank(); ++axis) {
    if (axis == spec.batch_axis) shape.push_back(static_cast<std::int64_t>(rows));
    if (axis == spec.row_shape.rank()) break;
    const int dimension = spec.dimensions.empty() ? TensorSpec::kStatic : spec.dimensions[axis];
    shape.push_back(dimension == TensorSpec::kStatic ? spec.row_shape[axis]
                                                     : sizes[static_cast<std::size_t>(dimension)]);
  }
  return shape;
}

Shape Stager::target_shape(const Staging& staging, std::size_t input) const noexcept {
  if (!spec_.inputs[input].ragged) return own_input_shape(input, staging.sizes, staging.run_rows);
  std::size_t elements = 0;
  for (const StagedPart& part : staging.parts)
    elements += elements_of(payload_item(part.payload, input).shape);
  return Shape{static_cast<std::int64_t>(elements)};
}

void Stager::list_requests(Staging& staging, std::size_t source) const noexcept {
  staging.request_shapes.clear();
  for (const StagedPart& part : staging.parts)
    staging.request_shapes.push_back(payload_item(part.payload, source).shape);  // reserved
}

Shape Stager::made_shape(Staging& staging, std::size_t input) const noexcept {
  list_requests(staging, spec_.inputs[input].source);
  return batch_input_shape(spec_.inputs[input].made, staging.request_shapes);
}

/// Whether the model can read what the only request of the batch brought.
bool Stager::reads_in_place(const Staging& staging, std::size_t input) const noexcept {
  if (staging.parts.size() != 1 || is_of_triton(spec_.inputs[input].made)) return false;
  const PayloadItem& item = payload_item(staging.parts.front().payload, input);
  if (!item.given()) return false;
  return spec_.inputs[input].ragged || item.shape == staging.shapes[input];
}

void Stager::gather(Staging& staging, std::size_t input, std::byte* target) const noexcept {
  const TensorSpec& spec = spec_.inputs[input];
  if (is_of_triton(spec.made)) {
    list_requests(staging, spec.source);
    write_batch_input(spec.made, spec.dtype, staging.request_shapes, target);
    return;
  }
  std::size_t own = 0;
  for (const StagedPart& part : staging.parts)
    own += elements_of(payload_item(part.payload, input).shape);
  if (spec.ragged) {
    for (const StagedPart& part : staging.parts) {
      const std::size_t bytes =
          elements_of(payload_item(part.payload, input).shape) * size_of(spec.dtype);
      if (bytes > 0) std::memcpy(target, payload_tensor(part.payload, input), bytes);
      target += bytes;
    }
    staging.elements += own;
    return;
  }
  gather_rows(staging, input, target);
  if (spec.made != Made::no) return;
  const std::size_t all = elements_of(staging.shapes[input]);
  staging.elements += own;
  staging.padded_elements += all - own;
}

void Stager::gather_rows(Staging& staging, std::size_t input, std::byte* target) const noexcept {
  const TensorSpec& spec = spec_.inputs[input];
  const Shape& shape = staging.shapes[input];
  for (const StagedPart& part : staging.parts) {
    const PayloadItem& item = payload_item(part.payload, input);
    if (!item.given()) {
      make_rows(staging, part, input, target);
    } else if (part.rows > 0) {
      place_rows(target, shape, spec.batch_axis, part.first_row,
                 payload_tensor(part.payload, input), item.shape, size_of(spec.dtype),
                 pads_[input]);
    }
  }
  if (staging.run_rows > staging.rows) fill(staging, input, target);
}

/// The mask or the lengths of a part whose caller left them out.
void Stager::make_rows(const Staging& staging, const StagedPart& part, std::size_t input,
                       std::byte* target) const noexcept {
  const TensorSpec& spec = spec_.inputs[input];
  if (spec.made == Made::mask) {
    write_mask(target, staging.shapes[input], spec.batch_axis, part.first_row,
               own_input_shape(input, part.key->sizes, part.rows), spec.dtype);
    return;
  }
  const std::vector<int>& dimensions = spec_.inputs[spec.source].dimensions;
  const auto free = std::ranges::find_if(
      dimensions, [](int dimension) { return dimension != TensorSpec::kStatic; });
  write_lengths(target + part.first_row * size_of(spec.dtype), spec.dtype, part.rows,
                part.key->sizes[static_cast<std::size_t>(*free)]);
}

/// Completes a gear with the row that warm-up ran, cut and padded to the sizes of the batch.
void Stager::fill(Staging& staging, std::size_t input, std::byte* target) const noexcept {
  const TensorSpec& spec = spec_.inputs[input];
  const std::size_t element = size_of(spec.dtype);
  StagedKey::Sizes sizes = setup_.fill_sizes;
  bool fits = true;
  for (std::size_t d = 0; d < spec_.dimensions.size(); ++d) {
    fits = fits && sizes[d] <= staging.sizes[d];
    sizes[d] = std::min(sizes[d], staging.sizes[d]);
  }
  const Shape row = own_input_shape(input, sizes, 1);
  const std::byte* source = setup_.fill_row[input].data();
  if (!fits) {
    // Where the batch is padded no further; it has a row's bytes at most.
    cut_rows(staging.fill_row.data(), row, source, own_input_shape(input, setup_.fill_sizes, 1),
             spec.batch_axis, 0, element);
    source = staging.fill_row.data();
  }
  for (std::size_t at = staging.rows; at < staging.run_rows; ++at) {
    place_rows(target, staging.shapes[input], spec.batch_axis, at, source, row, element,
               pads_[input]);
  }
}

Failure Stager::check(const Staging& staging, std::span<const Shape> outputs) const {
  for (std::size_t i = 0; i < spec_.outputs.size(); ++i) {
    const TensorSpec& spec = spec_.outputs[i];
    const OutputLayout& layout = setup_.outputs[i];
    const Shape& whole = outputs[i];
    if (!whole.valid()) return failed(spec, "has too many dimensions: " + to_string(whole));
    if (layout.shared) continue;
    if (layout.scattered_as) {
      std::size_t expected = 0;
      for (const StagedPart& part : staging.parts)
        expected += elements_of(payload_item(part.payload, *layout.scattered_as).shape);
      if (elements_of(whole) != expected) {
        return failed(spec, "has " + std::to_string(elements_of(whole)) + " elements, expected " +
                                std::to_string(expected) + ", those of input '" +
                                spec_.inputs[*layout.scattered_as].name + "'");
      }
      continue;
    }
    const auto rows = static_cast<std::int64_t>(staging.run_rows * layout.rows_per_row);
    if (whole.rank() <= layout.batch_axis || whole[layout.batch_axis] != rows) {
      return failed(spec, "has shape " + to_string(whole) + ", expected " + std::to_string(rows) +
                              " on axis " + std::to_string(layout.batch_axis));
    }
    for (std::size_t part = 0; part < staging.parts.size(); ++part) {
      const Shape own = part_shape(staging, part, i, whole);
      for (std::size_t axis = 0; axis < whole.rank(); ++axis) {
        if (own[axis] <= whole[axis]) continue;
        return failed(spec, "has shape " + to_string(whole) + ", too small for a request's " +
                                to_string(own));
      }
    }
  }
  return {};
}

Shape Stager::part_shape(const Staging& staging, std::size_t part, std::size_t output,
                         const Shape& whole) const noexcept {
  const OutputLayout& layout = setup_.outputs[output];
  const StagedPart& own = staging.parts[part];
  if (layout.scattered_as) return payload_item(own.payload, *layout.scattered_as).shape;
  const Shape trimmed = own_shape(layout, whole, own.rows, own.key->sizes);
  Shape shape;
  for (std::size_t axis = 0; axis < trimmed.rank(); ++axis) {
    // Where no part was padded, all have what the model gave.
    const int dimension =
        axis < layout.trims.size() ? layout.trims[axis].dimension : TensorSpec::kStatic;
    const bool padded =
        dimension != TensorSpec::kStatic && staging.is_padded[static_cast<std::size_t>(dimension)];
    shape.push_back(dimension == TensorSpec::kStatic || padded ? trimmed[axis] : whole[axis]);
  }
  return shape;
}

void Stager::cut(Staging& staging, std::size_t part, std::size_t output, const Shape& whole,
                 const std::byte* from, std::byte* target) const noexcept {
  const OutputLayout& layout = setup_.outputs[output];
  const std::size_t element = size_of(spec_.outputs[output].dtype);
  const Shape own = part_shape(staging, part, output, whole);
  const std::size_t bytes = elements_of(own) * element;
  if (bytes == 0) return;
  if (layout.scattered_as) {
    std::size_t before = 0;
    for (std::size_t i = 0; i < part; ++i)
      before += elements_of(payload_item(staging.parts[i].payload, *layout.scattered_as).shape);
    std::memcpy(target, from + before * element, bytes);
  } else if (layout.shared) {
    std::memcpy(target, from, bytes);
  } else {
    cut_rows(target, own, from, whole, layout.batch_axis,
             staging.parts[part].first_row * layout.rows_per_row, element);
  }
}

Shape Stager::empty_shape(std::size_t output, const StagedKey::Sizes& sizes) const noexcept {
  const TensorSpec& spec = spec_.outputs[output];
  const OutputLayout& layout = setup_.outputs[output];
  Shape whole;
  const std::size_t rank = spec.row_shape.rank() + (layout.shared || spec.shared ? 0 : 1);
  std::size_t inner = 0;
  for (std::size_t axis = 0; axis < std::max<std::size_t>(rank, 1); ++axis) {
    if (axis == layout.batch_axis) {
      whole.push_back(0);
    } else {
      const std::int64_t dim = inner < spec.row_shape.rank() ? spec.row_shape[inner++] : 0;
      whole.push_back(std::max<std::int64_t>(dim, 0));
    }
  }
  Shape empty;
  const Shape own = own_shape(layout, whole, 0, sizes);
  for (std::size_t axis = 0; axis < own.rank(); ++axis)
    empty.push_back(layout.shared && axis == 0 ? 0 : own[axis]);
  return empty;
}

std::size_t Stager::fill_row_bytes() const noexcept {
  std::size_t bytes = 0;
  for (const std::vector<std::byte>& row : setup_.fill_row) bytes = std::max(bytes, row.size());
  return setup_.fill_gears.empty() && setup_.plan.gear_batches.empty() ? 0 : bytes;
}

bool Stager::is_whole(const Staging& staging, std::span<const Shape> outputs) const noexcept {
  if (staging.parts.size() != 1 || staging.run_rows != staging.rows) return false;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const OutputLayout& layout = setup_.outputs[i];
    const bool plain = !layout.shared && !layout.scattered_as && layout.batch_axis == 0 &&
                       layout.rows_per_row == 1;
    if (!plain || !(part_shape(staging, 0, i, outputs[i]) == outputs[i])) return false;
  }
  return true;
}

}  // namespace dynbatch

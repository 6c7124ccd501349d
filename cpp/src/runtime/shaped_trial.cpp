#include "runtime/shaped_trial.hpp"

#include <optional>
#include <string>
#include <utility>

#include "kernels/batch_inputs.hpp"
#include "kernels/pad.hpp"

namespace dynbatch {
namespace {

class BroughtOutputs final : public RunOutputs {
 public:
  explicit BroughtOutputs(std::vector<AdoptedOutput>& outputs) noexcept : outputs_(outputs) {}

  void adopt(std::size_t index, const void* data, const Shape& shape,
             void (*release)(void* context), void* context) noexcept override {
    outputs_[index].clear();
    outputs_[index] = {.data = static_cast<const std::byte*>(data),
                       .shape = shape,
                       .release = release != nullptr ? release : [](void*) {},
                       .context = context};
  }
  void fail_row(std::size_t, Failure failure) noexcept override {
    if (!row_failure_) row_failure_ = std::move(failure);
  }
  const std::optional<Failure>& row_failure() const noexcept { return row_failure_; }

 private:
  std::vector<AdoptedOutput>& outputs_;
  std::optional<Failure> row_failure_;
};

// What Made::length says about one row: its size of the source's first free dimension, or, where the
// source is ragged, its elements.
std::int64_t length_of(const ModelSpec& spec, const TensorSpec& made, const SampleRow& row) {
  const TensorSpec& source = spec.inputs[made.source];
  for (const int dimension : source.dimensions) {
    if (dimension != TensorSpec::kStatic) return row.sizes[static_cast<std::size_t>(dimension)];
  }
  return static_cast<std::int64_t>(count_elements(row.shapes[made.source]));
}

std::vector<std::byte> concatenated(std::span<const SampleRow* const> rows, std::size_t input) {
  std::vector<std::byte> bytes;
  for (const SampleRow* const row : rows)
    bytes.insert(bytes.end(), row->inputs[input].begin(), row->inputs[input].end());
  return bytes;
}

}  // namespace

ShapedTrial::ShapedTrial(Executor& executor)
    : executor_(executor),
      bytes_(executor.spec().inputs.size()),
      shapes_(executor.spec().inputs.size()),
      outputs_(executor.spec().outputs.size()) {}

ShapedTrial::~ShapedTrial() {
  for (AdoptedOutput& output : outputs_) output.clear();
}

void ShapedTrial::gather(std::span<const SampleRow* const> rows,
                         std::span<const std::int64_t> sizes) {
  rows_ = rows.size();
  for (std::size_t i = 0; i < bytes_.size(); ++i) gather_input(i, rows, sizes);
}

void ShapedTrial::gather_input(std::size_t index, std::span<const SampleRow* const> rows,
                               std::span<const std::int64_t> sizes) {
  const ModelSpec& spec = executor_.spec();
  const TensorSpec& input = spec.inputs[index];
  const std::size_t element_bytes = size_of(input.dtype);
  const SampleRow& first = *rows.front();
  const bool given = !first.inputs[index].empty();
  std::vector<std::byte>& bytes = bytes_[index];
  Shape& shape = shapes_[index];
  if (input.shared) {
    shape = first.shapes[index];
    bytes = first.inputs[index];
    return;
  }
  if (input.ragged) {
    bytes = concatenated(rows, index);
    shape = Shape{static_cast<std::int64_t>(bytes.size() / element_bytes)};
    return;
  }
  if (!given && input.made != Made::no && input.made != Made::mask && input.made != Made::length) {
    std::vector<Shape> requests;
    for (const SampleRow* const row : rows) requests.push_back(row->shapes[input.source]);
    shape = batch_input_shape(input.made, requests);
    bytes.assign(count_elements(shape) * element_bytes, std::byte{0});
    write_batch_input(input.made, input.dtype, requests, bytes.data());
    return;
  }
  shape = shape_at(input, rows.size(), sizes);
  bytes.assign(count_elements(shape) * element_bytes, std::byte{0});
  const std::size_t row_bytes = bytes.size() / rows.size();
  const PadValue pad = pad_value(input.pad, input.dtype, input.pad_mode);
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const SampleRow& sample = *rows[row];
    if (given) {
      place_rows(bytes.data(), shape, input.batch_axis, row, sample.inputs[index].data(),
                 sample.shapes[index], element_bytes, pad);
    } else if (input.made == Made::mask) {
      write_mask(bytes.data(), shape, input.batch_axis, row, sample.shapes[index], input.dtype);
    } else if (input.made == Made::length) {
      write_lengths(bytes.data() + row * row_bytes, input.dtype, 1, length_of(spec, input, sample));
    }  // else rows without elements
  }
}

Failure ShapedTrial::run(Nanoseconds* elapsed, bool alone) noexcept {
  for (AdoptedOutput& output : outputs_) output.clear();
  std::vector<const std::byte*> inputs;
  for (const auto& bytes : bytes_) inputs.push_back(bytes.data());
  const std::vector<std::byte*> nowhere(outputs_.size(), nullptr);
  BroughtOutputs brought(outputs_);
  const Batch batch{
      .rows = rows_, .inputs = inputs, .outputs = nowhere, .input_shapes = shapes_, .alone = alone};
  const Nanoseconds start = StdPlatform::now();
  Failure failure = executor_.run(batch, brought);
  if (elapsed != nullptr) *elapsed = StdPlatform::now() - start;
  if (failure) return failure;
  if (brought.row_failure()) return *brought.row_failure();
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    if (outputs_[i].release != nullptr && outputs_[i].shape.valid()) continue;
    const std::string& name = executor_.spec().outputs[i].name;
    return {.code = ErrorCode::model,
            .message = "output '" + name + "' " +
                       (outputs_[i].release == nullptr
                            ? "was not delivered by the executor"
                            : "has shape " + to_string(outputs_[i].shape) + ", expected at most " +
                                  std::to_string(Shape::kMaxRank) + " axes"),
            .cause = nullptr};
  }
  return {};
}

}  // namespace dynbatch

#include "runtime/shape_samples.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <string>

#include <dynbatch/error.hpp>

#include "runtime/sample_rows.hpp"

namespace dynbatch {
namespace {

[[noreturn]] void refuse(const TensorSpec& input, const std::string& message) {
  throw Error(ErrorCode::invalid_argument,
              "examples: input '" + input.name + "': expected " + message);
}

// "[n, 3, any, any]".
std::string expected_shape(const TensorSpec& input) {
  if (input.ragged) return "[n, ...]";
  std::string text;
  const std::size_t rank = input.row_shape.rank() + (input.shared ? 0 : 1);
  for (std::size_t axis = 0; axis < rank; ++axis) {
    text += text.empty() ? "[" : ", ";
    if (!input.shared && axis == input.batch_axis) {
      text += 'n';
      continue;
    }
    const std::int64_t dim =
        input.row_shape[axis - (!input.shared && axis > input.batch_axis ? 1 : 0)];
    text += dim < 0 ? "any" : std::to_string(dim);
  }
  return text.empty() ? "[]" : text + "]";
}

// The dimension that an axis of the whole tensor has, or kStatic.
int dimension_at(const TensorSpec& tensor, std::size_t axis) noexcept {
  if (!tensor.shared && axis == tensor.batch_axis) return TensorSpec::kStatic;
  const std::size_t row_axis = axis - (!tensor.shared && axis > tensor.batch_axis ? 1 : 0);
  return row_axis < tensor.dimensions.size() ? tensor.dimensions[row_axis] : TensorSpec::kStatic;
}

// Holds the view against its spec; sets the sizes that are 0 so far.
void check_example(const TensorSpec& input, const InputView& view,
                   std::vector<std::int64_t>& sizes) {
  if (view.dtype != input.dtype) {
    refuse(input, std::string("dtype ") + name_of(input.dtype) + ", got " + name_of(view.dtype));
  }
  const std::string shapes = "shape " + expected_shape(input) + ", got " + to_string(view.shape);
  const std::size_t rank = input.row_shape.rank() + (input.shared ? 0 : 1);
  if (!view.shape.valid() || (input.ragged ? view.shape.rank() == 0 : view.shape.rank() != rank))
    refuse(input, shapes);
  for (std::size_t axis = 0; axis < view.shape.rank(); ++axis) {
    const std::int64_t size = view.shape[axis];
    if (size <= 0) refuse(input, shapes + "; no size may be 0");
    if (input.ragged || (!input.shared && axis == input.batch_axis)) continue;
    const std::int64_t known =
        input.row_shape[axis - (!input.shared && axis > input.batch_axis ? 1 : 0)];
    if (known >= 0 && known != size) refuse(input, shapes);
    const int dimension = dimension_at(input, axis);
    if (dimension == TensorSpec::kStatic) continue;
    std::int64_t& of_all = sizes[static_cast<std::size_t>(dimension)];
    if (of_all != 0 && of_all != size) {
      refuse(input, "size " + std::to_string(of_all) + " at axis " + std::to_string(axis) +
                        ", as another input has it, got " + std::to_string(size));
    }
    of_all = size;
  }
  if (view.data == nullptr) refuse(input, "data, got a null pointer");
}

// Elements of `from`, each axis cut or repeated to the size of `target`; along `batch_axis` from `row` on.
void copy_repeated(std::byte* to, const Shape& target, const std::byte* from, const Shape& source,
                   std::size_t batch_axis, std::size_t row, std::size_t element_bytes) {
  std::array<std::int64_t, Shape::kMaxRank> index{};
  const std::size_t count = count_elements(target);
  for (std::size_t element = 0; element < count; ++element) {
    std::size_t at = 0;
    for (std::size_t axis = 0; axis < target.rank(); ++axis) {
      const auto here =
          static_cast<std::size_t>(index[axis]) + (axis == batch_axis ? row : std::size_t{0});
      const auto size = static_cast<std::size_t>(source[axis]);
      at = at * size + here % size;
    }
    std::memcpy(to + element * element_bytes, from + at * element_bytes, element_bytes);
    for (std::size_t axis = target.rank(); axis-- > 0;) {
      if (++index[axis] < target[axis]) break;
      index[axis] = 0;
    }
  }
}

std::vector<std::byte> repeated(const TensorSpec& input, const Shape& target, const std::byte* from,
                                const Shape& source, std::size_t row) {
  const std::size_t element_bytes = size_of(input.dtype);
  std::vector<std::byte> bytes(count_elements(target) * element_bytes);
  copy_repeated(bytes.data(), target, from, source,
                input.shared ? Shape::kMaxRank : input.batch_axis, row, element_bytes);
  return bytes;
}

// One row of a ragged input. Where the model is told each item's shape, it has as many axes.
Shape ragged_shape(const ModelSpec& spec, std::size_t index, std::int64_t length) noexcept {
  std::int64_t rank = 1;
  for (const TensorSpec& input : spec.inputs) {
    if (input.made != Made::item_shape || input.source != index) continue;
    const std::size_t axes = input.row_shape.rank();
    if (axes > 0 && input.row_shape[axes - 1] > 0) rank = input.row_shape[axes - 1];
  }
  Shape shape{1, length};
  for (std::int64_t axis = 1; axis < rank; ++axis) shape.push_back(2);
  return shape;
}

}  // namespace

bool is_counted(Made made) noexcept {
  return made != Made::no && made != Made::mask && made != Made::length;
}

std::size_t count_elements(const Shape& shape) noexcept {
  std::size_t elements = 1;
  for (const std::int64_t dim : shape.dims()) elements *= static_cast<std::size_t>(dim);
  return elements;
}

Shape shape_at(const TensorSpec& input, std::size_t rows,
               std::span<const std::int64_t> sizes) noexcept {
  Shape shape;
  const std::size_t rank = input.row_shape.rank() + (input.shared ? 0 : 1);
  for (std::size_t axis = 0; axis < rank; ++axis) {
    const int dimension = dimension_at(input, axis);
    if (!input.shared && axis == input.batch_axis) {
      shape.push_back(static_cast<std::int64_t>(rows));
    } else if (dimension != TensorSpec::kStatic) {
      shape.push_back(sizes[static_cast<std::size_t>(dimension)]);
    } else {
      shape.push_back(input.row_shape[axis - (!input.shared && axis > input.batch_axis ? 1 : 0)]);
    }
  }
  return shape;
}

ShapeSamples::ShapeSamples(const ModelSpec& spec, const std::vector<InputView>& examples)
    : spec_(spec) {
  if (!examples.empty()) read(examples);
}

void ShapeSamples::read(const std::vector<InputView>& examples) {
  if (examples.size() != spec_.inputs.size()) {
    throw Error(ErrorCode::invalid_argument, "examples: expected " +
                                                 std::to_string(spec_.inputs.size()) +
                                                 " inputs, got " + std::to_string(examples.size()));
  }
  std::vector<std::int64_t> sizes(spec_.dimensions.size(), 0);
  const auto is_left_out = [&](std::size_t i) {
    return spec_.inputs[i].made != Made::no && examples[i].data == nullptr;
  };
  std::int64_t rows = 0;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const TensorSpec& input = spec_.inputs[i];
    if (is_left_out(i)) continue;
    if (is_counted(input.made)) refuse(input, "nothing, since the runtime makes it; got values");
    check_example(input, examples[i], sizes);
    if (input.shared) continue;
    const std::int64_t count = examples[i].shape[input.ragged ? 0 : input.batch_axis];
    if (rows != 0 && rows != count) {
      refuse(input, std::to_string(rows) + " rows, as another input has them, got " +
                        std::to_string(count));
    }
    rows = count;
  }
  example_sizes_ = sizes;
  for (std::size_t row = 0; row < std::min<std::size_t>(kSamples, static_cast<std::size_t>(rows));
       ++row) {
    SampleRow& sample = rows_.emplace_back();
    sample.sizes = sizes;
    for (std::size_t i = 0; i < examples.size(); ++i) {
      const TensorSpec& input = spec_.inputs[i];
      Shape shape = shape_at(input, 1, sizes);
      if (input.ragged) {
        shape = Shape{1};
        for (const std::int64_t dim : examples[i].shape.dims().subspan(1)) shape.push_back(dim);
      }
      sample.shapes.push_back(is_counted(input.made) ? Shape{} : shape);
      sample.inputs.emplace_back();
      if (is_left_out(i)) continue;
      sample.inputs.back() = repeated(input, shape, static_cast<const std::byte*>(examples[i].data),
                                      examples[i].shape, row);
    }
  }
}

std::vector<Shape> ShapeSamples::shapes_at(std::size_t index, std::span<const std::int64_t> sizes,
                                           std::int64_t ragged_length) const {
  std::vector<Shape> shapes;
  const auto different = static_cast<std::int64_t>(index % kSamples);
  for (std::size_t i = 0; i < spec_.inputs.size(); ++i) {
    const TensorSpec& input = spec_.inputs[i];
    if (is_counted(input.made)) {
      shapes.emplace_back();
    } else if (!input.ragged) {
      shapes.push_back(shape_at(input, 1, sizes));
    } else if (made_up()) {
      shapes.push_back(ragged_shape(spec_, i, ragged_length + different));
    } else {
      shapes.push_back(rows_[index % rows_.size()].shapes[i]);
    }
  }
  return shapes;
}

SampleRow ShapeSamples::at(std::size_t index, std::span<const std::int64_t> sizes,
                           std::int64_t ragged_length) const {
  SampleRow sample{.sizes = {sizes.begin(), sizes.end()},
                   .shapes = shapes_at(index, sizes, ragged_length),
                   .inputs = std::vector<std::vector<std::byte>>(spec_.inputs.size())};
  std::mt19937 random(kSampleSeed + static_cast<std::mt19937::result_type>(index % kSamples));
  for (std::size_t i = 0; i < spec_.inputs.size(); ++i) {
    const TensorSpec& input = spec_.inputs[i];
    std::vector<std::byte>& bytes = sample.inputs[i];
    if (is_counted(input.made)) continue;
    if (!made_up()) {
      const SampleRow& example = rows_[index % rows_.size()];
      if (!example.inputs[i].empty())
        bytes = repeated(input, sample.shapes[i], example.inputs[i].data(), example.shapes[i], 0);
    } else if (input.made == Made::no) {
      bytes.resize(count_elements(sample.shapes[i]) * size_of(input.dtype));
      std::mt19937 shared(kSampleSeed);  // the same for all samples
      make_up(bytes, input.dtype, input.shared ? shared : random);
    }
  }
  return sample;
}

}  // namespace dynbatch

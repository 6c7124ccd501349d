#include "batch/staged_input_check.hpp"

#include <string>

#include "batch/payload.hpp"

namespace dynbatch {
namespace {

bool is_of_triton(Made made) noexcept { return made >= Made::element_count; }

/// "[batch, 3, height, width]".
std::string expected_shape(const ModelSpec& spec, const TensorSpec& input) {
  if (input.shared) return to_string(input.row_shape);
  if (input.ragged) return "[n, ...]";
  std::string text = "[";
  std::size_t axis = 0;
  for (std::size_t at = 0; at <= input.row_shape.rank(); ++at) {
    if (at > 0) text += ", ";
    if (at == input.batch_axis) {
      text += 'n';
      continue;
    }
    const int dimension = input.dimensions.empty() ? TensorSpec::kStatic : input.dimensions[axis];
    text += dimension == TensorSpec::kStatic
                ? std::to_string(input.row_shape[axis])
                : spec.dimensions[static_cast<std::size_t>(dimension)].name;
    ++axis;
  }
  return text + "]";
}

class Check {
 public:
  Check(const ModelSpec& spec, const ShapePlan& plan, StagedKey& key, Failure& failure)
      : spec_(spec), plan_(plan), key_(key), failure_(failure) {
    key_.sizes.fill(-1);
    key_.row_bytes = 0;
    key_.head_bytes = payload_head_bytes(spec.inputs.size());
  }

  bool input(const TensorSpec& input, const InputView& view) {
    const bool given = view.data != nullptr || view.shape.rank() > 0 || !view.shape.valid();
    if (is_of_triton(input.made)) {
      return !given || refuse(input, "no array, since the runtime makes it", to_string(view.shape));
    }
    if (input.made != Made::no && !given) return true;
    if (view.dtype != input.dtype) {
      return refuse(input, std::string("dtype ") + name_of(input.dtype), name_of(view.dtype));
    }
    if (input.shared) {
      if (!(view.shape == input.row_shape)) return refuse_shape(input, view);
      return has_data(input, view, input.row_bytes() > 0);
    }
    const std::size_t rank = input.ragged ? view.shape.rank() : input.row_shape.rank() + 1;
    if (!view.shape.valid() || view.shape.rank() != rank || rank == 0)
      return refuse_shape(input, view);
    if (input.ragged) key_.ranks = key_.ranks << 4 | rank;
    return rows(input, view) && items(input, view) && sizes(input, view) && bytes(input, view);
  }

  std::optional<std::size_t> finish() {
    if (rows_of_ == nullptr) {
      failure_ = invalid("expected at least one input with rows, got none");
      return std::nullopt;
    }
    for (std::size_t i = 0; i < ModelSpec::kMaxDimensions; ++i) {
      const bool used = i < spec_.dimensions.size() && key_.sizes[i] >= 0;
      if (!used) key_.sizes[i] = 0;
      key_.equal[i] = i < plan_.padded.size() && plan_.padded[i] ? 0 : key_.sizes[i];
    }
    return rows_;
  }

 private:
  static Failure invalid(std::string message) {
    return {.code = ErrorCode::invalid_input, .message = std::move(message), .cause = nullptr};
  }
  bool refuse(const TensorSpec& input, const std::string& expected, const std::string& got) {
    failure_ = invalid("input '" + input.name + "': expected " + expected + ", got " + got);
    return false;
  }
  bool refuse_shape(const TensorSpec& input, const InputView& view) {
    return refuse(input, "shape " + expected_shape(spec_, input), to_string(view.shape));
  }
  bool has_data(const TensorSpec& input, const InputView& view, bool needed) {
    return view.data != nullptr || !needed || refuse(input, "data", "a null pointer");
  }

  bool rows(const TensorSpec& input, const InputView& view) {
    const std::int64_t rows = view.shape[input.ragged ? 0 : input.batch_axis];
    if (rows < 0) return refuse_shape(input, view);
    if (rows_of_ == nullptr) {
      rows_of_ = &input;
      rows_ = static_cast<std::size_t>(rows);
      return true;
    }
    return static_cast<std::size_t>(rows) == rows_ ||
           refuse(input, std::to_string(rows_) + " rows as in input '" + rows_of_->name + "'",
                  std::to_string(rows));
  }

  /// Whether the model can be told the shape of an item, if it asks for it.
  bool items(const TensorSpec& input, const InputView& view) {
    for (const TensorSpec& told : spec_.inputs) {
      if (told.made != Made::item_shape || &spec_.inputs[told.source] != &input) continue;
      const std::int64_t expected = told.row_shape.rank() == 2 ? told.row_shape[1] : -1;
      const auto got = static_cast<std::int64_t>(view.shape.rank()) - 1;
      if (expected < 0 || got == expected) continue;
      return refuse(input,
                    "items of " + std::to_string(expected) + " dimensions, which input '" +
                        told.name + "' tells",
                    to_string(view.shape));
    }
    return true;
  }

  bool sizes(const TensorSpec& input, const InputView& view) {
    if (input.ragged) {
      for (const std::int64_t dim : view.shape.dims()) {
        if (dim < 0) return refuse_shape(input, view);
      }
      return true;
    }
    for (std::size_t axis = 0; axis < input.row_shape.rank(); ++axis) {
      const std::int64_t got = view.shape[axis < input.batch_axis ? axis : axis + 1];
      const int dimension = input.dimensions.empty() ? TensorSpec::kStatic : input.dimensions[axis];
      if (dimension == TensorSpec::kStatic) {
        if (got != input.row_shape[axis]) return refuse_shape(input, view);
      } else if (!size(input, static_cast<std::size_t>(dimension), got)) {
        return false;
      }
    }
    return true;
  }

  bool size(const TensorSpec& input, std::size_t dimension, std::int64_t got) {
    const std::string& name = spec_.dimensions[dimension].name;
    const std::int64_t least = plan_.padded[dimension] ? 1 : 0;
    if (got < least) {
      return refuse(input, "'" + name + "' of at least " + std::to_string(least),
                    std::to_string(got));
    }
    std::int64_t& known = key_.sizes[dimension];
    if (known < 0) {
      known = got;
      first_with_[dimension] = &input;
    }
    return known == got || refuse(input,
                                  "'" + name + "' of " + std::to_string(known) + " as in input '" +
                                      first_with_[dimension]->name + "'",
                                  std::to_string(got));
  }

  bool bytes(const TensorSpec& input, const InputView& view) {
    std::size_t bytes = size_of(input.dtype);
    bool overflow = false;
    const std::size_t batch = input.ragged ? 0 : input.batch_axis;
    for (std::size_t axis = 0; axis < view.shape.rank(); ++axis) {
      if (axis == batch) continue;
      overflow |= __builtin_mul_overflow(bytes, static_cast<std::size_t>(view.shape[axis]), &bytes);
    }
    std::size_t all = 0;
    overflow |= __builtin_mul_overflow(bytes, rows_, &all);
    overflow |= __builtin_add_overflow(key_.row_bytes, bytes, &key_.row_bytes);
    if (overflow) return refuse(input, "a shape whose bytes can be counted", to_string(view.shape));
    return has_data(input, view, all > 0);
  }

  const ModelSpec& spec_;
  const ShapePlan& plan_;
  StagedKey& key_;
  Failure& failure_;
  const TensorSpec* rows_of_ = nullptr;
  std::size_t rows_ = 0;
  std::array<const TensorSpec*, ModelSpec::kMaxDimensions> first_with_{};
};

}  // namespace

std::optional<std::size_t> check_staged_inputs(const ModelSpec& spec, const ShapePlan& plan,
                                               std::span<const InputView> inputs, StagedKey& key,
                                               Failure& failure) {
  if (inputs.size() != spec.inputs.size()) {
    failure = {.code = ErrorCode::invalid_input,
               .message = "expected " + std::to_string(spec.inputs.size()) + " inputs, got " +
                          std::to_string(inputs.size()),
               .cause = nullptr};
    return std::nullopt;
  }
  Check check(spec, plan, key, failure);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!check.input(spec.inputs[i], inputs[i])) return std::nullopt;
  }
  return check.finish();
}

}  // namespace dynbatch

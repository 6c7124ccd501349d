#include "runtime/fitted_gears.hpp"

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <utility>

#include <dynbatch/error.hpp>

#include "executor/onnx_messages.hpp"
#include "runtime/gear_names.hpp"

namespace dynbatch {
namespace {

using Sizes = std::vector<std::int64_t>;

std::size_t free_count(const CompiledInput& input) {
  return static_cast<std::size_t>(std::ranges::count(input.shape, -1));
}

std::size_t free_count(const CompiledModel& model) {
  std::size_t count = 0;
  for (const CompiledInput& input : model.inputs) count += free_count(input);
  return count;
}

std::string described(const CompiledInput& input) {
  return onnx::quoted(input.name) + " " + dims_text(input.shape);
}

std::string described(const std::vector<CompiledInput>& inputs) {
  std::string text;
  for (const CompiledInput& input : inputs) text += (text.empty() ? "" : ", ") + described(input);
  return text;
}

std::vector<CompiledInput> declared_inputs(const OrtWholeSession& session) {
  std::vector<CompiledInput> inputs;
  for (const OnnxTensorDeclaration& declared : session.inputs())
    inputs.push_back({declared.name, declared.dtype, declared.shape});
  return inputs;
}

/// Holds what is told against a session.
class Fitting {
 public:
  Fitting(const OrtWholeSession& session, GearSource source) : session_(session), source_(source) {}

  CompiledModel fit(CompiledModel told) const {
    if (told.inputs.empty()) told.inputs = declared_inputs(session_);
    check_names(told);
    for (CompiledInput& input : told.inputs) fit_input(input);
    fit_outputs(told);
    check_kind(told);
    check_gears(told);
    return told;
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    if (source_ == GearSource::caller) throw Error(ErrorCode::invalid_argument, message);
    throw Error(ErrorCode::model, std::string("the model's metadata, as ") + kCompiledModelKey +
                                      ", does not fit the model: " + message);
  }

  void check_names(const CompiledModel& told) const {
    std::set<std::string> names;
    for (const CompiledInput& input : told.inputs) names.insert(input.name);
    std::set<std::string> declared;
    for (const OnnxTensorDeclaration& input : session_.inputs()) declared.insert(input.name);
    if (names == declared && told.inputs.size() == declared.size()) return;
    fail("inputs: expected a shape for each of " + onnx::listed(onnx::names_of(session_.inputs())) +
         ", got " + described(told.inputs));
  }

  void fit_input(CompiledInput& input) const {
    const OnnxTensorDeclaration& declared =
        *std::ranges::find(session_.inputs(), input.name, &OnnxTensorDeclaration::name);
    bool fits = input.shape.size() == declared.shape.size();
    for (std::size_t axis = 0; fits && axis < input.shape.size(); ++axis) {
      const std::int64_t dim = input.shape[axis];
      fits = declared.shape[axis] < 0 ? dim >= -1 : dim == declared.shape[axis];
    }
    if (!fits) {
      fail("input " + described(input) + ": expected a shape that fits the model's " +
           onnx::described(declared) + ", -1 or a size where that is free");
    }
    if (source_ == GearSource::model && input.dtype != declared.dtype) {
      fail("input " + onnx::quoted(input.name) + ": expected dtype " + name_of(declared.dtype) +
           ", got " + name_of(input.dtype));
    }
    input.dtype = declared.dtype;
  }

  /// Outputs as the session gives them, with the shapes of those that were told.
  void fit_outputs(CompiledModel& told) const {
    const std::vector<CompiledOutput> known = std::move(told.outputs);
    told.outputs.clear();
    for (const OnnxTensorDeclaration& output : session_.outputs())
      told.outputs.push_back({output.name, output.dtype});
    for (CompiledGear& gear : told.gears) {
      const auto shapes = std::move(gear.output_shapes);
      gear.output_shapes.clear();
      if (known.empty() && shapes.empty()) continue;
      if (known.size() != shapes.size()) {
        fail("expected shapes for each of " + std::to_string(known.size()) +
             " outputs in each gear, got " + std::to_string(shapes.size()));
      }
      for (const CompiledOutput& output : told.outputs) {
        const auto found = std::ranges::find(known, output.name, &CompiledOutput::name);
        if (found == known.end())
          fail("output " + onnx::quoted(output.name) + ": expected its shapes, got none");
        gear.output_shapes.push_back(shapes[static_cast<std::size_t>(found - known.begin())]);
      }
    }
  }

  /// Whether the free dimensions are such that a gear of this kind can settle them.
  void check_kind(const CompiledModel& told) const {
    if (told.kind == GearKind::lengths)
      fail("kind: expected batch, image_size or dims; got lengths");
    for (const CompiledInput& input : told.inputs) {
      const std::size_t count = free_count(input);
      if (told.kind == GearKind::batch && count > 1) {
        fail("input " + described(input) +
             ": expected one free dimension at most, the batch, got " + std::to_string(count) +
             ": tell the sizes of the others, or give gears of another kind");
      }
      if (told.kind == GearKind::image_size && count != 0 && count != 2) {
        fail("input " + described(input) +
             ": expected two free dimensions, height and width, or none; got " +
             std::to_string(count));
      }
    }
  }

  void check_gears(const CompiledModel& told) const {
    const std::size_t free = free_count(told);
    const std::size_t expected = free == 0                           ? 0
                                 : told.kind == GearKind::batch      ? 1
                                 : told.kind == GearKind::image_size ? 2
                                                                     : free;
    if (told.gears.empty() || told.gears.size() > kMostGears ||
        (free == 0 && told.gears.size() > 1)) {
      fail("gears: expected 1 to " + std::to_string(free == 0 ? 1 : kMostGears) +
           " for the inputs " + described(told.inputs) + ", got " +
           std::to_string(told.gears.size()));
    }
    std::set<Sizes> seen;
    for (const CompiledGear& gear : told.gears) {
      if (gear.sizes.size() != expected) {
        fail("gears: expected " + std::to_string(expected) + " sizes a gear for the inputs " +
             described(told.inputs) + ", got " + dims_text(gear.sizes));
      }
      if (std::ranges::any_of(gear.sizes, [](std::int64_t size) { return size < 1; }))
        fail("gears: expected sizes of at least 1, got " + dims_text(gear.sizes));
      if (!seen.insert(gear.sizes).second)
        fail("gears: " + dims_text(gear.sizes) + " is given twice");
    }
  }

  const OrtWholeSession& session_;
  GearSource source_;
};

/// Whether the options, and not the model, give this dimension its size.
bool is_bound(const OrtWholeSession& session, std::size_t input, std::size_t axis) {
  return onnx::is_free(session.description().inputs[input], axis) &&
         session.inputs()[input].shape[axis] >= 0;
}

}  // namespace

CompiledModel with_bound_sizes(CompiledModel compiled, const OrtWholeSession& session) {
  bool changed = false;
  for (CompiledInput& input : compiled.inputs) {
    const auto bound =
        std::ranges::find(session.inputs(), input.name, &OnnxTensorDeclaration::name);
    if (bound == session.inputs().end() || bound->shape.size() != input.shape.size()) continue;
    const auto index = static_cast<std::size_t>(bound - session.inputs().begin());
    for (std::size_t axis = 0; axis < input.shape.size(); ++axis) {
      const std::int64_t size = bound->shape[axis];
      if (!is_bound(session, index, axis) || input.shape[axis] == size) continue;
      if (input.shape[axis] < 0) {
        onnx::refuse("dimensions binds dimension " + std::to_string(axis) + " of input " +
                     described(input) + " to " + std::to_string(size) +
                     ", and the gears that were compiled into the model settle it: expected other "
                     "dimensions, or gears of your own beside it");
      }
      input.shape[axis] = size;
      changed = true;
    }
  }
  if (!changed) return compiled;
  compiled.outputs.clear();
  compiled.rows_independent.reset();
  for (CompiledGear& gear : compiled.gears) gear = {std::move(gear.sizes), {}, 0.0};
  return compiled;
}

CompiledModel fitted(CompiledModel told, const OrtWholeSession& session, GearSource source) {
  return Fitting(session, source).fit(std::move(told));
}

CompiledModel only_gear(const OrtWholeSession& session) {
  CompiledModel model;
  model.inputs = declared_inputs(session);
  if (free_count(model) > 0) {
    throw Error(ErrorCode::model,
                "the model has free dimensions and no gears: its inputs are " +
                    onnx::described(session.inputs()) +
                    ". Compile gears into it (dynbatch compile), give gears (gears=, image_sizes= "
                    "or dims=), or bind its dimensions (dimensions=)");
  }
  model.gears.emplace_back();
  return fitted(std::move(model), session, GearSource::model);
}

}  // namespace dynbatch

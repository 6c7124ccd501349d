#include "executor/ort_whole_session.hpp"

#include <algorithm>
#include <cstring>
#include <exception>

#include "executor/onnx_dimensions.hpp"
#include "executor/onnx_loading.hpp"
#include "executor/onnx_messages.hpp"
#include "executor/ort_model_inspection.hpp"
#include "executor/ort_values.hpp"

namespace dynbatch {
namespace {

/// The places of one run's values. A thread keeps them, so that later runs allocate nothing; they are gone when
/// handlers of atexit() and static objects run their last.
struct Scratch {
  std::vector<ort::Value*> places;
  ~Scratch() { is_gone = true; }
  static inline thread_local bool is_gone = false;
};

std::vector<ort::Value*>& scratch_or(std::vector<ort::Value*>& own) {
  if (Scratch::is_gone) return own;
  thread_local Scratch scratch;
  return scratch.places;
}

std::vector<OnnxTensorDeclaration> wanted(const std::vector<OnnxTensorDeclaration>& outputs,
                                          const std::vector<std::string>& names) {
  if (names.empty()) return outputs;
  std::vector<OnnxTensorDeclaration> chosen;
  for (const std::string& name : names) {
    if (std::ranges::count(names, name) > 1)
      onnx::refuse("outputs names " + onnx::quoted(name) + " twice");
    chosen.push_back(outputs[onnx::index_of(outputs, name, "outputs", "output")]);
  }
  return chosen;
}

}  // namespace

/// The values of one run, which are released after it.
class OrtWholeSession::Values {
 public:
  Values(const ort::Api& api, std::size_t inputs, std::size_t outputs)
      : api_(api), places_(scratch_or(own_)), inputs_(inputs) {
    places_.assign(inputs + outputs, nullptr);
  }
  Values(const Values&) = delete;
  Values& operator=(const Values&) = delete;
  ~Values() {
    for (ort::Value* value : places_) api_.ReleaseValue(value);
  }
  ort::Value** inputs() const noexcept { return places_.data(); }
  ort::Value** outputs() const noexcept { return places_.data() + inputs_; }

 private:
  const ort::Api& api_;
  std::vector<ort::Value*> own_;  // used where the thread's scratch is gone
  std::vector<ort::Value*>& places_;
  std::size_t inputs_;
};

OrtWholeSession::OrtWholeSession(const OnnxModelSource& model, const OnnxRuntimeOptions& options)
    : library_(use_ort_library({options.library_path, options.api_base})) {
  open(model, options);
  find_passed_through();
  for (const OnnxTensorDeclaration& input : inputs_) input_names_.push_back(input.name.c_str());
  for (const OnnxTensorDeclaration& output : outputs_) output_names_.push_back(output.name.c_str());
}

void OrtWholeSession::open(const OnnxModelSource& model, const OnnxRuntimeOptions& options) {
  const bool binds = !options.dimensions.empty() || !options.input_dimensions.empty();
  if (!binds) {
    session_ = open_session(library_, model, options);
    description_ = describe_model(library_, session_.get(), options);
    inputs_ = description_.inputs;
    outputs_ = wanted(description_.outputs, options.outputs);
    return;
  }
  // A session that has bound a dimension no longer tells its name.
  description_ =
      describe_model(library_, open_session_to_inspect(library_, model, options).get(), options);
  onnx::check_bindings(description_.inputs, options);
  inputs_ = description_.inputs;
  std::vector<onnx::Dims> bound;
  for (OnnxTensorDeclaration& input : inputs_)
    bound.push_back(input.shape = onnx::bound_dims(input, options));
  session_ =
      open_session(library_, model, options, onnx::overrides_by_name(description_.inputs, bound));
  outputs_ = wanted(read_outputs(library_.api, session_.get(), options.outputs), options.outputs);
}

void OrtWholeSession::find_passed_through() {
  for (std::size_t output = 0; output < outputs_.size(); ++output) {
    const auto input =
        std::ranges::find(inputs_, outputs_[output].name, &OnnxTensorDeclaration::name);
    if (input == inputs_.end()) continue;
    passed_through_.push_back(
        {.output = output, .input = static_cast<std::size_t>(input - inputs_.begin())});
  }
}

// Running.

Failure OrtWholeSession::run(const GearTensors& gear, std::span<const void* const> inputs,
                             std::span<void* const> outputs) const noexcept {
  try {
    Values values(library_.api, inputs_.size(), outputs_.size());
    if (Failure failure = make_inputs(values, gear, inputs)) return failure;
    if (Failure failure = make_outputs(values, gear, outputs)) return failure;
    if (Failure failure = run(values)) return failure;
  } catch (const std::exception& error) {
    return {ErrorCode::execution, error.what(), nullptr};
  }
  for (const auto& [output, input] : passed_through_) {
    const std::size_t size = gear.outputs[output].size_bytes;
    if (size > 0) std::memmove(outputs[output], inputs[input], size);
  }
  return {};
}

Failure OrtWholeSession::run_for_shapes(const GearTensors& gear,
                                        std::span<const void* const> inputs,
                                        std::vector<std::vector<std::int64_t>>& shapes) const {
  Values values(library_.api, inputs_.size(), outputs_.size());
  if (Failure failure = make_inputs(values, gear, inputs)) return failure;
  if (Failure failure = run(values)) return failure;
  return read_shapes(values, shapes);
}

Failure OrtWholeSession::run(Values& values) const {
  ort::Status* const status = library_.api.Run(
      session_.get(), nullptr, input_names_.data(), values.inputs(), input_names_.size(),
      output_names_.data(), output_names_.size(), values.outputs());
  return status == nullptr ? Failure() : failure_of(status);
}

Failure OrtWholeSession::make_inputs(Values& values, const GearTensors& gear,
                                     std::span<const void* const> inputs) const {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const WholeTensor& tensor = gear.inputs[i];
    ort::Status* const status =
        make_value(library_, tensor.dtype, tensor.shape, tensor.size_bytes,
                   static_cast<const std::byte*>(inputs[i]), &values.inputs()[i]);
    if (status != nullptr) return failure_of(status);
  }
  return {};
}

Failure OrtWholeSession::make_outputs(Values& values, const GearTensors& gear,
                                      std::span<void* const> outputs) const {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const WholeTensor& tensor = gear.outputs[i];
    ort::Status* const status =
        make_value(library_, tensor.dtype, tensor.shape, tensor.size_bytes,
                   static_cast<const std::byte*>(outputs[i]), &values.outputs()[i]);
    if (status != nullptr) return failure_of(status);
  }
  return {};
}

Failure OrtWholeSession::read_shapes(const Values& values,
                                     std::vector<std::vector<std::int64_t>>& shapes) const {
  shapes.clear();
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    Shape shape;
    ort::Status* const status = read_shape(library_, values.outputs()[i], shape);
    if (status != nullptr) return failure_of(status);
    if (!shape.valid()) {
      return {ErrorCode::model,
              "output '" + outputs_[i].name + "' has " + std::to_string(shape.rank()) +
                  " dimensions: it may have at most " + std::to_string(Shape::kMaxRank),
              nullptr};
    }
    shapes.emplace_back(shape.dims().begin(), shape.dims().end());
  }
  return {};
}

Failure OrtWholeSession::failure_of(ort::Status* status) const {
  return {ErrorCode::execution, ort::take_message(library_.api, status), nullptr};
}

}  // namespace dynbatch

#include "executor/onnx_loading.hpp"

#include <string>
#include <utility>

#include <dynbatch/compiled_model.hpp>

#include "executor/onnx_batching.hpp"
#include "executor/ort_model_inspection.hpp"

namespace dynbatch {
namespace {

/// What `make` makes; what it throws says that the model's own metadata has a part in it.
template <class Make>
auto naming_metadata(const OnnxModelMetadata& metadata, Make make) {
  try {
    return make();
  } catch (const Error& error) {
    if (!metadata.custom.contains(kOnnxDeclarationsKey)) throw;
    throw Error(error.code(), std::string(error.what()) +
                                  ". The model's metadata declares inputs or outputs too, as " +
                                  kOnnxDeclarationsKey);
  }
}

ort::Handle<ort::Session> open_lone(const OrtLibrary& library, const OnnxModelSource& source,
                                    const OnnxRuntimeOptions& options, const BoundInputs& bound) {
  if (options.lone_threads == 0) return {};
  try {
    return open_lone_session(library, source, options, bound.overrides);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::invalid_argument) throw;
    return {};  // No memory or no threads for a second session: lone runs are like any other.
  }
}

}  // namespace

OnnxModelDescription describe_model(const OrtLibrary& library, const ort::Session* session,
                                    const OnnxRuntimeOptions& options) {
  return {.library_path = library.path,
          .library_version = library.version,
          .metadata = read_metadata(library.api, session),
          .inputs = read_inputs(library.api, session),
          .outputs = read_outputs(library.api, session, options.outputs)};
}

LoadedOnnxModel load_onnx_model(const OrtLibrary& library, const OnnxModelSource& source,
                                const OnnxRuntimeOptions& options) {
  LoadedOnnxModel model;
  const bool binds = !options.dimensions.empty() || !options.input_dimensions.empty();
  if (binds) {
    // A session that has bound a dimension no longer tells its name.
    model.description =
        describe_model(library, open_session_to_inspect(library, source, options).get(), options);
  } else {
    model.session = open_session(library, source, options);
    model.description = describe_model(library, model.session.get(), options);
  }
  const OnnxModelMetadata& metadata = model.description.metadata;
  const OnnxRuntimeOptions declared = with_compiled_dimensions(
      with_onnx_declarations(options, metadata), metadata, model.description.inputs);
  BoundInputs bound =
      naming_metadata(metadata, [&] { return bind_inputs(model.description.inputs, declared); });
  if (binds || !bound.overrides.empty()) {
    model.session.reset();  // of two, the memory of one
    model.session = open_session(library, source, options, bound.overrides);
  }
  model.lone_session = open_lone(library, source, options, bound);
  const auto outputs = read_outputs(library.api, model.session.get(), options.outputs);
  model.spec.outputs =
      naming_metadata(metadata, [&] { return output_specs(outputs, bound, declared); });
  model.spec.inputs = std::move(bound.specs);
  model.spec.fixed_batch = bound.fixed_batch;
  model.spec.dimensions = std::move(bound.dimensions);
  return model;
}

}  // namespace dynbatch

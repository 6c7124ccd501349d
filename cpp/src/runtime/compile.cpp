#include <dynbatch/compile.hpp>

#include <cstddef>
#include <utility>

#include <dynbatch/batcher.hpp>
#include <dynbatch/onnxruntime_executor.hpp>

#include "base/machine_memory.hpp"
#include "executor/onnx_loading.hpp"
#include "executor/ort_whole_session.hpp"
#include "executor/value_shapes.hpp"
#include "runtime/compile_checks.hpp"
#include "runtime/compile_grammar.hpp"
#include "runtime/compiled_file.hpp"
#include "runtime/fitted_gears.hpp"
#include "runtime/gear_names.hpp"
#include "runtime/gear_runner.hpp"
#include "runtime/gear_trials.hpp"

namespace dynbatch {
namespace {

using Dims = std::vector<std::int64_t>;

/// One call of compile().
class Compilation {
 public:
  Compilation(const std::string& model_path, const CompileOptions& options)
      : path_(model_path), options_(options) {
    session_options_.library_path = options.session.library_path;
    session_options_.api_base = options.session.api_base;
    session_options_.intra_op_threads = options.session.intra_op_threads;
    session_options_.session_config = options.session.session_config;
  }

  CompileResult run() {
    GearRequest request = parse_gear_request(options_);
    option_ = request.option;
    result_.output = output_path(path_, options_);
    const OnnxModelSource source{.path = path_, .data = nullptr, .size = 0};
    warn_of_sizes(request, result_.warnings);
    fit(std::move(request), source);
    CompiledFile file(path_, result_.output);
    check_inner_shapes(file.model());
    try_all(source);
    warn_of_plan();
    file.begin(result_.warnings);
    file.write(result_.model);
    if (probe_rows(file.path())) file.write(result_.model);
    if (options_.progress) {
      const std::size_t gears = result_.model.gears.size();
      options_.progress({.gear = gears, .gears = gears, .name = ""});
    }
    file.finish();
    return std::move(result_);
  }

 private:
  void fit(GearRequest request, const OnnxModelSource& source) {
    const OrtLibrary& library =
        use_ort_library({session_options_.library_path, session_options_.api_base});
    const auto session = open_session_to_inspect(library, source, session_options_);
    const OnnxModelDescription description =
        describe_model(library, session.get(), session_options_);
    result_.model = fit_request(std::move(request), options_, description.inputs);
    check_batch_axes(result_.model, options_, description);
    result_.input_bytes = checked_input_bytes(result_.model, option_, memory_bytes());
  }

  /// With a choice of gears alone: what is bound to one may do inside as it likes.
  void check_inner_shapes(const std::string& model) const {
    if (result_.model.gears.front().sizes.empty()) return;
    const auto found = shape_from_values(model);
    if (!found) return;
    throw CompileError("E19999", named_option(), given_gears(),
                       "a graph whose inner shapes follow from the gear alone: the node " +
                           found->node + " makes a shape of the values of '" + found->input +
                           "', which depend on those of the model's inputs. --fixed binds a "
                           "single gear, and true dynamic shapes need no compile");
  }

  void try_all(const OnnxModelSource& source) {
    const OrtWholeSession session(source, session_options_);
    result_.model = fitted(std::move(result_.model), session, GearSource::caller);
    CompiledModel& model = result_.model;
    std::vector<GearTensors> tensors;
    for (std::size_t gear = 0; gear < model.gears.size(); ++gear)
      tensors.push_back({input_tensors(session, model, gear), {}});
    std::size_t tried = 0;
    bool told = false;  // what comes out of the callback passes
    const auto progress = [&](std::size_t gear) {
      if (!options_.progress) return;
      told = true;
      options_.progress(
          {.gear = tried++, .gears = model.gears.size(), .name = gear_name(model, gear)});
      told = false;
    };
    try {
      try_gears(session, model, tensors, progress);
    } catch (const Error& error) {
      if (told) throw;
      throw CompileError("E19999", named_option(), given_gears(),
                         "gears in which the model runs, with shapes of outputs that follow from "
                         "the gear alone; where memory ran short, fewer or smaller gears (" +
                             std::string(error.what()) + ")");
    }
    note_trials();
  }

  void note_trials() {
    std::string untimed;
    const CompiledModel& model = result_.model;
    for (std::size_t gear = 0; gear < model.gears.size(); ++gear) {
      std::size_t bytes = 0;
      for (std::size_t i = 0; i < model.outputs.size(); ++i) {
        const Dims& shape = model.gears[gear].output_shapes[i];
        bytes += whole_tensor(model.outputs[i].name, model.outputs[i].dtype, shape).size_bytes;
      }
      result_.output_bytes.push_back(bytes);
      if (model.gears[gear].seconds == 0.0)
        untimed += (untimed.empty() ? "" : ", ") + gear_name(model, gear);
    }
    if (untimed.empty()) return;
    result_.warnings.push_back("the model refuses made-up inputs in the gears " + untimed +
                               ": their shapes are as it declares them, and no time was measured");
  }

  /// As load() does it, of the file that was written: rows alone against the same rows in company. Whether
  /// something was found.
  bool probe_rows(const std::string& file) {
    CompiledModel& model = result_.model;
    if (model.kind != GearKind::batch || model.gears.front().sizes.empty()) return false;
    // The least company that shows whether rows meet.
    BatchingOptions batching;
    batching.gears = {1, 3};
    batching.workers = 1;
    try {
      const Batcher batcher(make_onnxruntime_executor(file, session_options_), batching);
      const LoadReport& report = batcher.report();
      if (report.probed) model.rows_independent = report.rows_independent;
      if (!report.warning.empty()) {
        result_.warnings.push_back("dynbatch.load() of this model will warn: " + report.warning);
      }
    } catch (const Error& error) {
      result_.warnings.push_back(
          std::string(
              "dynbatch.load() will refuse this model, and whether its rows are independent "
              "is not known: ") +
          error.what());
    }
    return model.rows_independent.has_value();
  }

  void warn_of_plan() {
    const std::size_t largest = result_.model.largest();
    const std::size_t plan = static_cast<std::size_t>(onnx_model_bytes(path_)) +
                             result_.input_bytes[largest] + result_.output_bytes[largest];
    if (plan <= memory_bytes()) return;
    result_.warnings.push_back(
        "the plan of the largest gear, " + gear_name(result_.model, largest) + ", is " +
        std::to_string(plan) + " bytes with the model's files, and the machine has " +
        std::to_string(memory_bytes()) + ": it will swap; give fewer or smaller gears");
  }

  std::size_t memory_bytes() const {
    return options_.memory_bytes ? *options_.memory_bytes : machine_memory_bytes();
  }
  std::string named_option() const { return option_.empty() ? "input_shape" : option_; }
  std::string given_gears() const {
    const auto& given = option_ == "dynamic_batch_size"   ? options_.dynamic_batch_size
                        : option_ == "dynamic_image_size" ? options_.dynamic_image_size
                        : option_ == "dynamic_dims"       ? options_.dynamic_dims
                                                          : options_.input_shape;
    return given.value_or("none");
  }

  const std::string& path_;
  const CompileOptions& options_;
  OnnxRuntimeOptions session_options_;
  std::string option_;
  CompileResult result_;
};

}  // namespace

CompileResult compile(const std::string& model_path, const CompileOptions& options) {
  return Compilation(model_path, options).run();
}

}  // namespace dynbatch

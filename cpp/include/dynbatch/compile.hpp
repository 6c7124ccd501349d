// compile(): runs a model in each of the gears that options in ATC's own words ask for, and writes one file that
// holds the model with what was found. Blocks for as long as the runs take; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <dynbatch/compiled_model.hpp>
#include <dynbatch/error.hpp>
#include <dynbatch/export.hpp>
#include <dynbatch/onnxruntime_executor.hpp>

namespace dynbatch {

/// What runs next: gear `gear` of `gears`; gear == gears: all have run. `name` is "4", "[416, 416]", or "" at the
/// end.
struct CompileProgress {
  std::size_t gear = 0;
  std::size_t gears = 0;
  std::string name;
};

/// Texts have the grammar of the options of ATC that have their names; unset: not given.
struct CompileOptions {
  /// The file that is written; ".om" is put behind a name without a suffix. Never the model itself.
  std::optional<std::string> output;
  /// "name:d0,d1,...;name2:...": -1 is what gears settle, nothing behind ':' is a scalar. With gears every input
  /// must stand there; without, what is left out has the model's own shape.
  std::optional<std::string> input_shape;
  // At most one of the next four, and the last is refused: it asks for shapes that no gear settles.
  std::optional<std::string> dynamic_batch_size;  // "1,2,4,8"
  std::optional<std::string> dynamic_image_size;  // "height,width;height,width"
  std::optional<std::string> dynamic_dims;        // "a,b;c,d": a size for each -1
  std::optional<std::string> input_shape_range;
  /// NCHW, NHWC, NCDHW, NDHWC or ND; unset: NCHW. Image sizes need NCHW or NHWC, dims need ND.
  std::optional<std::string> input_format;
  std::optional<std::string> insert_op_conf;  // AIPP: always refused
  /// Values of free dimensions by the names that the model gives them.
  std::map<std::string, std::int64_t> dimensions;
  /// Exactly one gear, whose sizes are then those of the inputs. Shapes inside may then depend on values.
  bool fixed = false;
  /// Library, threads and session entries with which gears are run; no more of it is read.
  OnnxRuntimeOptions session;
  /// Memory of the machine that will run the model; unset: of this one.
  std::optional<std::size_t> memory_bytes;
  /// Called on the calling thread before each gear and after the last; what it throws ends the call.
  std::function<void(const CompileProgress& progress)> progress;
};

struct CompileResult {
  std::string output;  // the file that was written
  CompiledModel model;
  /// The plan: bytes of all inputs and outputs of each gear, in the order of model.gears.
  std::vector<std::size_t> input_bytes;
  std::vector<std::size_t> output_bytes;
  std::vector<std::string> warnings;
};

/// An option that is wrong, or does not fit the model. Codes are those of ATC.
class DYNBATCH_EXPORT CompileError : public Error {
 public:
  /// The code: "E10035"; the option without dashes: "dynamic_batch_size"; what was given; what is allowed.
  CompileError(std::string code, std::string option, std::string given, std::string allowed);
  ~CompileError() override;

  const std::string& atc_code() const noexcept { return atc_code_; }
  const std::string& option() const noexcept { return option_; }
  const std::string& given() const noexcept { return given_; }
  const std::string& allowed() const noexcept { return allowed_; }

 private:
  std::string atc_code_;
  std::string option_;
  std::string given_;
  std::string allowed_;
};

/// Checks the options and, where there is a choice of gears, that shapes inside the graph follow from the gear and not
/// from values; runs each gear of the model (a path), and writes the output, replacing a file of that name in one
/// step. It is the model's own bytes with one entry of metadata. Data files of a model that keeps its weights apart
/// are copied beside an output in another folder. Throws CompileError, and Error(model) where ONNX Runtime does not
/// load the model or the file cannot be written.
DYNBATCH_EXPORT CompileResult compile(const std::string& model_path, const CompileOptions& options);

}  // namespace dynbatch

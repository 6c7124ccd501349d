#include "runtime/gear_trials.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>
#include <random>
#include <string>

#include <dynbatch/error.hpp>

#include "base/platform.hpp"
#include "runtime/gear_names.hpp"
#include "runtime/sample_rows.hpp"

namespace dynbatch {
namespace {

using Shapes = std::vector<std::vector<std::int64_t>>;

constexpr std::size_t kTimedRuns = 3;

std::size_t input_bytes(const GearTensors& tensors) noexcept {
  std::size_t bytes = 0;
  for (const WholeTensor& input : tensors.inputs) bytes += input.size_bytes;
  return bytes;
}

/// Indices of the gears, from the one with the most bytes of inputs on.
std::vector<std::size_t> largest_first(const std::vector<GearTensors>& tensors) {
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::ranges::greater(),
                           [&](std::size_t gear) { return input_bytes(tensors[gear]); });
  return order;
}

/// The shapes that the model itself declares for its only gear; none if there are gears to choose from, or a
/// dimension is free.
Shapes declared_shapes(const OrtWholeSession& session, const CompiledGear& gear) {
  Shapes shapes;
  if (!gear.sizes.empty()) return shapes;
  for (const OnnxTensorDeclaration& output : session.outputs()) {
    if (std::ranges::any_of(output.shape, [](std::int64_t dim) { return dim < 0; })) return {};
    shapes.push_back(output.shape);
  }
  return shapes;
}

/// The trial of one gear.
class GearTrial {
 public:
  GearTrial(const OrtWholeSession& session, CompiledModel& model, std::size_t gear,
            const GearTensors& tensors)
      : session_(session),
        model_(model),
        index_(gear),
        gear_(model.gears[gear]),
        tensors_(tensors) {
    for (const WholeTensor& input : tensors.inputs) {
      values_.emplace_back(input.size_bytes);
      addresses_.push_back(values_.back().data());
    }
  }

  void run() {
    const bool is_known = !gear_.output_shapes.empty();
    Shapes shapes;
    if (const Failure failure = first_run(shapes)) {
      if (!is_known) gear_.output_shapes = declared_shapes(session_, gear_);
      if (gear_.output_shapes.empty()) fail_without_shapes(failure);
      return;  // good for real values; not timed
    }
    if (is_known) {
      check(shapes, "were told");
    } else {
      gear_.output_shapes = shapes;
    }
    if (!is_known || gear_.seconds == 0.0) time();
  }

 private:
  /// Zeros are tried where the model refuses other values: they are indices in any table.
  Failure first_run(Shapes& shapes) {
    set_values();
    Failure failure = session_.run_for_shapes(tensors_, addresses_, shapes);
    if (failure && failure.code != ErrorCode::model) {
      zeros_ = true;
      set_values();
      failure = session_.run_for_shapes(tensors_, addresses_, shapes);
    }
    if (failure.code == ErrorCode::model) throw Error(failure.code, failure.message);
    return failure;
  }

  void set_values() {
    for (std::size_t i = 0; i < values_.size(); ++i) {
      if (zeros_) {
        std::ranges::fill(values_[i], std::byte{});
      } else {
        make_up(values_[i], tensors_.inputs[i].dtype, random_);
      }
    }
  }

  /// With other values than in the first run, which must make no difference to the shapes.
  void time() {
    set_values();
    std::array<Nanoseconds, kTimedRuns> times{};
    for (Nanoseconds& time : times) {
      Shapes shapes;
      const Nanoseconds start = StdPlatform::now();
      if (session_.run_for_shapes(tensors_, addresses_, shapes)) return;
      time = StdPlatform::now() - start;
      check(shapes, "came with other values of the inputs");
    }
    std::ranges::sort(times);
    gear_.seconds = static_cast<double>(times[kTimedRuns / 2]) * 1e-9;
  }

  void check(const Shapes& shapes, const std::string& origin) const {
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      if (shapes[i] == gear_.output_shapes[i]) continue;
      throw Error(ErrorCode::model, named() + ": output '" + model_.outputs[i].name +
                                        "' has the shape " + dims_text(shapes[i]) + ", and " +
                                        dims_text(gear_.output_shapes[i]) + " " + origin +
                                        ": in a gear all shapes are constant");
    }
  }

  [[noreturn]] void fail_without_shapes(const Failure& failure) const {
    throw Error(ErrorCode::model, named() +
                                      ": the shapes of its outputs are found by a run with made-up "
                                      "inputs, and that failed: " +
                                      failure.message);
  }

  std::string named() const {
    return gear_.sizes.empty() ? "the only gear" : "gear " + gear_name(model_, index_);
  }

  const OrtWholeSession& session_;
  const CompiledModel& model_;
  std::size_t index_;
  CompiledGear& gear_;
  const GearTensors& tensors_;
  std::mt19937 random_{kSampleSeed};
  bool zeros_ = false;
  std::vector<std::vector<std::byte>> values_;  // of each input
  std::vector<const void*> addresses_;
};

}  // namespace

void try_gears(const OrtWholeSession& session, CompiledModel& model,
               const std::vector<GearTensors>& tensors) {
  for (const std::size_t gear : largest_first(tensors))
    GearTrial(session, model, gear, tensors[gear]).run();
}

}  // namespace dynbatch

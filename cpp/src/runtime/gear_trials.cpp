#include "runtime/gear_trials.hpp"

#include <algorithm>
#include <cstddef>
#include <new>
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

// Short runs are repeated more often, since what disturbs one of them outweighs it.
constexpr std::size_t kFewestRuns = 3;
constexpr std::size_t kMostRuns = 15;
constexpr Nanoseconds kTimeEnough = 20'000'000;

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
      if (input.size_bytes > std::vector<std::byte>().max_size()) throw std::bad_alloc();
      values_.emplace_back(input.size_bytes);
      addresses_.push_back(values_.back().data());
    }
  }

  /// Zeros are tried as well: they are indices in any table, and as far as can be from other values where
  /// shapes depend on values.
  void run() {
    const bool is_told = !gear_.output_shapes.empty();
    Failure failure = run_with(Values::made_up, is_told ? "were told" : "");
    const bool is_refused = static_cast<bool>(failure);
    if (is_refused || !is_told) {
      const Failure with_zeros =
          run_with(Values::zeros, is_told ? "were told" : "came with other values of the inputs");
      if (is_refused && with_zeros) return conclude_without(failure);
    }
    if (gear_.seconds == 0.0) time(is_refused ? Values::zeros : Values::made_up);
  }

 private:
  enum class Values : std::uint8_t { made_up, zeros };

  /// Whether the model runs: the shapes must be those that are known, and are known from then on. `origin` says
  /// of where they come.
  Failure run_with(Values values, const std::string& origin) {
    set_values(values);
    Shapes shapes;
    Failure failure = session_.run_for_shapes(tensors_, addresses_, shapes);
    if (failure.code == ErrorCode::model) throw Error(failure.code, failure.message);
    if (failure) return failure;
    if (gear_.output_shapes.empty()) gear_.output_shapes = shapes;
    check(shapes, origin);
    return {};
  }

  /// Good for real values all the same, if the shapes are known; not timed.
  void conclude_without(const Failure& failure) {
    if (gear_.output_shapes.empty()) gear_.output_shapes = declared_shapes(session_, gear_);
    if (!gear_.output_shapes.empty()) return;
    throw Error(ErrorCode::model, named() +
                                      ": the shapes of its outputs are found by a run with made-up "
                                      "inputs, and that failed: " +
                                      failure.message);
  }

  void set_values(Values values) {
    for (std::size_t i = 0; i < values_.size(); ++i) {
      if (values == Values::zeros) {
        std::ranges::fill(values_[i], std::byte{});
      } else {
        make_up(values_[i], tensors_.inputs[i].dtype, random_);
      }
    }
  }

  void time(Values values) {
    set_values(values);
    std::vector<Nanoseconds> times;
    for (Nanoseconds total = 0;
         times.size() < kFewestRuns || (times.size() < kMostRuns && total < kTimeEnough);
         total += times.back()) {
      Shapes shapes;
      const Nanoseconds start = StdPlatform::now();
      if (session_.run_for_shapes(tensors_, addresses_, shapes)) return;
      times.push_back(StdPlatform::now() - start);
      check(shapes, "came with other values of the inputs");
    }
    std::ranges::sort(times);
    gear_.seconds = static_cast<double>(times[times.size() / 2]) * 1e-9;
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

  std::string named() const {
    return gear_.sizes.empty() ? "the only gear" : "gear " + gear_name(model_, index_);
  }

  const OrtWholeSession& session_;
  const CompiledModel& model_;
  std::size_t index_;
  CompiledGear& gear_;
  const GearTensors& tensors_;
  std::mt19937 random_{kSampleSeed};
  std::vector<std::vector<std::byte>> values_;  // of each input
  std::vector<const void*> addresses_;
};

}  // namespace

void try_gears(const OrtWholeSession& session, CompiledModel& model,
               const std::vector<GearTensors>& tensors,
               const std::function<void(std::size_t gear)>& before) {
  for (const std::size_t gear : largest_first(tensors)) {
    if (before) before(gear);
    try {
      GearTrial(session, model, gear, tensors[gear]).run();
    } catch (const std::bad_alloc&) {
      throw Error(ErrorCode::model, "gear " + gear_name(model, gear) +
                                        ": no memory for inputs of " +
                                        std::to_string(input_bytes(tensors[gear])) +
                                        " bytes: use fewer or smaller gears");
    }
  }
}

}  // namespace dynbatch

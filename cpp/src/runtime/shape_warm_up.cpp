#include "runtime/shape_warm_up.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <dynbatch/error.hpp>

#include "runtime/dry_runs.hpp"
#include "runtime/probe_report.hpp"
#include "runtime/shape_probe.hpp"
#include "runtime/shape_samples.hpp"
#include "runtime/shape_times.hpp"
#include "runtime/shaped_trial.hpp"

namespace dynbatch {
namespace {

constexpr std::size_t kFewestSizes = 3;  // that tell how an output follows a dimension

void add_warning(LoadReport& report, const std::string& text) {
  report.warning += (report.warning.empty() ? "" : " ") + text;
}

bool any_padded(const ShapePlan& shapes) {
  return std::ranges::find(shapes.padded, true) != shapes.padded.end();
}

// What follows from rows not being padded.
std::string unpadded(const ShapePlan& shapes) {
  return shapes.kind == GearKind::lengths || shapes.kind == GearKind::batch
             ? "Requests share batches only where their sizes are equal: "
             : "Requests must have exactly the sizes of a gear: ";
}

void refuse_if_demanded(const BatchingOptions& options, const std::string& warning) {
  if (options.batching == Batching::always)
    throw Error(ErrorCode::model, "batching=\"always\": " + warning);
}

// The examples' own sizes must be those of requests.
void check_examples(const ShapePlan& shapes, const ModelSpec& spec, const ShapeSamples& samples) {
  if (samples.made_up()) return;
  if (const auto refusal = refuse_sizes(shapes, spec, samples.example_sizes()))
    throw Error(ErrorCode::invalid_argument, "examples: " + *refusal);
}

class ShapeWarmUpRun {
 public:
  ShapeWarmUpRun(Executor& executor, const BatchingOptions& options, const BatchingPlan& plan,
                 ShapePlan& shapes)
      : spec_(executor.spec()),
        options_(options),
        shapes_(shapes),
        samples_(spec_, options.examples),
        trial_(executor),
        model_{.spec = spec_,
               .plan = plan,
               .samples = samples_,
               .trial = trial_,
               .queue_bytes = options.queue_bytes.value_or(kDefaultQueueBytes),
               .sizes = {}} {}

  ShapeWarmUp run() {
    check_examples(shapes_, spec_, samples_);
    check_rows();
    const Failure failure = find_sizes(model_, shapes_);
    if (!failure) dry_ = run_dry(model_, shapes_);
    if (failure || !dry_.obstacle.empty()) {
      load_unrun(failure ? failure.message : dry_.obstacle);
    } else {
      find_outputs();
      probe_rows();
      if (any_padded(shapes_) && options_.verify) check_padding();
      measure();
      choose_fill_row();
    }
    result_.plan = shapes_;
    return std::move(result_);
  }

 private:
  LoadReport& report() noexcept { return result_.common.report; }
  GearTable& table() noexcept { return result_.common.table; }
  std::string ask_for_examples() const {
    return samples_.made_up() ? "pass example feeds (verify=feeds)" : "the examples were used";
  }

  // Whether the queue holds any row at all.
  void check_rows() const {
    constexpr double kCountable = 9e18;
    const double least = queued_bytes(spec_, std::vector<std::int64_t>(spec_.dimensions.size(), 1));
    if (least <= static_cast<double>(model_.queue_bytes)) return;
    throw Error(ErrorCode::invalid_argument,
                "queue_bytes: expected at least " +
                    std::to_string(static_cast<std::uint64_t>(std::min(least, kCountable))) +
                    ", the bytes of a row with 1 in each free dimension, got " +
                    std::to_string(model_.queue_bytes));
  }

  // Nothing is known of the outputs, so that each request keeps a run to itself.
  void load_unrun(const std::string& why) {
    const std::string warning =
        "The model could not be run at load, so that it is not known how batches are taken "
        "apart: " +
        why + ". Requests are not merged, nor padded; " + ask_for_examples() + ".";
    refuse_if_demanded(options_, warning);
    if (model_.plan.filled)
      throw Error(ErrorCode::model,
                  "the model failed at warm-up: " + why + "; " + ask_for_examples());
    add_warning(report(), warning);
    for (std::size_t d = 0; d < spec_.dimensions.size(); ++d) stop_padding(shapes_, d);
    std::ranges::fill(shapes_.gear_batches, 0);  // there is no row to fill them with
    for (const TensorSpec& output : spec_.outputs) {
      OutputLayout& layout = result_.outputs.emplace_back();
      layout.shared = true;
      layout.scattered_as = output.scattered_as;
      result_.common.output_row_shapes.emplace_back();
    }
    for (const std::size_t gear : model_.plan.gears) table().gears.push_back({.batch_size = gear});
    table().kind = shapes_.kind;
    table().cap = 1;
    result_.common.fill_row.resize(spec_.inputs.size());
    result_.fill_sizes.assign(spec_.dimensions.size(), 0);
  }

  void find_outputs() {
    FoundLayouts found = find_layouts(spec_, dry_.runs);
    for (std::size_t d = 0; d < spec_.dimensions.size(); ++d) {
      if (!shapes_.padded[d]) continue;
      std::string& obstacle = found.obstacles[d];
      const std::int64_t largest = shapes_.largest[d];
      const std::size_t fewest =
          largest == 0 ? kFewestSizes : std::min(kFewestSizes, static_cast<std::size_t>(largest));
      if (obstacle.empty() && dry_.accepted[d].size() < fewest) {
        obstacle = "the model runs with only " + std::to_string(dry_.accepted[d].size()) +
                   " of the sizes that were tried of '" + spec_.dimensions[d].name +
                   "', too few to tell how outputs follow it";
      }
      if (obstacle.empty()) continue;
      const std::string warning = "Rows are not padded along '" + spec_.dimensions[d].name + "'. " +
                                  unpadded(shapes_) + obstacle + ".";
      refuse_if_demanded(options_, warning);
      add_warning(report(), warning);
      stop_padding(shapes_, d);
    }
    result_.outputs = std::move(found.outputs);
    for (std::size_t i = 0; i < result_.outputs.size(); ++i) {
      const OutputLayout& layout = result_.outputs[i];
      const bool has_batch = !layout.shared && !layout.scattered_as;
      const Shape& whole = dry_.runs.front().outputs[i];
      Shape row;
      for (std::size_t axis = 0; axis < whole.rank(); ++axis) {
        if (!has_batch || axis != layout.batch_axis) row.push_back(whole[axis]);
      }
      result_.common.output_row_shapes.push_back(row);
    }
  }

  void probe_rows() {
    if (options_.batching == Batching::off || !options_.verify) {
      report().merges = options_.batching != Batching::off;
      return;
    }
    const ProbeResult probe = probe_shaped_rows(model_, result_.outputs);
    const std::string before = std::exchange(report().warning, "");
    conclude(report(), probe, options_, samples_.made_up());
    if (!before.empty())
      report().warning = before + (report().warning.empty() ? "" : " ") + report().warning;
  }

  void check_padding() {
    const ProbeResult probe =
        probe_padding(model_, result_.outputs, shapes_, dry_, report().merges);
    const std::string refusal = refuse_padding(probe, options_, samples_.made_up());
    if (refusal.empty()) {
      report().bit_equal = report().bit_equal && probe.bit_equal;
      report().difference = std::max(report().difference, probe.difference);
      return;
    }
    const std::string warning = "Rows are not padded. " + unpadded(shapes_) + refusal;
    refuse_if_demanded(options_, warning);
    add_warning(report(), warning);
    for (std::size_t d = 0; d < spec_.dimensions.size(); ++d) stop_padding(shapes_, d);
  }

  void measure() {
    ShapeTimes times = time_shapes(model_, shapes_);
    table() = std::move(times.table);
    result_.cost = std::move(times.cost);
    result_.least_lone_work = times.least_lone_work;
    if (times.failure) {
      const std::string message =
          " model failed at warm-up with " + times.failure.message + "; " + ask_for_examples();
      if (times.failure.code == ErrorCode::model || model_.plan.filled ||
          options_.batching == Batching::always)
        throw Error(ErrorCode::model, "the" + message);
      add_warning(report(), "The" + message + ".");
    }
    const bool own_batches =
        std::ranges::any_of(shapes_.gear_batches, [](std::size_t batch) { return batch != 0; });
    const bool by_runs =
        options_.batching == Batching::automatic && !model_.plan.filled && !own_batches;
    const std::size_t largest = std::min(model_.plan.largest, table().largest());
    table().cap = !report().merges                    ? 1
                  : by_runs && times.measured_cap > 0 ? times.measured_cap
                  : by_runs                           ? std::min(largest, dry_.largest_batch())
                                                      : largest;
  }

  // As small as the model accepts, so that it fits in most batches.
  void choose_fill_row() {
    std::vector<std::int64_t> sizes = model_.sizes;
    for (std::size_t d = 0; d < sizes.size(); ++d) {
      if (shapes_.padded[d]) sizes[d] = dry_.accepted[d].front();
    }
    SampleRow row = model_.sample(0, sizes);
    if (sizes != model_.sizes && model_.run({&row}, sizes)) {
      sizes = model_.sizes;
      row = model_.sample(0, sizes);
    }
    const SampleRow* const only = &row;
    trial_.gather({&only, 1}, sizes);
    for (std::size_t i = 0; i < spec_.inputs.size(); ++i) {
      const TensorSpec& input = spec_.inputs[i];
      const bool by_row = !input.shared && !input.ragged && !is_counted(input.made);
      result_.common.fill_row.push_back(by_row ? trial_.input(i) : std::vector<std::byte>{});
    }
    result_.fill_sizes = std::move(sizes);
  }

  const ModelSpec& spec_;
  const BatchingOptions& options_;
  ShapePlan& shapes_;
  ShapeSamples samples_;
  ShapedTrial trial_;
  ShapedModel model_;
  DryRuns dry_;
  ShapeWarmUp result_;
};

}  // namespace

ShapeWarmUp warm_up_shapes(Executor& executor, const BatchingOptions& options,
                           const BatchingPlan& plan, ShapePlan& shapes) {
  return ShapeWarmUpRun(executor, options, plan, shapes).run();
}

}  // namespace dynbatch

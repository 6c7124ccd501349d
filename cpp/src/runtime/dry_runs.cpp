#include "runtime/dry_runs.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include <dynbatch/error.hpp>

#include "base/platform.hpp"

namespace dynbatch {
namespace {

using Sizes = std::vector<std::int64_t>;

// Lengths of text, sides of images; small ones first, since larger ones take longer.
constexpr std::array<std::int64_t, 7> kFirstSizes{32, 64, 16, 128, 224, 8, 1};
// Of the inputs of a batch, at sizes that nobody named.
constexpr double kMostTriedBytes = 64.0 * 1024 * 1024;
constexpr double kMostIfNeedBe = 256.0 * 1024 * 1024;  // where no smaller ones run
constexpr std::size_t kFewestSizes = 3;                // of a dimension, its first one included
constexpr std::size_t kMostGears = 3;                  // that are run beside the first sizes
// For the sizes beyond kFewestSizes, which tell apart what a few do not.
constexpr Nanoseconds kBudget = 3'000'000'000;

double elements(const Sizes& sizes) noexcept {
  double product = 1.0;
  for (const std::int64_t size : sizes) product *= static_cast<double>(size);
  return product;
}

// Of the inputs that `counts` says.
template <class Counts>
double row_bytes(const ModelSpec& spec, const Sizes& sizes, Counts counts) {
  double bytes = 0.0;
  for (const TensorSpec& input : spec.inputs) {
    if (input.ragged || is_counted(input.made) || !counts(input)) continue;
    double of_input = static_cast<double>(size_of(input.dtype));
    const Shape row = shape_at(input, 1, sizes);
    for (const std::int64_t dim : row.dims()) of_input *= static_cast<double>(dim);
    bytes += of_input;
  }
  return bytes;
}

bool may_be_tried(const ShapedModel& model, const Sizes& sizes, const Sizes& sure,
                  double most_bytes) {
  const auto bytes = [&](const Sizes& at) {
    return static_cast<double>(model.filled_to(1)) *
           row_bytes(model.spec, at, [](const TensorSpec&) { return true; });
  };
  return bytes(sizes) <= std::max(most_bytes, 4.0 * bytes(sure));
}

// Size gears that may be tried with `free`, from the fewest elements to the most.
std::vector<Sizes> gears_with(const ShapedModel& model, const ShapePlan& shapes, const Sizes& free,
                              double most_bytes) {
  const Sizes ones(free.size(), 1);
  std::vector<Sizes> gears;
  for (const Sizes& gear : shapes.size_gears) {
    Sizes sizes = resolved(gear, free);
    if (!model.samples.made_up() || may_be_tried(model, sizes, resolved(gear, ones), most_bytes))
      gears.push_back(std::move(sizes));
  }
  std::ranges::stable_sort(gears, {}, elements);
  return gears;
}

// The sizes that may be the first to run, in the order of trial, for one size of dimensions without gears.
std::vector<Sizes> candidates(const ShapedModel& model, const ShapePlan& shapes,
                              std::int64_t free_size, double most_bytes) {
  if (!model.samples.made_up()) return {model.samples.example_sizes()};
  Sizes free(model.spec.dimensions.size(), free_size);
  for (std::size_t i = 0; i < free.size(); ++i) {
    if (shapes.largest[i] != 0) free[i] = std::min(free[i], shapes.largest[i]);
  }
  if (shapes.size_gears.empty()) {
    if (!may_be_tried(model, free, Sizes(free.size(), 1), most_bytes)) return {};
    return {free};
  }
  std::vector<Sizes> gears = gears_with(model, shapes, free, most_bytes);
  // From the middle one on, then the smaller ones.
  std::ranges::rotate(gears, gears.begin() + static_cast<std::ptrdiff_t>(gears.size() / 2));
  return gears;
}

// Sizes near and far, odd and even: ratios that round down, up and otherwise differ at some of them. By 32, for models
// that only take multiples of it.
Sizes variations(std::int64_t size, std::int64_t largest) {
  Sizes varied;
  for (const std::int64_t other :
       {size + 1, size * 2, size - size / 3, size / 2, size * 2 + 7, size + 3, size + 2, size + 5,
        size * 3 / 2 + 4, size - 1, size - 3, size / 4 + 1, size * 3, size - 2, size + 32,
        size - 32}) {
    const bool fits = other > 0 && other != size && (largest == 0 || other <= largest);
    if (fits && std::ranges::find(varied, other) == varied.end()) varied.push_back(other);
  }
  return varied;
}

class DryRunner {
 public:
  DryRunner(ShapedModel& model, DryRuns& result) : model_(model), result_(result) {}

  Failure run(std::size_t rows, const Sizes& sizes) {
    std::vector<SampleRow> samples;
    for (std::size_t i = 0; i < std::min(rows, ShapeSamples::kSamples); ++i)
      samples.push_back(model_.sample(i, sizes));
    std::vector<const SampleRow*> batch;
    for (std::size_t row = 0; row < rows; ++row) batch.push_back(&samples[row % samples.size()]);
    if (Failure failure = model_.run(std::move(batch), sizes)) return failure;
    DryRun& run = result_.runs.emplace_back();
    run.rows = model_.trial.rows();
    run.sizes = sizes;
    for (std::size_t i = 0; i < model_.spec.inputs.size(); ++i)
      run.elements.push_back(count_elements(model_.trial.input_shape(i)));
    for (std::size_t i = 0; i < model_.spec.outputs.size(); ++i)
      run.outputs.push_back(model_.trial.output_shape(i));
    return {};
  }

 private:
  ShapedModel& model_;
  DryRuns& result_;
};

// One to three rows; where batches have the sizes of gears, the three smallest.
std::vector<std::size_t> batches_to_run(const BatchingPlan& plan) {
  if (!plan.filled) return {1, 2, 3};
  std::vector<std::size_t> gears = plan.gears;
  std::sort(gears.begin(), gears.end());
  if (gears.size() > 3) gears.resize(3);
  return gears;
}

// Runs the dimension at other sizes, while the others stay.
void vary(DryRunner& runner, ShapedModel& model, const ShapePlan& shapes, std::size_t dimension,
          std::size_t rows, Nanoseconds end, Sizes& accepted) {
  const bool padded = shapes.padded[dimension];
  for (const std::int64_t size : variations(model.sizes[dimension], shapes.largest[dimension])) {
    const bool enough = accepted.size() >= kFewestSizes;
    if (enough && (!padded || StdPlatform::now() > end)) break;
    Sizes sizes = model.sizes;
    sizes[dimension] = size;
    if (!may_be_tried(model, sizes, model.sizes)) continue;
    if (!runner.run(rows, sizes)) accepted.push_back(size);
  }
}

}  // namespace

Sizes resolved(const Sizes& gear, const Sizes& free) {
  Sizes sizes = gear;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 0) sizes[i] = free[i];
  }
  return sizes;
}

double queued_bytes(const ModelSpec& spec, const Sizes& sizes) {
  return row_bytes(spec, sizes,
                   [](const TensorSpec& input) { return input.made == Made::no && !input.shared; });
}

bool may_be_tried(const ShapedModel& model, const Sizes& sizes, const Sizes& sure) {
  return may_be_tried(model, sizes, sure, kMostTriedBytes);
}

std::size_t ShapedModel::filled_to(std::size_t rows) const noexcept {
  if (!plan.filled) return rows;
  std::size_t best = plan.largest;
  for (const std::size_t gear : plan.gears) {
    if (gear >= rows) best = std::min(best, gear);
  }
  return best;
}

Failure ShapedModel::run(std::vector<const SampleRow*> rows,
                         std::span<const std::int64_t> at_sizes) {
  rows.resize(std::max(rows.size(), filled_to(rows.size())), rows.front());
  trial.gather(rows, at_sizes);
  Failure failure = trial.run();
  if (failure.code == ErrorCode::model) throw Error(ErrorCode::model, failure.message);
  return failure;
}

Failure find_sizes(ShapedModel& model, const ShapePlan& shapes) {
  Failure first;
  std::vector<Sizes> tried;
  const bool has_ragged = std::ranges::any_of(model.spec.inputs, &TensorSpec::ragged);
  for (const double most_bytes : {kMostTriedBytes, kMostIfNeedBe}) {
    for (const std::int64_t free_size : kFirstSizes) {
      model.ragged_length = free_size;
      for (const Sizes& sizes : candidates(model, shapes, free_size, most_bytes)) {
        if (!has_ragged && std::ranges::find(tried, sizes) != tried.end()) continue;
        tried.push_back(sizes);
        const SampleRow row = model.sample(0, sizes);
        Failure failure = model.run({&row}, sizes);
        if (!failure) {
          model.sizes = sizes;
          return {};
        }
        if (!first) first = std::move(failure);
      }
    }
  }
  return first;
}

DryRuns run_dry(ShapedModel& model, const ShapePlan& shapes) {
  DryRuns result;
  DryRunner runner(model, result);
  const std::vector<std::size_t> batches = batches_to_run(model.plan);
  for (const std::size_t rows : batches) {
    if (Failure failure = runner.run(rows, model.sizes)) {
      result.obstacle = failure.message;
      return result;
    }
  }
  // More than one row: an axis of one element is told from one of a row.
  const std::size_t rows = batches[std::min<std::size_t>(1, batches.size() - 1)];
  const Nanoseconds end = StdPlatform::now() + kBudget;
  for (std::size_t d = 0; d < model.spec.dimensions.size(); ++d) {
    Sizes& accepted = result.accepted.emplace_back(Sizes{model.sizes[d]});
    const bool exact =
        !shapes.padded[d] &&
        std::ranges::any_of(shapes.size_gears, [&](const Sizes& gear) { return gear[d] != 0; });
    if (!exact) vary(runner, model, shapes, d, rows, end, accepted);
    std::ranges::sort(accepted);
  }
  std::size_t gears_run = 0;
  for (const Sizes& gear : resolved_gears(model, shapes)) {
    if (gear == model.sizes || gears_run == kMostGears) continue;
    if (!runner.run(rows, gear)) ++gears_run;
  }
  return result;
}

std::vector<Sizes> resolved_gears(const ShapedModel& model, const ShapePlan& shapes) {
  return gears_with(model, shapes, model.sizes, kMostTriedBytes);
}

}  // namespace dynbatch

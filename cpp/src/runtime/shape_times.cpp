#include "runtime/shape_times.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <dynbatch/error.hpp>

#include "base/platform.hpp"
#include "kernels/batch_inputs.hpp"
#include "runtime/lone_runs.hpp"
#include "runtime/shape_plan.hpp"

namespace dynbatch {
namespace {

using Sizes = std::vector<std::int64_t>;

constexpr std::size_t kTimedRuns = 3;
constexpr std::size_t kMostSizes = 8;
constexpr std::size_t kFewSizes = 3;
constexpr Nanoseconds kBudget = 5'000'000'000;
constexpr Nanoseconds kLoneBudget = 2'000'000'000;
constexpr std::size_t kMostBytes = std::size_t{256} << 20;  // of the inputs of a batch
constexpr double kShortRun = 0.02;                          // seconds
constexpr double kLoneRuns = 6.0;                           // of a size whose runs are long
// How long rows may be where neither a limit nor an example tells; times beyond are the cost table's guess.
constexpr std::int64_t kUsualLength = 128;

/// Batches at the same sizes.
struct Column {
  Sizes sizes;
  bool named = false;                     // by gears, limits or examples, all of them
  double elements = 1.0;                  // of the weighed dimensions
  std::vector<std::size_t> batches;       // as in the table
  std::map<std::size_t, double> seconds;  // by batch size; of those that were measured
  double lone_gain = 0.0;                 // of the smallest batch by all CPUs; 0: not measured
};

double weighed_elements(const ShapePlan& shapes, const Sizes& sizes) {
  double elements = 1.0;
  for (const std::size_t i : shapes.weighed())
    elements *= static_cast<double>(std::max<std::int64_t>(1, sizes[i]));
  return elements;
}

// The limit and powers below it, of all weighed dimensions at once, rising: of two where lengths are padded, and
// so meet; of four where none is, and each size only has its own largest batch.
std::vector<Sizes> powers_below_limit(const ShapedModel& model, const ShapePlan& shapes) {
  const bool any_padded = std::ranges::find(shapes.padded, true) != shapes.padded.end();
  const std::size_t shift = any_padded ? 1 : 2;
  const std::size_t most = any_padded ? kMostSizes : kFewSizes;
  std::vector<Sizes> steps;
  for (std::size_t step = 0; step < most; ++step) {
    Sizes sizes = model.sizes;
    Sizes named = model.sizes;
    for (const std::size_t i : shapes.weighed()) {
      const std::int64_t limit = shapes.largest[i] != 0    ? shapes.largest[i]
                                 : model.samples.made_up() ? std::max(sizes[i], kUsualLength)
                                                           : sizes[i];
      sizes[i] = limit;
      if (step > 0) {
        const auto below =
            std::bit_floor(static_cast<std::uint64_t>(std::max<std::int64_t>(1, limit - 1)));
        sizes[i] =
            std::max<std::int64_t>(1, static_cast<std::int64_t>(below >> (shift * step - 1)));
      }
      if (shapes.largest[i] != 0) named[i] = sizes[i];
    }
    if (!may_be_tried(model, sizes, named)) continue;
    if (queued_bytes(model.spec, sizes) > static_cast<double>(model.queue_bytes)) continue;
    if (steps.empty() || steps.back() != sizes) steps.push_back(std::move(sizes));
  }
  std::ranges::reverse(steps);
  return steps;
}

// With a gear's own sizes, if it is one: 0 where it has none.
bool are_named(const ShapedModel& model, const ShapePlan& shapes, const Sizes& gear) {
  if (!model.samples.made_up()) return true;
  for (std::size_t d = 0; d < shapes.largest.size(); ++d) {
    if (shapes.largest[d] == 0 && (gear.empty() || gear[d] == 0)) return false;
  }
  return true;
}

Column column_at(const ShapedModel& model, const ShapePlan& shapes, Sizes sizes,
                 const Sizes& gear = {}, std::size_t own_batch = 0) {
  Column column;
  column.named = are_named(model, shapes, gear);
  column.elements = weighed_elements(shapes, sizes);
  column.sizes = std::move(sizes);
  column.batches = own_batch != 0 ? std::vector{own_batch} : model.plan.gears;
  return column;
}

std::vector<Column> columns_of(const ShapedModel& model, const ShapePlan& shapes) {
  std::vector<Column> columns;
  if (shapes.size_gears.empty()) {
    for (Sizes& sizes : powers_below_limit(model, shapes))
      columns.push_back(column_at(model, shapes, std::move(sizes)));
  }
  for (std::size_t i = 0; i < shapes.size_gears.size(); ++i) {
    const Sizes& gear = shapes.size_gears[i];
    columns.push_back(
        column_at(model, shapes, resolved(gear, model.sizes), gear, shapes.gear_batches[i]));
  }
  return columns;
}

// The columns to time, by index: the middle one first, then the ends, then those between.
std::vector<std::size_t> order_of(const std::vector<Column>& columns) {
  std::vector<std::size_t> by_elements(columns.size());
  for (std::size_t i = 0; i < columns.size(); ++i) by_elements[i] = i;
  const auto size = [&](std::size_t i) {
    double elements = 1.0;
    for (const std::int64_t of : columns[i].sizes) elements *= static_cast<double>(of);
    return elements;
  };
  std::ranges::stable_sort(by_elements, {}, size);
  std::vector<std::size_t> order{by_elements[columns.size() / 2]};
  const std::size_t count = std::min(kMostSizes, columns.size());
  const auto add = [&](std::size_t step) {
    const std::size_t at = count == 1 ? 0 : step * (columns.size() - 1) / (count - 1);
    if (order.size() < kMostSizes && std::ranges::find(order, by_elements[at]) == order.end())
      order.push_back(by_elements[at]);
  };
  add(0);
  add(count - 1);
  for (std::size_t step = 1; step + 1 < count; ++step) add(step);
  return order;
}

// Of all batched inputs; `row` are the shapes for one row.
std::size_t input_bytes(const ModelSpec& spec, std::size_t batch, const std::vector<Shape>& row) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < spec.inputs.size(); ++i) {
    const TensorSpec& input = spec.inputs[i];
    if (input.shared) continue;
    const std::size_t element_bytes = size_of(input.dtype);
    if (is_counted(input.made)) {
      const std::vector<Shape> requests(batch, row[input.source]);
      bytes += count_elements(batch_input_shape(input.made, requests)) * element_bytes;
    } else {
      bytes += count_elements(row[i]) * batch * element_bytes;
    }
  }
  return bytes;
}

// Runs batches of one column, gathered anew for each.
class ColumnTimer {
 public:
  ColumnTimer(ShapedModel& model, Column& column) : model_(model), column_(column) {}

  /// Each batch once, rising while all its runs fit into `budget` (the first in any case) and its inputs into memory,
  /// then three times in rounds.
  Failure time(Nanoseconds budget) {
    std::vector<std::size_t> batches = column_.batches;
    std::ranges::sort(batches);
    const std::vector<Shape> row = model_.samples.shapes_at(0, column_.sizes, model_.ragged_length);
    std::map<std::size_t, std::vector<Nanoseconds>> times;
    double left = static_cast<double>(budget);
    double per_row = 0.0;
    Failure failure;
    for (const std::size_t batch : batches) {
      const double foreseen = per_row * static_cast<double>(batch * (1 + kTimedRuns));
      if (!times.empty() && foreseen > left) break;
      if (!fits(batch, row)) break;
      Nanoseconds first = 0;  // also sets memory up
      failure = run(batch, first);
      if (failure) break;
      times[batch] = {};
      per_row = static_cast<double>(first) / static_cast<double>(batch);
      left -= static_cast<double>(first) * (1 + kTimedRuns);
    }
    for (std::size_t round = 0; round < kTimedRuns; ++round) {
      for (auto& [batch, of_batch] : times) {
        if (Failure later = run(batch, of_batch.emplace_back())) return later;
      }
    }
    for (auto& [batch, of_batch] : times) {
      std::ranges::sort(of_batch);
      // 0 says that nothing was measured, so a run below the clock's step is one step long.
      const Nanoseconds median = std::max<Nanoseconds>(1, of_batch[kTimedRuns / 2]);
      column_.seconds[batch] = static_cast<double>(median) * 1e-9;
    }
    return failure;
  }

  /// How many times as fast the smallest batch is with all CPUs; 0 if it fails. Once, and then three times
  /// where runs are short.
  double lone_gain() {
    const auto [batch, seconds] = *column_.seconds.begin();
    const std::size_t rounds = seconds < kShortRun ? kTimedRuns : 1;
    std::vector<double> gains;
    for (std::size_t round = 0; round <= rounds; ++round) {
      Nanoseconds shared = 0;
      Nanoseconds alone = 0;
      if (run(batch, shared)) return 0.0;
      // Twice: the first finds threads asleep (as time_lone_runs does it).
      for (int i = 0; i < 2; ++i) {
        if (run(batch, alone, true)) return 0.0;
      }
      gains.push_back(static_cast<double>(shared) /
                      static_cast<double>(std::max<Nanoseconds>(1, alone)));
    }
    gains.erase(gains.begin());
    std::ranges::sort(gains);
    return gains[gains.size() / 2];
  }

 private:
  // Whether it may take the memory that it needs.
  bool fits(std::size_t batch, const std::vector<Shape>& row) const {
    const bool smallest = batch == std::ranges::min(column_.batches);
    const bool ran_before = column_.sizes == model_.sizes && batch == model_.filled_to(1);
    return ran_before || (column_.named && smallest) ||
           input_bytes(model_.spec, batch, row) <= std::max(kMostBytes, model_.queue_bytes);
  }

  Failure run(std::size_t batch, Nanoseconds& elapsed, bool alone = false) {
    for (std::size_t i = samples_.size(); i < ShapeSamples::kSamples; ++i)
      samples_.push_back(model_.sample(i, column_.sizes));
    std::vector<const SampleRow*> rows;
    for (std::size_t row = 0; row < batch; ++row) rows.push_back(&samples_[row % samples_.size()]);
    model_.trial.gather(rows, column_.sizes);
    Failure failure = model_.trial.run(&elapsed, alone);
    if (failure) {
      const std::string at = sizes_in_words(model_.spec, column_.sizes);
      failure.message = "a batch of " + std::to_string(batch) + (at.empty() ? "" : " at " + at) +
                        ": " + failure.message;
    }
    return failure;
  }

  ShapedModel& model_;
  Column& column_;
  std::vector<SampleRow> samples_;  // made for the first run
};

// The measured time of the batch nearest to `rows`, scaled to it.
double scaled(const std::map<std::size_t, double>& seconds, std::size_t rows) {
  auto nearest = seconds.lower_bound(rows);
  if (nearest == seconds.end()) --nearest;
  return nearest->second * static_cast<double>(rows) / static_cast<double>(nearest->first);
}

CostTable cost_of(const std::vector<Column>& columns) {
  std::vector<std::size_t> rows;
  std::map<double, std::vector<const Column*>> by_elements;
  for (const Column& column : columns) {
    if (column.seconds.empty()) continue;
    rows.insert(rows.end(), column.batches.begin(), column.batches.end());
    by_elements[column.elements].push_back(&column);
  }
  std::ranges::sort(rows);
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  if (rows.empty()) return {};
  std::vector<double> elements;
  for (const auto& entry : by_elements) elements.push_back(entry.first);
  std::vector<double> seconds;
  for (const std::size_t batch : rows) {
    for (const auto& [of, alike] : by_elements) {
      double most = 0.0;
      for (const Column* const column : alike)
        most = std::max(most, scaled(column->seconds, batch));
      seconds.push_back(most);
    }
  }
  return {std::move(rows), std::move(elements), std::move(seconds)};
}

std::size_t cap_of(const Column& column) {
  GearTable table;
  for (const auto& [batch, seconds] : column.seconds)
    table.gears.push_back({.batch_size = batch, .seconds = seconds});
  return table.gears.empty() ? 0 : measured_cap(table);
}

// The table of costs tells which batches are too large to pay at which sizes: the cap is that of the sizes that
// gain most by company.
std::size_t cap_of(const std::vector<Column>& columns) {
  std::size_t cap = 0;
  for (const Column& column : columns) cap = std::max(cap, cap_of(column));
  return cap;
}

// Times columns in their order of importance. The first failure that is more than a size of our own choice
// which the model refuses.
Failure time_columns(ShapedModel& model, const ShapePlan& shapes, std::vector<Column>& columns,
                     const std::vector<std::size_t>& order) {
  Failure first;
  bool any = false;
  const Nanoseconds end = StdPlatform::now() + kBudget;
  for (std::size_t i = 0; i < order.size(); ++i) {
    Column& column = columns[order[i]];
    const Nanoseconds left = end - StdPlatform::now();
    if (any && left <= 0) break;
    // Half of it for the sizes that decide the cap; the others share the rest.
    const auto shares = static_cast<Nanoseconds>(any ? order.size() - i : 2);
    Failure failure = ColumnTimer(model, column).time(left / shares);
    const bool refused_size = column.seconds.empty() && shapes.size_gears.empty() &&
                              column.sizes != model.sizes && failure.code != ErrorCode::model;
    const bool worse = !first || (failure.code == ErrorCode::model && first.code != failure.code);
    if (failure && worse && !refused_size) first = std::move(failure);
    any = any || !column.seconds.empty();
  }
  return first;
}

std::optional<double> seconds_alone(const Column& column, std::size_t batch) {
  if (column.lone_gain == 0.0 || column.seconds.begin()->first != batch) return std::nullopt;
  return column.seconds.begin()->second / column.lone_gain;
}

// From the largest sizes down, as long as they gain.
double least_lone_work(ShapedModel& model, std::vector<Column>& columns) {
  if (!model.trial.offers_lone_runs()) return 0.0;
  std::vector<Column*> falling;
  for (Column& column : columns) {
    if (!column.seconds.empty()) falling.push_back(&column);
  }
  std::ranges::stable_sort(falling, std::greater{},
                           [](const Column* column) { return column->elements; });
  const Nanoseconds end = StdPlatform::now() + kLoneBudget;
  double least_work = 0.0;
  bool kept = false;
  for (Column* const column : falling) {
    const double left = static_cast<double>(end - StdPlatform::now()) * 1e-9;
    if (column->seconds.begin()->second * kLoneRuns > left) continue;
    column->lone_gain = ColumnTimer(model, *column).lone_gain();
    if (column->lone_gain < kLoneWorthRunning) break;
    least_work = static_cast<double>(column->seconds.begin()->first) * column->elements;
    kept = kept || column->lone_gain >= kLoneWorthKeeping;
  }
  return kept ? least_work : 0.0;
}

}  // namespace

ShapeTimes time_shapes(ShapedModel& model, const ShapePlan& shapes) {
  ShapeTimes times;
  std::vector<Column> columns = columns_of(model, shapes);
  if (!columns.empty()) times.failure = time_columns(model, shapes, columns, order_of(columns));
  const bool any_measured =
      std::ranges::any_of(columns, [](auto& each) { return !each.seconds.empty(); });
  if (!any_measured && shapes.size_gears.empty()) {
    // None of our own choice runs: those that were found to.
    columns = {column_at(model, shapes, model.sizes)};
    if (!times.failure) times.failure = time_columns(model, shapes, columns, {0});
  }
  times.measured_cap = cap_of(columns);
  times.least_lone_work = least_lone_work(model, columns);
  for (const Column& column : columns) {
    // Gears are the user's; other sizes are kept if they tell something.
    if (shapes.size_gears.empty() && column.seconds.empty() && columns.size() > 1) continue;
    const std::vector<Shape> row = model.samples.shapes_at(0, column.sizes, model.ragged_length);
    for (const std::size_t batch : column.batches) {
      const auto measured = column.seconds.find(batch);
      times.table.gears.push_back(
          {.batch_size = batch,
           .sizes = column.sizes,
           .seconds = measured == column.seconds.end() ? 0.0 : measured->second,
           .seconds_alone = seconds_alone(column, batch),
           .input_bytes = input_bytes(model.spec, batch, row),
           .output_bytes = bytes_of(model.spec.outputs, batch)});
    }
  }
  times.table.kind = shapes.kind;
  times.table.filled = model.plan.filled;
  times.cost = cost_of(columns);
  return times;
}

}  // namespace dynbatch

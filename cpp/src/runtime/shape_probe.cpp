#include "runtime/shape_probe.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "base/platform.hpp"
#include "kernels/pad.hpp"

namespace dynbatch {
namespace {

using Sizes = std::vector<std::int64_t>;
using Orders = std::vector<std::vector<std::size_t>>;

constexpr Nanoseconds kBudget = 2'000'000'000;

// The part of the row at `position` of the batch that has just run.
void add_part(const ShapedModel& model, const OutputLayout& layout, std::size_t output,
              const std::vector<const SampleRow*>& batch, std::size_t position, RowOutputs& parts) {
  const Shape& whole = model.trial.output_shape(output);
  const std::size_t element_bytes = size_of(model.spec.outputs[output].dtype);
  if (layout.scattered_as) {
    std::size_t first = 0;
    for (std::size_t i = 0; i < position; ++i)
      first += count_elements(batch[i]->shapes[*layout.scattered_as]);
    const Shape& shape = batch[position]->shapes[*layout.scattered_as];
    const std::size_t count = std::min(
        count_elements(shape), count_elements(whole) - std::min(first, count_elements(whole)));
    const std::byte* const from = model.trial.output(output) + first * element_bytes;
    parts.bytes.emplace_back(from, from + count * element_bytes);
    parts.shapes.push_back(shape);
    return;
  }
  if (layout.shared) {
    const std::byte* const from = model.trial.output(output);
    parts.bytes.emplace_back(from, from + count_elements(whole) * element_bytes);
    parts.shapes.push_back(whole);
    return;
  }
  const Shape shape = own_shape(layout, whole, 1, batch[position]->sizes);
  for (std::size_t axis = 0; axis < whole.rank(); ++axis) {
    if (shape[axis] <= whole[axis]) continue;
    parts.bytes.emplace_back();  // the batch holds less than the row has alone
    parts.shapes.emplace_back();
    return;
  }
  std::vector<std::byte> bytes(count_elements(shape) * element_bytes);
  if (!bytes.empty()) {
    cut_rows(bytes.data(), shape, model.trial.output(output), whole,
             layout.shared ? 0 : layout.batch_axis,
             layout.shared ? 0 : position * layout.rows_per_row, element_bytes);
  }
  parts.bytes.push_back(std::move(bytes));
  parts.shapes.push_back(shape);
}

RowOutputs parts_of(const ShapedModel& model, std::span<const OutputLayout> layouts,
                    const std::vector<const SampleRow*>& batch, std::size_t position) {
  RowOutputs parts;
  for (std::size_t i = 0; i < layouts.size(); ++i)
    add_part(model, layouts[i], i, batch, position, parts);
  return parts;
}

// Each row alone, at its own sizes, against itself in every order, at sizes `together`.
ProbeResult probe(ShapedModel& model, std::span<const OutputLayout> layouts,
                  const std::vector<SampleRow>& rows, const Sizes& together, const Orders& orders) {
  ProbeResult result;
  const Nanoseconds end = StdPlatform::now() + kBudget;
  const auto run = [&](const std::vector<const SampleRow*>& batch, const Sizes& sizes) {
    if (StdPlatform::now() > end) {
      result.obstacle = "the probe took more than 2 s";
      return false;
    }
    const Failure failure = model.run(batch, sizes);
    if (failure) result.obstacle = failure.message;
    return !failure;
  };
  // Alone nothing is cut but the rows: a trim that is wrong must show.
  std::vector<OutputLayout> untrimmed(layouts.begin(), layouts.end());
  for (OutputLayout& layout : untrimmed) layout.trims.clear();
  std::vector<RowOutputs> alone;
  for (const SampleRow& row : rows) {
    if (!run({&row}, row.sizes)) return result;
    alone.push_back(parts_of(model, untrimmed, {&row}, 0));
  }
  for (const std::vector<std::size_t>& order : orders) {
    std::vector<const SampleRow*> batch;
    for (const std::size_t row : order) batch.push_back(&rows[row]);
    if (!run(batch, together)) return result;
    for (std::size_t i = 0; i < order.size(); ++i)
      compare(alone[order[i]], parts_of(model, layouts, batch, i), model.spec, result);
  }
  result.ran = true;
  return result;
}

// Rows that may share a batch.
std::size_t most_company(const BatchingPlan& plan) noexcept {
  return plan.filled ? std::min(plan.largest, ShapeSamples::kSamples) : ShapeSamples::kSamples;
}

Orders orders_of(std::size_t company) {
  if (company >= 3) return {{0, 1, 2}, {2, 1}};
  if (company == 2) return {{0, 1}, {1, 0}};
  return {};  // no row ever has company
}

// The sizes of three rows: large, middling, small, of those that the model accepts.
std::vector<Sizes> different_sizes(const ShapedModel& model, const ShapePlan& shapes,
                                   const DryRuns& dry) {
  std::vector<Sizes> sizes(ShapeSamples::kSamples, model.sizes);
  for (std::size_t d = 0; d < model.sizes.size(); ++d) {
    if (!shapes.padded[d]) continue;
    Sizes accepted = dry.accepted[d];
    const auto first = std::ranges::find(accepted, model.sizes[d]);
    // Up to the first sizes, which a gear holds, unless there are none below.
    if (first != accepted.begin() && first != accepted.end())
      accepted.erase(first + 1, accepted.end());
    sizes[0][d] = accepted.back();
    sizes[1][d] = accepted[(accepted.size() - 1) / 2];
    sizes[2][d] = accepted.front();
  }
  return sizes;
}

}  // namespace

ProbeResult probe_shaped_rows(ShapedModel& model, std::span<const OutputLayout> layouts) {
  const std::size_t company = most_company(model.plan);
  std::vector<SampleRow> rows;
  for (std::size_t i = 0; i < company; ++i) rows.push_back(model.sample(i, model.sizes));
  return probe(model, layouts, rows, model.sizes, orders_of(company));
}

ProbeResult probe_padding(ShapedModel& model, std::span<const OutputLayout> layouts,
                          const ShapePlan& shapes, const DryRuns& dry, bool merges) {
  const std::vector<Sizes> sizes = different_sizes(model, shapes, dry);
  std::vector<SampleRow> rows;
  Sizes together = model.sizes;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    rows.push_back(model.sample(i, sizes[i]));
    for (std::size_t d = 0; d < together.size(); ++d)
      together[d] = std::max(together[d], sizes[i][d]);
  }
  ProbeResult result;
  if (!fit_sizes(shapes, together, together)) {
    result.obstacle =
        "no gear holds sizes that the model ran with, " + sizes_in_words(model.spec, together);
    return result;
  }
  Orders orders = orders_of(merges ? most_company(model.plan) : 1);
  if (orders.empty()) orders = {{1}, {2}, {0}};
  if (most_company(model.plan) == 2) orders.insert(orders.end(), {{1, 2}, {2, 0}});
  return probe(model, layouts, rows, together, orders);
}

}  // namespace dynbatch

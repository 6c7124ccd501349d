#include "runtime/find_layouts.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include <dynbatch/error.hpp>

namespace dynbatch {
namespace {

using Trim = OutputLayout::Trim;
using Runs = std::span<const DryRun>;

constexpr std::int64_t kLargestTerm = 64;
constexpr std::size_t kFewestSizes = 3;

std::string name_of_output(const TensorSpec& output) { return "output '" + output.name + "'"; }

// "[1, 5] with 1 row, [2, 5] with 2 rows"; those that tell something: each shape once.
std::string shapes_in_words(Runs runs, std::size_t output) {
  std::string text;
  std::vector<Shape> seen;
  for (const DryRun& run : runs) {
    const Shape& shape = run.outputs[output];
    if (std::ranges::find(seen, shape) != seen.end() || seen.size() == kFewestSizes) continue;
    seen.push_back(shape);
    text += (text.empty() ? "" : ", ") + to_string(shape) + " with " + std::to_string(run.rows) +
            (run.rows == 1 ? " row" : " rows");
  }
  return text;
}

[[noreturn]] void fail(const TensorSpec& output, Runs runs, std::size_t index,
                       const std::string& what, const std::string& way_out) {
  throw Error(ErrorCode::model, name_of_output(output) + " " + what +
                                    " (shapes: " + shapes_in_words(runs, index) + "); " + way_out);
}

std::string ask_for_axis(const TensorSpec& output) {
  return "say which axis it is with outputs={\"" + output.name + "\": Output(batch_axis=...)}";
}

bool same_sizes(const DryRun& a, const DryRun& b) { return a.sizes == b.sizes; }

// Whether runs of equal sizes, and of any number of rows, give equal shapes.
bool ignores_rows(Runs runs, std::size_t output) {
  for (const DryRun& a : runs) {
    for (const DryRun& b : runs) {
      if (same_sizes(a, b) && !(a.outputs[output] == b.outputs[output])) return false;
    }
  }
  return true;
}

// k, if the axis has k * rows elements in all runs; else 0.
std::size_t rows_per_row(Runs runs, std::size_t output, std::size_t axis) {
  const auto size_in = [&](const DryRun& run) {
    return static_cast<std::size_t>(run.outputs[output][axis]);
  };
  const std::size_t k = size_in(runs.front()) / runs.front().rows;
  return std::ranges::all_of(runs, [&](const DryRun& run) { return size_in(run) == k * run.rows; })
             ? k
             : 0;
}

// Axes that may hold the batch. Where all runs have equally many rows, any axis has a multiple of its own
// number in all of them: then only those of exactly the batch count.
std::vector<std::size_t> batch_axes(Runs runs, std::size_t output) {
  const bool one_batch =
      std::ranges::all_of(runs, [&](const DryRun& run) { return run.rows == runs.front().rows; });
  std::vector<std::size_t> axes;
  for (std::size_t axis = 0; axis < runs.front().outputs[output].rank(); ++axis) {
    const std::size_t k = rows_per_row(runs, output, axis);
    if (one_batch ? k == 1 : k > 0) axes.push_back(axis);
  }
  return axes;
}

std::size_t find_batch_axis(const TensorSpec& spec, Runs runs, std::size_t output, bool declared) {
  const std::vector<std::size_t> axes = batch_axes(runs, output);
  if (declared) {
    const std::size_t axis = spec.batch_axis;
    if (axis < runs.front().outputs[output].rank() && rows_per_row(runs, output, axis) > 0)
      return axis;
    fail(spec, runs, output,
         "is declared with batch_axis=" + std::to_string(axis) +
             ", which has not a multiple of the rows in all dry runs",
         "correct outputs={\"" + spec.name + "\": Output(batch_axis=...)}, or leave it out");
  }
  if (axes.size() > 1) {
    fail(spec, runs, output,
         "has more than one axis that may be the batch, " + std::to_string(axes[0]) + " and " +
             std::to_string(axes[1]),
         ask_for_axis(spec));
  }
  if (axes.empty()) {
    fail(spec, runs, output,
         "has no axis with the same multiple of the rows in all dry runs, and yet depends on them",
         ask_for_axis(spec) +
             ", how its parts are scattered with batch_outputs=, or leave the output out "
             "(wanted outputs)");
  }
  return axes.front();
}

// Sets shared, batch_axis and rows_per_row.
void find_batch(const TensorSpec& spec, Runs runs, std::size_t output, OutputLayout& layout) {
  const bool declared = spec.declared || spec.shared || spec.batch_axis != 0;
  if (spec.shared) {  // as it was said; whether it depends on the company, the probe of rows tells
    layout.shared = true;
    return;
  }
  const bool one_batch =
      std::ranges::all_of(runs, [&](const DryRun& run) { return run.rows == runs.front().rows; });
  if (!declared && !one_batch && batch_axes(runs, output).empty() && ignores_rows(runs, output)) {
    layout.shared = true;
    return;
  }
  layout.batch_axis = find_batch_axis(spec, runs, output, declared);
  layout.rows_per_row = rows_per_row(runs, output, layout.batch_axis);
  if (spec.rows_per_row != 1 && spec.rows_per_row != layout.rows_per_row) {
    fail(spec, runs, output,
         "is declared with rows_per_row=" + std::to_string(spec.rows_per_row) + ", but has " +
             std::to_string(layout.rows_per_row),
         "correct outputs={\"" + spec.name + "\": Output(rows_per_row=...)}, or leave it out");
  }
}

void check_scattered(const TensorSpec& spec, Runs runs, std::size_t output) {
  for (const DryRun& run : runs) {
    std::size_t elements = 1;
    for (const std::int64_t dim : run.outputs[output].dims())
      elements *= static_cast<std::size_t>(dim);
    if (elements == run.elements[*spec.scattered_as]) continue;
    fail(spec, runs, output,
         "is scattered as an input that has " + std::to_string(run.elements[*spec.scattered_as]) +
             " elements, but has " + std::to_string(elements),
         "correct batch_outputs=, or leave it out");
  }
}

std::vector<SizePair> pairs_of(Runs runs, std::size_t output, std::size_t axis,
                               std::size_t dimension) {
  std::vector<SizePair> pairs;
  for (const DryRun& run : runs)
    pairs.push_back({.size = run.sizes[dimension], .of_axis = run.outputs[output][axis]});
  return pairs;
}

// The dimensions on which the axis depends: it changes with them alone. All of them if none is seen to.
std::vector<std::size_t> causes_of(const ModelSpec& spec, Runs runs, std::size_t output,
                                   std::size_t axis) {
  std::vector<std::size_t> causes;
  for (std::size_t d = 0; d < spec.dimensions.size(); ++d) {
    const bool is_cause = std::ranges::any_of(runs, [&](const DryRun& run) {
      std::vector<std::int64_t> sizes = runs.front().sizes;
      sizes[d] = run.sizes[d];
      return run.sizes[d] != runs.front().sizes[d] && sizes == run.sizes &&
             run.outputs[output][axis] != runs.front().outputs[output][axis];
    });
    if (is_cause) causes.push_back(d);
  }
  if (!causes.empty()) return causes;
  causes.resize(spec.dimensions.size());
  std::iota(causes.begin(), causes.end(), std::size_t{0});
  return causes;
}

int declared_dimension(const TensorSpec& spec, const OutputLayout& layout, std::size_t axis) {
  const std::size_t row_axis = axis - (!layout.shared && axis > layout.batch_axis ? 1 : 0);
  return row_axis < spec.dimensions.size() ? spec.dimensions[row_axis] : TensorSpec::kStatic;
}

// How the axis follows a dimension. Adds an obstacle where it follows none, or more than one alike.
Trim find_axis(const ModelSpec& spec, Runs runs, std::size_t output, std::size_t axis,
               const OutputLayout& layout, FoundLayouts& found) {
  const TensorSpec& of = spec.outputs[output];
  const auto size_in = [&](const DryRun& run) { return run.outputs[output][axis]; };
  const bool by_sizes = std::ranges::all_of(runs, [&](const DryRun& a) {
    return std::ranges::all_of(
        runs, [&](const DryRun& b) { return !same_sizes(a, b) || size_in(a) == size_in(b); });
  });
  const bool constant = std::ranges::all_of(
      runs, [&](const DryRun& run) { return size_in(run) == size_in(runs.front()); });
  if (constant || !by_sizes) return {};  // by values: whether it matters, the probe tells
  std::vector<Trim> fits;
  const int declared = declared_dimension(of, layout, axis);
  for (std::size_t d = 0; d < spec.dimensions.size(); ++d) {
    std::optional<Trim> trim = find_trim(pairs_of(runs, output, axis, d));
    if (!trim) continue;
    trim->dimension = static_cast<int>(d);
    if (trim->dimension == declared) return *trim;
    fits.push_back(*trim);
  }
  if (fits.size() == 1) return fits.front();
  std::vector<std::size_t> concerned;
  for (const Trim& fit : fits) concerned.push_back(static_cast<std::size_t>(fit.dimension));
  if (fits.empty()) concerned = causes_of(spec, runs, output, axis);
  for (const std::size_t d : concerned) {
    if (!found.obstacles[d].empty()) continue;
    found.obstacles[d] =
        "axis " + std::to_string(axis) + " of " + name_of_output(of) +
        (fits.empty() ? " follows '" + spec.dimensions[d].name + "' in no way that can be cut"
                      : " may follow more than one dimension") +
        " (shapes: " + shapes_in_words(runs, output) + ")";
  }
  return {};
}

// One ratio: the range of offsets that give all pairs.
std::pair<std::int64_t, std::int64_t> offsets_for(std::span<const SizePair> pairs,
                                                  std::int64_t numerator,
                                                  std::int64_t denominator) noexcept {
  std::int64_t least = std::numeric_limits<std::int64_t>::min();
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
  for (const SizePair& pair : pairs) {
    const std::int64_t exact = denominator * pair.of_axis - numerator * pair.size;
    least = std::max(least, exact);
    most = std::min(most, exact + denominator - 1);
  }
  return {least, most};
}

}  // namespace

std::optional<OutputLayout::Trim> find_trim(std::span<const SizePair> pairs) {
  std::vector<std::int64_t> sizes;
  for (const SizePair& pair : pairs) {
    if (std::ranges::find(sizes, pair.size) == sizes.end()) sizes.push_back(pair.size);
  }
  if (sizes.size() < 2) return std::nullopt;
  for (std::int64_t sum = 2; sum <= 2 * kLargestTerm; ++sum) {
    for (std::int64_t denominator = 1; denominator < sum; ++denominator) {
      const std::int64_t numerator = sum - denominator;
      if (numerator > kLargestTerm || denominator > kLargestTerm) continue;
      const auto [least, most] = offsets_for(pairs, numerator, denominator);
      if (least > most) continue;
      Trim trim{.dimension = TensorSpec::kStatic,
                .numerator = numerator,
                .denominator = denominator,
                .offset = denominator - 1};
      // Where both fit, only sizes that divide were seen, and more rather than less is kept.
      if (least <= trim.offset && trim.offset <= most) return trim;
      trim.offset = 0;
      if (least <= 0 && 0 <= most) return trim;
      trim.offset = least;
      if (least == most && sizes.size() >= kFewestSizes) return trim;
      return std::nullopt;
    }
  }
  return std::nullopt;
}

FoundLayouts find_layouts(const ModelSpec& spec, Runs runs) {
  FoundLayouts found;
  found.outputs.resize(spec.outputs.size());
  found.obstacles.resize(spec.dimensions.size());
  for (std::size_t i = 0; i < spec.outputs.size(); ++i) {
    const TensorSpec& output = spec.outputs[i];
    OutputLayout& layout = found.outputs[i];
    const std::size_t rank = runs.front().outputs[i].rank();
    layout.trims.resize(rank);
    layout.scattered_as = output.scattered_as;
    if (layout.scattered_as) {
      check_scattered(output, runs, i);
      continue;
    }
    if (std::ranges::any_of(runs, [&](const DryRun& run) { return run.outputs[i].rank() != rank; }))
      fail(output, runs, i, "has not the same number of axes in all dry runs",
           "leave the output out (wanted outputs)");
    find_batch(output, runs, i, layout);
    for (std::size_t axis = 0; axis < rank; ++axis) {
      if (layout.shared || axis != layout.batch_axis)
        layout.trims[axis] = find_axis(spec, runs, i, axis, layout, found);
    }
  }
  return found;
}

}  // namespace dynbatch

#include "runtime/shape_plan.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include <dynbatch/error.hpp>

#include "runtime/batching_plan.hpp"

namespace dynbatch {
namespace {

using Sizes = std::vector<std::int64_t>;

constexpr std::size_t kFewestSizeGears = 2;  // as ATC has it; it shares kMaxGears with batch gears

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

const char* option_of(GearKind kind) noexcept {
  switch (kind) {
    case GearKind::lengths: return "lengths";
    case GearKind::image_size: return "image_sizes";
    case GearKind::dims: return "dims";
    case GearKind::batch: break;
  }
  return "gears";
}

std::string list(std::span<const std::int64_t> sizes) {
  std::string text = "[";
  for (const std::int64_t size : sizes) {
    if (text.size() > 1) text += ", ";
    text += size == 0 ? "any" : std::to_string(size);
  }
  return text + "]";
}

std::string list(const std::vector<Sizes>& gears) {
  std::string text;
  for (const Sizes& gear : gears) text += (text.empty() ? "" : ", ") + list(gear);
  return text;
}

std::string known_dimensions(const ModelSpec& spec) {
  std::string text;
  for (const FreeDimension& dimension : spec.dimensions) {
    text += (text.empty() ? "'" : ", '") + dimension.name + "'";
  }
  return text;
}

void check_count(const std::string& option, std::size_t count) {
  if (count >= kFewestSizeGears && count <= kMaxGears) return;
  refuse(option + ": expected " + std::to_string(kFewestSizeGears) + " to " +
         std::to_string(kMaxGears) + " gears, got " + std::to_string(count));
}

void check_positive(const std::string& option, std::span<const std::int64_t> sizes) {
  for (const std::int64_t size : sizes) {
    if (size <= 0) refuse(option + ": expected sizes above 0, got " + list(sizes));
  }
}

void check_one_kind(const BatchingOptions& options) {
  std::string given;
  const auto note = [&](const char* name, bool is_given) {
    if (is_given) given += (given.empty() ? "" : " and ") + std::string(name);
  };
  note("lengths", !options.lengths.empty());
  note("image_sizes", !options.image_sizes.empty());
  note("dims", !options.dims.empty());
  if (given.find(" and ") != std::string::npos) {
    refuse("lengths, image_sizes, dims: expected at most one of the three, got " + given);
  }
  if (options.pads && options.image_sizes.empty() && options.dims.empty()) {
    refuse("pads: expected image_sizes or dims beside it, got " +
           (given.empty() ? "neither" : given + ", which always pad"));
  }
}

std::size_t dimension_named(const ModelSpec& spec, const std::string& name) {
  const auto found = std::ranges::find(spec.dimensions, name, &FreeDimension::name);
  if (found != spec.dimensions.end())
    return static_cast<std::size_t>(found - spec.dimensions.begin());
  if (spec.dimensions.empty()) {
    refuse("lengths: expected a model with free dimensions, got '" + name +
           "' for one that has none");
  }
  refuse("lengths: expected a free dimension of the model (" + known_dimensions(spec) + "), got '" +
         name + "'");
}

// The limit that they set.
std::int64_t check_lengths(const std::string& name, const Lengths& lengths) {
  const std::string option = "lengths['" + name + "']";
  if (lengths.largest < 0) {
    refuse(option + ": expected a largest size of at least 1, got " +
           std::to_string(lengths.largest));
  }
  if (lengths.gears.empty()) return lengths.largest;
  check_count(option, lengths.gears.size());
  check_positive(option, lengths.gears);
  std::set<std::int64_t> seen;
  for (const std::int64_t size : lengths.gears) {
    if (!seen.insert(size).second)
      refuse(option + ": " + std::to_string(size) + " is given twice in " + list(lengths.gears));
  }
  if (lengths.largest != 0 && lengths.largest != *seen.rbegin()) {
    refuse(option + ": expected the largest gear, " + std::to_string(*seen.rbegin()) + " of " +
           list(lengths.gears) + ", as the largest size; got " + std::to_string(lengths.largest));
  }
  return *seen.rbegin();
}

// Every combination of the dimensions' gears, the last dimension's changing fastest.
std::vector<Sizes> product_of(const std::vector<Sizes>& gears_by_dimension) {
  std::vector<Sizes> product{{}};
  for (const Sizes& gears : gears_by_dimension) {
    std::vector<Sizes> longer;
    for (const Sizes& sizes : product) {
      for (const std::int64_t gear : gears) {
        longer.push_back(sizes);
        longer.back().push_back(gear);
      }
    }
    product = std::move(longer);
  }
  return product;
}

void plan_lengths(const ModelSpec& spec, const BatchingOptions& options, ShapePlan& plan) {
  plan.kind = GearKind::lengths;
  std::vector<Sizes> gears(spec.dimensions.size(), Sizes{0});
  std::size_t with_gears = 0;
  for (const auto& [name, lengths] : options.lengths) {
    const std::size_t dimension = dimension_named(spec, name);
    plan.largest[dimension] = check_lengths(name, lengths);
    plan.padded[dimension] = true;
    if (lengths.gears.empty()) continue;
    gears[dimension] = lengths.gears;
    ++with_gears;
  }
  if (with_gears == 0) return;
  if (with_gears < options.lengths.size()) {
    refuse(
        "lengths: expected gears for each of the dimensions that are named, or for none; got them "
        "for " +
        std::to_string(with_gears) + " of " + std::to_string(options.lengths.size()));
  }
  const std::size_t batches = plan_batching(spec, options).gears.size();
  std::size_t total = batches;
  std::string factors;
  for (const Sizes& one : gears) {
    if (one.size() < 2) continue;
    total *= one.size();
    factors += (factors.empty() ? "" : " x ") + std::to_string(one.size());
  }
  if (total > kMaxGears) {
    refuse("lengths: expected fewer gears: " + factors + " of lengths times " +
           std::to_string(batches) + " of batches are " + std::to_string(total) + ", above " +
           std::to_string(kMaxGears) + "; give fewer lengths, or fewer batch gears (gears=)");
  }
  plan.size_gears = product_of(gears);
}

// Sets height's and width's index.
void find_image(const ModelSpec& spec, std::size_t& height, std::size_t& width) {
  std::string candidates;
  std::size_t count = 0;
  const TensorSpec* image = nullptr;
  for (const TensorSpec& input : spec.inputs) {
    if (input.shared || input.ragged || input.made != Made::no) continue;
    const bool is_free = std::ranges::any_of(
        input.dimensions, [](int dimension) { return dimension != TensorSpec::kStatic; });
    if (!is_free) continue;
    image = &input;
    ++count;
    candidates +=
        (candidates.empty() ? "'" : ", '") + input.name + "' " + to_string(input.row_shape);
  }
  const char* const expected =
      "image_sizes: expected exactly one batched input with free dimensions, two of them, on its "
      "last "
      "two axes; got ";
  if (count != 1) refuse(expected + (candidates.empty() ? "none" : candidates));
  const std::vector<int>& of = image->dimensions;
  const auto free_axes = static_cast<std::size_t>(
      std::ranges::count_if(of, [](int dimension) { return dimension != TensorSpec::kStatic; }));
  const bool on_last_two = of.size() >= 2 && free_axes == 2 &&
                           of[of.size() - 2] != TensorSpec::kStatic &&
                           of.back() != TensorSpec::kStatic && of[of.size() - 2] != of.back();
  if (!on_last_two || spec.dimensions.size() != 2) {
    refuse(expected + candidates +
           " (rows, without the batch), in a model whose free dimensions are " +
           known_dimensions(spec));
  }
  height = static_cast<std::size_t>(of[of.size() - 2]);
  width = static_cast<std::size_t>(of.back());
}

void plan_image_sizes(const ModelSpec& spec, const BatchingOptions& options, ShapePlan& plan) {
  plan.kind = GearKind::image_size;
  std::size_t height = 0;
  std::size_t width = 0;
  find_image(spec, height, width);
  check_count("image_sizes", options.image_sizes.size());
  for (const auto& [h, w] : options.image_sizes) {
    check_positive("image_sizes", Sizes{h, w});
    Sizes sizes(2);
    sizes[height] = h;
    sizes[width] = w;
    if (std::ranges::find(plan.size_gears, sizes) != plan.size_gears.end())
      refuse("image_sizes: " + list(Sizes{h, w}) + " is given twice");
    plan.size_gears.push_back(std::move(sizes));
  }
}

void plan_dims(const ModelSpec& spec, const BatchingOptions& options, ShapePlan& plan) {
  plan.kind = GearKind::dims;
  check_count("dims", options.dims.size());
  const std::size_t largest = plan_batching(spec, options).largest;
  for (const DimsGear& gear : options.dims) {
    if (gear.sizes.size() != spec.dimensions.size() || gear.sizes.empty()) {
      refuse("dims: expected a size for each free dimension of the model (" +
             (spec.dimensions.empty() ? "it has none" : known_dimensions(spec)) + "), got " +
             list(gear.sizes));
    }
    check_positive("dims", gear.sizes);
    if (gear.batch_size > largest) {
      refuse("dims: expected a batch of at most " + std::to_string(largest) +
             ", the largest of gears or max_batch_size; got " + std::to_string(gear.batch_size) +
             " for " + list(gear.sizes));
    }
    for (std::size_t i = 0; i < plan.size_gears.size(); ++i) {
      const bool same_batch = plan.gear_batches[i] == gear.batch_size || gear.batch_size == 0 ||
                              plan.gear_batches[i] == 0;
      if (same_batch && plan.size_gears[i] == gear.sizes)
        refuse("dims: " + list(gear.sizes) + " is given twice for one batch");
    }
    plan.size_gears.push_back(gear.sizes);
    plan.gear_batches.push_back(gear.batch_size);
  }
}

// All requests of a batch have the same bytes in a shared input, and so one size.
void check_shared(const ModelSpec& spec, const ShapePlan& plan) {
  for (const TensorSpec& input : spec.inputs) {
    if (!input.shared) continue;
    for (const int dimension : input.dimensions) {
      if (dimension == TensorSpec::kStatic || !plan.padded[static_cast<std::size_t>(dimension)])
        continue;
      refuse(std::string(plan.kind == GearKind::lengths ? "lengths" : "pads") +
             ": expected dimensions of batched inputs alone, got '" +
             spec.dimensions[static_cast<std::size_t>(dimension)].name +
             "', which the shared input '" + input.name + "' has too");
    }
  }
}

}  // namespace

ShapePlan plan_shapes(const ModelSpec& spec, const BatchingOptions& options) {
  ShapePlan plan;
  const std::size_t dimensions = spec.dimensions.size();
  plan.padded.assign(dimensions, false);
  plan.largest.assign(dimensions, 0);
  check_one_kind(options);
  if (!options.lengths.empty()) {
    plan_lengths(spec, options, plan);
  } else if (!options.image_sizes.empty()) {
    plan_image_sizes(spec, options, plan);
  } else if (!options.dims.empty()) {
    plan_dims(spec, options, plan);
  }
  if (options.pads) plan.padded.assign(dimensions, true);
  plan.gear_batches.resize(plan.size_gears.size());
  for (const Sizes& gear : plan.size_gears) {
    for (std::size_t i = 0; i < dimensions; ++i)
      plan.largest[i] = std::max(plan.largest[i], gear[i]);
  }
  check_shared(spec, plan);
  return plan;
}

std::optional<std::string> refuse_sizes(const ShapePlan& plan, const ModelSpec& spec,
                                        std::span<const std::int64_t> sizes) {
  std::array<std::int64_t, ModelSpec::kMaxDimensions> fitted{};  // asked for each request
  if (fit_sizes(plan, sizes, {fitted.data(), sizes.size()})) return std::nullopt;
  const std::string got = "; got " + sizes_in_words(spec, sizes);
  if (plan.size_gears.empty()) {
    return "expected sizes of at most " + sizes_in_words(spec, plan.largest) + " (lengths)" + got;
  }
  const bool exact = std::ranges::find(plan.padded, true) == plan.padded.end();
  return std::string("no gear holds the request: expected ") +
         (exact ? "exactly the sizes of" : "at most the sizes of") + " one of " +
         list(plan.size_gears) + " (" + option_of(plan.kind) + ", in the order of " +
         known_dimensions(spec) + ")" + got;
}

void stop_padding(ShapePlan& plan, std::size_t dimension) {
  plan.padded[dimension] = false;
  if (plan.kind != GearKind::lengths) return;
  std::vector<Sizes> left;
  for (Sizes& gear : plan.size_gears) {
    gear[dimension] = 0;
    const bool any = std::ranges::any_of(gear, [](std::int64_t size) { return size != 0; });
    if (any && std::ranges::find(left, gear) == left.end()) left.push_back(std::move(gear));
  }
  plan.size_gears = std::move(left);
  plan.gear_batches.assign(plan.size_gears.size(), 0);
}

std::string sizes_in_words(const ModelSpec& spec, std::span<const std::int64_t> sizes) {
  std::string text;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    text += (text.empty() ? "'" : ", '") + spec.dimensions[i].name +
            "'=" + (sizes[i] == 0 ? "any" : std::to_string(sizes[i]));
  }
  return text;
}

}  // namespace dynbatch

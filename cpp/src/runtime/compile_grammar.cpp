#include "runtime/compile_grammar.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>
#include <string_view>
#include <utility>

namespace dynbatch {
namespace {

using Dims = std::vector<std::int64_t>;

constexpr std::int64_t kFree = -1;
constexpr std::size_t kFewestGears = 2;
// Compiled gears are told to the model as 32-bit integers.
constexpr std::int64_t kLargestSize = std::numeric_limits<std::int32_t>::max();

constexpr const char* kInputShape = "input_shape";
constexpr const char* kBatch = "dynamic_batch_size";
constexpr const char* kImage = "dynamic_image_size";
constexpr const char* kDims = "dynamic_dims";
constexpr const char* kRange = "input_shape_range";

[[noreturn]] void fail(const char* code, const char* option, std::string_view given,
                       std::string allowed) {
  throw CompileError(code, option, std::string(given), std::move(allowed));
}

/// What stands between the separators, of which the last may be at the end.
std::vector<std::string_view> parts_of(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::string without_blanks(std::string_view text) {
  std::string kept(text);
  std::erase(kept, ' ');
  return kept;
}

/// "4 16": what blanks cut is not one number.
bool has_cut_number(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  for (std::size_t i = 1; i + 1 < text.size(); ++i) {
    const std::size_t next = text.find_first_not_of(' ', i);
    if (text[i] == ' ' && is_digit(text[i - 1]) && next != text.npos && is_digit(text[next]))
      return true;
  }
  return false;
}

bool has_only(std::string_view text, std::string_view others) {
  return std::ranges::all_of(
      text, [&](char c) { return (c >= '0' && c <= '9') || others.find(c) != others.npos; });
}

/// A size of a gear, of digits alone.
std::int64_t size_of_gear(const char* option, std::string_view given, std::string_view digits) {
  std::int64_t size = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
  if (error == std::errc::result_out_of_range || size > kLargestSize) {
    fail("E10001", option, given,
         "smaller gears: sizes are at most " + std::to_string(kLargestSize));
  }
  if (error != std::errc() || end != digits.data() + digits.size())
    fail("E10001", option, given, "whole numbers");
  if (size == 0) fail("E10038", option, given, "sizes above 0");
  return size;
}

Dims sizes_of_gear(const char* option, std::string_view given, std::string_view gear) {
  Dims sizes;
  for (const std::string_view size : parts_of(gear, ','))
    sizes.push_back(size_of_gear(option, given, size));
  if (gear.ends_with(',')) fail("E10001", option, given, "a number behind each ','");
  return sizes;
}

// Gears.

std::vector<Dims> batch_gears(std::string_view text) {
  if (!has_only(text, ",")) fail("E10003", kBatch, text, "digits and ',', such as 1,2,4,8");
  std::vector<Dims> gears;
  for (const std::string_view size : parts_of(text, ',')) {
    if (!size.empty()) gears.push_back({size_of_gear(kBatch, text, size)});
  }
  return gears;
}

std::vector<Dims> image_gears(std::string_view text) {
  if (!has_only(text, ",; ") || has_cut_number(text)) {
    fail("E10003", kImage, text, "digits, ',', ';' and blanks, such as 416,416;832,832");
  }
  std::vector<Dims> gears;
  const std::string bare = without_blanks(text);
  for (const std::string_view gear : parts_of(bare, ';')) {
    const bool is_pair =
        std::ranges::count(gear, ',') == 1 && gear.front() != ',' && gear.back() != ',';
    if (!is_pair) fail("E10020", kImage, text, "two numbers a gear, height and width");
    gears.push_back(sizes_of_gear(kImage, text, gear));
  }
  return gears;
}

std::vector<Dims> dims_gears(std::string_view text) {
  if (!has_only(text, ",; ") || has_cut_number(text))
    fail("E10001", kDims, text, "digits, ',', ';' and blanks, such as 1,16;8,32");
  std::vector<Dims> gears;
  const std::string bare = without_blanks(text);
  for (const std::string_view gear : parts_of(bare, ';')) {
    gears.push_back(sizes_of_gear(kDims, text, gear));
    if (gears.back().size() != gears.front().size())
      fail("E10037", kDims, text, "gears of equal length");
  }
  return gears;
}

void check_gears(const GearRequest& request, const CompileOptions& options,
                 std::string_view given) {
  const char* const option = request.option.c_str();
  const std::string counted = ", and these are " + std::to_string(request.gears.size());
  if (options.fixed) {
    if (request.gears.size() != 1)
      fail("E10001", option, given, "exactly one gear with --fixed" + counted);
    return;
  }
  const std::string allowed =
      std::to_string(kFewestGears) + " to " + std::to_string(kMostGears) + " gears" + counted;
  if (request.gears.size() < kFewestGears)
    fail("E10035", option, given, allowed + "; --fixed binds a single one");
  if (request.gears.size() > kMostGears)
    fail("E10036", option, given, allowed + ": give fewer or smaller gears");
  std::set<Dims> seen;
  for (const Dims& gear : request.gears) {
    if (!seen.insert(gear).second) fail("E10039", option, given, "each gear once");
  }
}

// Shapes.

std::int64_t dim_of(std::string_view part, std::string_view text) {
  std::int64_t dim = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), dim);
  if (error != std::errc() || end != text.data() + text.size())
    fail("E10001", kInputShape, part, "whole numbers, or -1, between ','");
  if (dim < 1 && dim != kFree) {
    fail("E10011", kInputShape, part,
         "sizes above 0, or -1 where one of --dynamic_batch_size, --dynamic_image_size and "
         "--dynamic_dims gives the sizes");
  }
  return dim;
}

InputShape input_shape_of(std::string_view part, bool has_gears) {
  const std::size_t colon = part.rfind(':');
  if (colon == part.npos || colon == 0)
    fail("E10002", kInputShape, part, "name:d0,d1,... for each input, with ';' between");
  const std::string_view dims = part.substr(colon + 1);
  if (dims.find('~') != dims.npos) {
    fail(has_gears ? "E10040" : "E10001", kInputShape, part,
         "sizes and -1 without '~': ranges are of true dynamic shapes, which need no gears and no "
         "compile");
  }
  InputShape shape{std::string(part.substr(0, colon)), {}};
  for (const std::string_view dim : parts_of(dims, ',')) shape.dims.push_back(dim_of(part, dim));
  if (dims.ends_with(',')) fail("E10001", kInputShape, part, "a number behind each ','");
  if (shape.dims.size() > Shape::kMaxRank) {
    fail("E10001", kInputShape, part,
         "at most " + std::to_string(Shape::kMaxRank) + " dimensions an input");
  }
  return shape;
}

std::vector<InputShape> input_shapes_of(const CompileOptions& options, bool has_gears) {
  std::vector<InputShape> shapes;
  if (!options.input_shape) return shapes;
  for (const std::string_view part : parts_of(*options.input_shape, ';')) {
    shapes.push_back(input_shape_of(part, has_gears));
    if (std::ranges::count(shapes, shapes.back().name, &InputShape::name) > 1)
      fail("E10001", kInputShape, part, "each input once");
  }
  return shapes;
}

// Options together.

void check_not_empty(const char* option, const std::optional<std::string>& value) {
  if (value && value->empty()) fail("E10004", option, "", "a value");
}

void check_exclusions(const CompileOptions& options) {
  check_not_empty("output", options.output);
  check_not_empty(kInputShape, options.input_shape);
  check_not_empty(kBatch, options.dynamic_batch_size);
  check_not_empty(kImage, options.dynamic_image_size);
  check_not_empty(kDims, options.dynamic_dims);
  check_not_empty(kRange, options.input_shape_range);
  check_not_empty("input_format", options.input_format);
  check_not_empty("insert_op_conf", options.insert_op_conf);
  std::string given;
  std::size_t count = 0;
  const auto note = [&](const char* option, const std::optional<std::string>& value) {
    if (!value) return;
    given += (count++ == 0 ? "--" : ", --") + std::string(option);
  };
  note(kBatch, options.dynamic_batch_size);
  note(kImage, options.dynamic_image_size);
  note(kDims, options.dynamic_dims);
  note(kRange, options.input_shape_range);
  if (count > 1) {
    const char* const first = options.dynamic_batch_size   ? kBatch
                              : options.dynamic_image_size ? kImage
                                                           : kDims;
    fail("E10009", first, given,
         "one of --dynamic_batch_size, --dynamic_image_size, --dynamic_dims and "
         "--input_shape_range at most");
  }
  if (options.insert_op_conf && options.dynamic_dims) {
    fail("E10047", "insert_op_conf", *options.insert_op_conf,
         "either --insert_op_conf or --dynamic_dims: they exclude each other");
  }
  if (options.insert_op_conf) {
    fail("E10001", "insert_op_conf", *options.insert_op_conf,
         "no AIPP: preprocessing of a chip has no counterpart on ONNX Runtime; do it before, or in "
         "the model");
  }
  if (options.input_shape_range) {
    fail("E10001", kRange, *options.input_shape_range,
         "gears: with true dynamic shapes any model runs as it is, without compile");
  }
}

void check_format(const CompileOptions& options, const GearRequest& request) {
  static constexpr const char* kFormats[] = {"NCHW", "NHWC", "NCDHW", "NDHWC", "ND"};
  const std::string format = options.input_format.value_or("NCHW");
  if (std::ranges::find(kFormats, format) == std::end(kFormats))
    fail("E10001", "input_format", format, "NCHW, NHWC, NCDHW, NDHWC or ND");
  if (request.kind == GearKind::image_size && format != "NCHW" && format != "NHWC")
    fail("E10003", "input_format", format, "NCHW or NHWC with --dynamic_image_size");
  if (request.kind == GearKind::dims && format != "ND") {
    fail("E10001", "input_format", options.input_format.value_or("NCHW (not given)"),
         "ND with --dynamic_dims");
  }
}

// -1 against gears.

std::string text_of(const InputShape& shape) {
  std::string text;
  for (const std::int64_t dim : shape.dims) text += (text.empty() ? "" : ",") + std::to_string(dim);
  return shape.name + ":" + text;
}

std::size_t free_count(const InputShape& shape) {
  return static_cast<std::size_t>(std::ranges::count(shape.dims, kFree));
}

void check_batch_axes(const GearRequest& request) {
  const auto is_first = [](const InputShape& shape) {
    return !shape.dims.empty() && shape.dims.front() == kFree;
  };
  const std::string allowed =
      "-1 in dimension 0 alone with --dynamic_batch_size; for other dimensions, or a batch axis "
      "that is not first, use --dynamic_dims with --input_format=ND";
  if (std::ranges::none_of(request.shapes, is_first)) {
    const auto& other = *std::ranges::find_if(request.shapes, free_count);
    fail("E10031", kInputShape, text_of(other), allowed);
  }
  for (const InputShape& shape : request.shapes) {
    if (free_count(shape) > (is_first(shape) ? 1u : 0u))
      fail("E10018", kInputShape, text_of(shape), allowed);
  }
}

void check_image_axes(const GearRequest& request, const CompileOptions& options) {
  const std::string format = options.input_format.value_or("NCHW");
  const std::size_t height = format.find('H');
  const std::size_t width = format.find('W');
  for (const InputShape& shape : request.shapes) {
    if (free_count(shape) == 0) continue;
    if (shape.dims.size() == 4 && free_count(shape) == 2 && shape.dims[height] == kFree &&
        shape.dims[width] == kFree) {
      continue;
    }
    fail("E10019", kInputShape, text_of(shape),
         "4 dimensions with -1 exactly for height and width, " + format +
             ", with --dynamic_image_size");
  }
}

void check_dims_length(const GearRequest& request, const CompileOptions& options) {
  std::size_t free = 0;
  for (const InputShape& shape : request.shapes) free += free_count(shape);
  if (request.gears.front().size() == free) return;
  fail("E10045", kDims, *options.dynamic_dims,
       std::to_string(free) + " sizes a gear, one for each -1 of --input_shape " +
           *options.input_shape);
}

}  // namespace

GearRequest parse_gear_request(const CompileOptions& options) {
  check_exclusions(options);
  GearRequest request;
  const std::string* given = nullptr;
  if (options.dynamic_batch_size) {
    request.option = kBatch;
    given = &*options.dynamic_batch_size;
    request.gears = batch_gears(*given);
  } else if (options.dynamic_image_size) {
    request.option = kImage;
    request.kind = GearKind::image_size;
    given = &*options.dynamic_image_size;
    request.gears = image_gears(*given);
  } else if (options.dynamic_dims) {
    request.option = kDims;
    request.kind = GearKind::dims;
    given = &*options.dynamic_dims;
    request.gears = dims_gears(*given);
  }
  check_format(options, request);
  if (given != nullptr) {
    check_gears(request, options, *given);
    if (!options.input_shape)
      fail("E10058", kInputShape, "none", "the shapes of all inputs, with --" + request.option);
  }
  request.shapes = input_shapes_of(options, given != nullptr);
  return request;
}

void check_free_dimensions(const GearRequest& request, const CompileOptions& options) {
  const auto free = std::ranges::find_if(request.shapes, free_count);
  if (request.option.empty()) {
    if (free == request.shapes.end()) return;
    fail("E10011", kInputShape, text_of(*free),
         "sizes above 0, or one of --dynamic_batch_size, --dynamic_image_size and --dynamic_dims "
         "for each -1");
  }
  if (free == request.shapes.end()) {
    fail("E10040", kInputShape, options.input_shape.value_or(""),
         "at least one -1 with --" + request.option);
  }
  if (request.kind == GearKind::batch) return check_batch_axes(request);
  if (request.kind == GearKind::image_size) return check_image_axes(request, options);
  check_dims_length(request, options);
}

}  // namespace dynbatch

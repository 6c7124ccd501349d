#include <dynbatch/compiled_model.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "executor/metadata_words.hpp"

// The text, in the words of metadata_words.hpp:
//
//   format 1
//   kind batch
//   rows independent
//   input data dtype=float32 shape=[-1,3,416,416]
//   input img_info dtype=float32 shape=[-1,4]
//   output y dtype=float32
//   gear sizes=[4] seconds=0.0123 output=[4,10]
//
// in this order; rows independent, mix or not at all; a gear has an `output` for each output.

namespace dynbatch {
namespace {

using Line = MetadataLine;
using Word = MetadataWord;
using Words = MetadataWords;
using Dims = std::vector<std::int64_t>;

constexpr int kFormat = 1;
constexpr std::int64_t kFree = -1;
// Of one tensor, so that products with sizes of elements stay far below the largest number.
constexpr std::int64_t kMostElements = std::int64_t{1} << 48;

constexpr std::array kDataTypes{
    DataType::float32, DataType::uint8,  DataType::int8,    DataType::uint16,  DataType::int16,
    DataType::int32,   DataType::int64,  DataType::boolean, DataType::float16, DataType::float64,
    DataType::uint32,  DataType::uint64, DataType::bfloat16};

const char* name_of_kind(GearKind kind) {
  switch (kind) {
    case GearKind::batch: return "batch";
    case GearKind::image_size: return "image_size";
    case GearKind::dims: return "dims";
    case GearKind::lengths: break;
  }
  throw Error(ErrorCode::invalid_argument, "kind: gears of lengths cannot be compiled");
}

// Writing.

std::string to_text(const Dims& dims) {
  std::string text = "[";
  for (const std::int64_t dim : dims) text += (text.size() > 1 ? "," : "") + std::to_string(dim);
  return text + "]";
}

std::string to_text(double seconds) {
  std::array<char, 64> text{};
  const auto written = std::to_chars(text.data(), text.data() + text.size(), seconds);
  return {text.data(), written.ptr};
}

// Reading.

DataType dtype_of(const Line& line, const std::string& text) {
  for (const DataType dtype : kDataTypes) {
    if (text == name_of(dtype)) return dtype;
  }
  fail(line, "an element type, such as float32", text);
}

Dims dims_of(const Line& line, const std::string& text, std::int64_t least) {
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') fail(line, "[...]", text);
  std::string_view rest(text);
  rest = rest.substr(1, rest.size() - 2);
  Dims dims;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    dims.push_back(number_of<std::int64_t>(line, rest.substr(0, end), "whole numbers"));
    const std::int64_t dim = dims.back();
    if (dim < least) fail(line, "no dimension below " + std::to_string(least), text);
    if (end + 1 == rest.size()) fail(line, "a number behind ','", text);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return dims;
}

Dims shape_of(const Line& line, const std::string& text, std::int64_t least) {
  Dims dims = dims_of(line, text, least);
  if (dims.size() > Shape::kMaxRank) {
    fail(line, "at most " + std::to_string(Shape::kMaxRank) + " dimensions", text);
  }
  std::int64_t elements = 1;
  for (const std::int64_t dim : dims) {
    if (dim > 0 && elements > kMostElements / dim) fail(line, "fewer elements", text);
    if (dim > 0) elements *= dim;
  }
  return dims;
}

double seconds_of(const Line& line, const std::string& text) {
  const auto seconds = number_of<double>(line, text, "seconds");
  if (!std::isfinite(seconds) || seconds < 0.0) fail(line, "seconds", text);
  return seconds;
}

/// The next word of the line, which must be of this key; "": a word alone.
std::string expect_word(const Line& line, Words& words, const std::string& key) {
  const auto word = words.next();
  const std::string expected = key.empty() ? "a word" : key + "=...";
  if (!word) fail(line, expected, "");
  if (word->key != key) fail(line, expected, word->key.empty() ? word->value : word->key);
  return word->value;
}

void expect_end(const Line& line, Words& words) {
  if (const auto word = words.next()) {
    fail(line, "the end of the line", word->key.empty() ? word->value : word->key + "=");
  }
}

template <class Tensor>
void check_name(const Line& line, const std::vector<Tensor>& others, const std::string& name) {
  if (std::ranges::count(others, name, &Tensor::name) != 0) fail(line, "each name once", name);
}

/// Reads a text line by line; each kind of line has its place.
class Reader {
 public:
  void read(const Line& line) {
    Words words(line);
    const auto what = words.next();
    if (!what) return;
    last_ = line;
    const std::string word = what->key.empty() ? what->value : what->key + "=";
    if (!has_format_) {
      read_format(line, words, word);
    } else if (!has_kind_) {
      read_kind(line, words, word);
    } else if (word == "rows" && model_.inputs.empty() && !model_.rows_independent) {
      model_.rows_independent =
          choice<bool>(line, expect_word(line, words, ""), {{"independent", true}, {"mix", false}});
    } else if (word == "input" && model_.outputs.empty() && model_.gears.empty()) {
      read_input(line, words);
    } else if (word == "output" && model_.gears.empty()) {
      read_output(line, words);
    } else if (word == "gear") {
      read_gear(line, words);
    } else {
      fail(line, "input, output or gear, in this order", word);
    }
    expect_end(line, words);
  }

  CompiledModel take() {
    if (model_.gears.empty()) fail(last_, "gears after it", last_.text);
    return std::move(model_);
  }

 private:
  void read_format(const Line& line, Words& words, const std::string& word) {
    if (word != "format") fail(line, "format " + std::to_string(kFormat), word);
    const auto format = number_of<int>(line, expect_word(line, words, ""), "a number");
    if (format != kFormat) {
      fail(line,
           "format " + std::to_string(kFormat) +
               ", the only one that this version of dynbatch knows",
           std::to_string(format));
    }
    has_format_ = true;
  }
  void read_kind(const Line& line, Words& words, const std::string& word) {
    if (word != "kind") fail(line, "kind", word);
    model_.kind = choice<GearKind>(line, expect_word(line, words, ""),
                                   {{"batch", GearKind::batch},
                                    {"image_size", GearKind::image_size},
                                    {"dims", GearKind::dims}});
    has_kind_ = true;
  }
  void read_input(const Line& line, Words& words) {
    CompiledInput input;
    input.name = expect_word(line, words, "");
    check_name(line, model_.inputs, input.name);
    input.dtype = dtype_of(line, expect_word(line, words, "dtype"));
    input.shape = shape_of(line, expect_word(line, words, "shape"), kFree);
    const auto free = static_cast<std::size_t>(std::ranges::count(input.shape, kFree));
    if (model_.kind == GearKind::image_size && free != 0 && free != 2) {
      fail(line, "no -1, or two of them, height and width", to_text(input.shape));
    }
    free_ += free;
    model_.inputs.push_back(std::move(input));
  }
  void read_output(const Line& line, Words& words) {
    CompiledOutput output;
    output.name = expect_word(line, words, "");
    check_name(line, model_.outputs, output.name);
    output.dtype = dtype_of(line, expect_word(line, words, "dtype"));
    model_.outputs.push_back(std::move(output));
  }
  void read_gear(const Line& line, Words& words) {
    CompiledGear gear;
    gear.sizes = dims_of(line, expect_word(line, words, "sizes"), 1);
    if (gear.sizes.size() != sizes_of_a_gear()) {
      fail(line, std::to_string(sizes_of_a_gear()) + " sizes", to_text(gear.sizes));
    }
    if (model_.find(gear.sizes)) fail(line, "each gear once", to_text(gear.sizes));
    if (model_.gears.size() == kMostGears) {
      fail(line, "at most " + std::to_string(kMostGears) + " gears", to_text(gear.sizes));
    }
    gear.seconds = seconds_of(line, expect_word(line, words, "seconds"));
    for (std::size_t output = 0; output < model_.outputs.size(); ++output) {
      gear.output_shapes.push_back(shape_of(line, expect_word(line, words, "output"), 0));
    }
    model_.gears.push_back(std::move(gear));
    check_inputs(line);
  }

  std::size_t sizes_of_a_gear() const {
    if (free_ == 0) return 0;
    return model_.kind == GearKind::batch ? 1 : model_.kind == GearKind::image_size ? 2 : free_;
  }
  /// That the inputs of the newest gear have a number of elements.
  void check_inputs(const Line& line) const {
    for (const Dims& shape : model_.input_shapes(model_.gears.size() - 1)) {
      shape_of(line, to_text(shape), 0);
    }
  }

  CompiledModel model_;
  Line last_{kCompiledModelKey, 1, ""};
  std::size_t free_ = 0;
  bool has_format_ = false;
  bool has_kind_ = false;
};

}  // namespace

std::vector<std::vector<std::int64_t>> CompiledModel::input_shapes(std::size_t gear) const {
  const Dims& sizes = gears[gear].sizes;
  std::vector<Dims> shapes;
  std::size_t next = 0;
  for (const CompiledInput& input : inputs) {
    Dims& shape = shapes.emplace_back(input.shape);
    // Of image sizes each input has a height and a width; of dims each -1 has a size of its own.
    if (kind == GearKind::image_size) next = 0;
    for (std::int64_t& dim : shape) {
      if (dim != kFree) continue;
      const std::size_t place = kind == GearKind::batch ? 0 : next++;
      dim = place < sizes.size() ? sizes[place] : kFree;
    }
  }
  return shapes;
}

std::optional<std::size_t> CompiledModel::find(
    const std::vector<std::int64_t>& sizes) const noexcept {
  const auto found = std::ranges::find(gears, sizes, &CompiledGear::sizes);
  if (found == gears.end()) return std::nullopt;
  return static_cast<std::size_t>(found - gears.begin());
}

std::size_t CompiledModel::largest() const noexcept {
  // Not through input_shapes(), which allocates. Doubles do not overflow, and are exact for all real models.
  const auto elements = [this](const CompiledGear& gear) {
    double all = 0.0;
    std::size_t next = 0;
    for (const CompiledInput& input : inputs) {
      double own = 1.0;
      if (kind == GearKind::image_size) next = 0;
      for (const std::int64_t dim : input.shape) {
        const std::size_t place = dim != kFree || kind == GearKind::batch ? 0 : next++;
        const bool known = dim != kFree || place < gear.sizes.size();
        own *= static_cast<double>(dim != kFree ? dim : known ? gear.sizes[place] : 1);
      }
      all += own;
    }
    return all;
  };
  std::size_t found = 0;
  for (std::size_t gear = 1; gear < gears.size(); ++gear) {
    if (elements(gears[gear]) > elements(gears[found])) found = gear;
  }
  return found;
}

std::optional<CompiledModel> compiled_model(const OnnxModelMetadata& metadata) {
  const auto found = metadata.custom.find(kCompiledModelKey);
  if (found == metadata.custom.end()) return std::nullopt;
  Reader reader;
  for_each_line(kCompiledModelKey, found->second, [&](const Line& line) { reader.read(line); });
  return reader.take();
}

std::string to_metadata(const CompiledModel& model) {
  std::string text = "format " + std::to_string(kFormat) + "\nkind " + name_of_kind(model.kind);
  if (model.rows_independent) {
    text += std::string("\nrows ") + (*model.rows_independent ? "independent" : "mix");
  }
  for (const CompiledInput& input : model.inputs) {
    text += "\ninput " + as_word(input.name) + " dtype=" + name_of(input.dtype) +
            " shape=" + to_text(input.shape);
  }
  for (const CompiledOutput& output : model.outputs) {
    text += "\noutput " + as_word(output.name) + " dtype=" + name_of(output.dtype);
  }
  for (const CompiledGear& gear : model.gears) {
    text += "\ngear sizes=" + to_text(gear.sizes) + " seconds=" + to_text(gear.seconds);
    for (const Dims& shape : gear.output_shapes) text += " output=" + to_text(shape);
  }
  return text + "\n";
}

}  // namespace dynbatch

// Options of compile(), and what it writes. The first character of an input says what the rest is:
//   b, i, d, n, a  lines: --input_shape, gears (batch sizes, image sizes, dims, none, two kinds), --input_format,
//                  --dimension name=size; a capital letter adds --fixed
//   m              a text as it stands in a model's metadata
//   o              the bytes of an ONNX file
// Whatever they are, there is a refusal with a documented code, or gears that hold together.
#include <cctype>
#include <charconv>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <dynbatch/compile.hpp>

#include "executor/onnx_file.hpp"
#include "executor/value_shapes.hpp"
#include "fuzz/fuzz_target.hpp"
#include "runtime/compile_checks.hpp"
#include "runtime/compile_grammar.hpp"

namespace dynbatch::testing {
namespace {

const std::set<std::string> kCodes{"E10001", "E10002", "E10003", "E10004", "E10009", "E10011",
                                   "E10012", "E10018", "E10019", "E10020", "E10031", "E10035",
                                   "E10036", "E10037", "E10038", "E10039", "E10040", "E10045",
                                   "E10047", "E10058", "E19999"};

const std::vector<OnnxTensorDeclaration> kInputs{
    {"data", DataType::float32, {-1, 3, -1, -1}, {"batch", "", "height", "width"}},
    {"info", DataType::int64, {-1, 4}, {"batch", ""}},
    {"scale", DataType::float32, {}, {}}};

std::string take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string line(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

CompileOptions options_of(char kind, std::string_view text) {
  CompileOptions options;
  options.fixed = std::isupper(static_cast<unsigned char>(kind)) != 0;
  const char small = static_cast<char>(std::tolower(static_cast<unsigned char>(kind)));
  if (const std::string line = take_line(text); line != "-") options.input_shape = line;
  const std::string gears = take_line(text);
  if (small == 'b' || small == 'a') options.dynamic_batch_size = gears;
  if (small == 'i' || small == 'a') options.dynamic_image_size = gears;
  if (small == 'd') options.dynamic_dims = gears;
  if (const std::string line = take_line(text); !line.empty()) options.input_format = line;
  const std::string bound = take_line(text);
  if (const std::size_t equals = bound.find('='); equals != bound.npos) {
    std::int64_t size = 0;
    std::from_chars(bound.data() + equals + 1, bound.data() + bound.size(), size);
    options.dimensions[bound.substr(0, equals)] = size;
  }
  return options;
}

void expect_sound(const GearRequest& request, bool fixed) {
  const std::size_t count = request.gears.size();
  expect(request.option.empty() ? count == 0
         : fixed                ? count == 1
                                : count >= 2 && count <= kMostGears,
         "a number of gears");
  std::set<std::vector<std::int64_t>> seen;
  for (const auto& sizes : request.gears) {
    expect(seen.insert(sizes).second, "each gear once");
    for (const std::int64_t size : sizes) expect(size > 0 && size <= INT32_MAX, "a size");
  }
  for (const InputShape& shape : request.shapes) {
    expect(!shape.name.empty(), "a name");
    for (const std::int64_t dim : shape.dims) expect(dim > 0 || dim == -1, "a dimension");
  }
}

std::optional<CompiledModel> read(const std::string& text) {
  OnnxModelMetadata metadata;
  metadata.custom[kCompiledModelKey] = text;
  return made_or_refused([&] { return *compiled_model(metadata); }, ErrorCode::model,
                         ErrorCode::model);
}

/// Shapes of every gear are known, and a text that tells the model gives it again.
void expect_sound(const CompiledModel& model) {
  for (std::size_t gear = 0; gear < model.gears.size(); ++gear) {
    for (const auto& shape : model.input_shapes(gear)) {
      for (const std::int64_t dim : shape) expect(dim >= 0, "known shapes");
    }
    expect(model.find(model.gears[gear].sizes) == gear, "each gear once");
  }
  expect(model.largest() < model.gears.size(), "a largest gear");
}

void try_options(const CompileOptions& options) {
  try {
    GearRequest request = parse_gear_request(options);
    expect_sound(request, options.fixed);
    std::vector<std::string> warnings;
    warn_of_sizes(request, warnings);
    const CompiledModel model = fit_request(std::move(request), options, kInputs);
    expect_sound(model);
    checked_input_bytes(model, "dynamic_dims", std::size_t{1} << 40);
    const auto again = read(to_metadata(model));
    expect(again && to_metadata(*again) == to_metadata(model), "the same model again");
  } catch (const CompileError& error) {
    expect(kCodes.contains(error.atc_code()), "a documented code, not " + error.atc_code());
    expect(!error.option().empty() && !error.allowed().empty(), "an option, and what it allows");
  }
}

}  // namespace
}  // namespace dynbatch::testing

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dynbatch;
  using namespace dynbatch::testing;
  if (size == 0) return 0;
  const char kind = static_cast<char>(data[0]);
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (kind == 'm') {
    const auto model = read(std::string(rest));
    if (!model) return 0;
    expect_sound(*model);
    const std::string text = to_metadata(*model);
    const auto again = read(text);
    expect(again && to_metadata(*again) == text, "the same text again");
  } else if (kind == 'o') {
    const auto written = made_or_refused([&] { return with_metadata(rest, "key", "value"); },
                                         ErrorCode::model, ErrorCode::model);
    if (written) expect(with_metadata(*written, "key", "value") == *written, "one entry");
    made_or_refused([&] { return external_locations(rest); }, ErrorCode::model, ErrorCode::model);
    made_or_refused([&] { return shape_from_values(rest); }, ErrorCode::model, ErrorCode::model);
  } else {
    try_options(options_of(kind, rest));
  }
  return 0;
}

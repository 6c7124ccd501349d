#include "executor/onnx_declarations.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "executor/metadata_words.hpp"

namespace dynbatch {
namespace {

using Line = MetadataLine;
using Word = MetadataWord;
using Words = MetadataWords;

bool boolean_of(const Line& line, const std::string& text) {
  return choice<bool>(line, text, {{"true", true}, {"false", false}});
}

std::size_t size_of_text(const Line& line, const std::string& text) {
  return number_of<std::size_t>(line, text, "a whole number");
}

double pad_of(const Line& line, const std::string& text) {
  const auto pad = number_of<double>(line, text, "a number");
  if (std::isnan(pad)) fail(line, "a number", text);
  return pad;
}

Made batch_input_kind_of(const Line& line, const std::string& text) {
  return choice<Made>(
      line, text,
      {{"BATCH_ELEMENT_COUNT", Made::element_count},
       {"BATCH_ACCUMULATED_ELEMENT_COUNT", Made::accumulated_element_count},
       {"BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO", Made::accumulated_element_count_with_zero},
       {"BATCH_MAX_ELEMENT_COUNT_AS_SHAPE", Made::max_element_count_as_shape},
       {"BATCH_ITEM_SHAPE", Made::item_shape},
       {"BATCH_ITEM_SHAPE_FLATTEN", Made::item_shape_flatten}});
}

DataType data_type_of(const Line& line, const std::string& text) {
  const std::string bare = text.starts_with("TYPE_") ? text.substr(5) : text;
  return choice<DataType>(
      line, bare,
      {{"INT32", DataType::int32}, {"INT64", DataType::int64}, {"FP32", DataType::float32}});
}

void read(InputDeclaration& input, const Line& line, const Word& word) {
  if (word.key == "shared") {
    input.shared = boolean_of(line, word.value);
  } else if (word.key == "batch_axis") {
    input.batch_axis = size_of_text(line, word.value);
  } else if (word.key == "pad") {
    input.pad = pad_of(line, word.value);
  } else if (word.key == "pad_mode") {
    input.pad_mode = choice<PadMode>(
        line, word.value,
        {{"constant", PadMode::constant}, {"edge", PadMode::edge}, {"first", PadMode::first}});
  } else if (word.key == "mask") {
    input.mask = word.value;
  } else if (word.key == "length") {
    input.length = word.value;
  } else if (word.key == "ragged") {
    input.ragged = boolean_of(line, word.value);
  } else {
    fail(line, "shared, batch_axis, pad, pad_mode, mask, length or ragged", word.key);
  }
}

void read(OutputDeclaration& output, const Line& line, const Word& word) {
  if (word.key == "shared") {
    output.shared = boolean_of(line, word.value);
  } else if (word.key == "batch_axis") {
    output.batch_axis = size_of_text(line, word.value);
  } else if (word.key == "rows_per_row") {
    output.rows_per_row = size_of_text(line, word.value);
  } else if (word.key == "trim") {
    output.trim = word.value;
  } else {
    fail(line, "shared, batch_axis, rows_per_row or trim", word.key);
  }
}

void read(BatchInput& input, const Line& line, const Word& word) {
  if (word.key == "kind") {
    input.kind = batch_input_kind_of(line, word.value);
  } else if (word.key == "data_type") {
    input.data_type = data_type_of(line, word.value);
  } else if (word.key == "target_name") {
    input.target_names.push_back(word.value);
  } else if (word.key == "source_input") {
    input.source_input = word.value;
  } else {
    fail(line, "kind, data_type, target_name or source_input", word.key);
  }
}

void read(BatchOutput& output, const Line& line, const Word& word) {
  if (word.key == "kind") {
    choice<bool>(line, word.value, {{"BATCH_SCATTER_WITH_INPUT_SHAPE", true}});
  } else if (word.key == "target_name") {
    output.target_names.push_back(word.value);
  } else if (word.key == "source_input") {
    output.source_input = word.value;
  } else {
    fail(line, "kind, target_name or source_input", word.key);
  }
}

/// Reads what follows the first words of a line; the keys of `needed` must be among it.
template <class Declaration>
Declaration read_rest(const Line& line, Words& words, const std::vector<std::string>& needed) {
  Declaration declaration;
  std::vector<std::string> seen;
  while (const auto word = words.next()) {
    if (word->key.empty()) fail(line, "key=value", word->value);
    if (word->value.empty()) fail(line, "a value", word->key + "=");
    const bool again = std::ranges::count(seen, word->key) != 0;
    if (again && word->key != "target_name") fail(line, "each key once", word->key);
    read(declaration, line, *word);
    seen.push_back(word->key);
  }
  for (const std::string& key : needed) {
    if (std::ranges::count(seen, key) == 0) fail(line, key + "=...", line.text);
  }
  return declaration;
}

/// The name that stands before the rest.
template <class Declaration>
void read_named(std::map<std::string, Declaration>& declarations, const Line& line, Words& words) {
  const auto name = words.next();
  if (!name || !name->key.empty()) fail(line, "a name", name ? name->key + "=" : "");
  auto declaration = read_rest<Declaration>(line, words, {});
  if (!declarations.emplace(name->value, std::move(declaration)).second) {
    fail(line, "each name once", name->value);
  }
}

void read_line(OnnxDeclarations& declarations, const Line& line) {
  Words words(line);
  const auto what = words.next();
  if (!what) return;
  const std::string word = what->key.empty() ? what->value : "";
  if (word == "input") {
    read_named(declarations.inputs, line, words);
  } else if (word == "output") {
    read_named(declarations.outputs, line, words);
  } else if (word == "batch_input") {
    declarations.batch_inputs.push_back(
        read_rest<BatchInput>(line, words, {"kind", "data_type", "target_name", "source_input"}));
  } else if (word == "batch_output") {
    declarations.batch_outputs.push_back(
        read_rest<BatchOutput>(line, words, {"kind", "target_name", "source_input"}));
  } else {
    fail(line, "input, output, batch_input or batch_output", what->key + what->value);
  }
}

}  // namespace

OnnxDeclarations parse_onnx_declarations(std::string_view text) {
  OnnxDeclarations declarations;
  for_each_line(kOnnxDeclarationsKey, text,
                [&](const Line& line) { read_line(declarations, line); });
  return declarations;
}

OnnxRuntimeOptions with_onnx_declarations(OnnxRuntimeOptions options,
                                          const OnnxModelMetadata& metadata) {
  const auto found = metadata.custom.find(kOnnxDeclarationsKey);
  if (found == metadata.custom.end()) return options;
  OnnxDeclarations declared = parse_onnx_declarations(found->second);
  options.inputs.merge(declared.inputs);
  options.output_declarations.merge(declared.outputs);
  if (options.batch_inputs.empty()) options.batch_inputs = std::move(declared.batch_inputs);
  if (options.batch_outputs.empty()) options.batch_outputs = std::move(declared.batch_outputs);
  return options;
}

}  // namespace dynbatch

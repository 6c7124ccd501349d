// Lines of words, in which dynbatch writes to a model's own metadata. Words stand apart by blanks; one is
// "value" or "key=value". What has blanks, quotes, '#' or '=' in it stands in double quotes, with \" and \\ inside;
// # begins a comment. Pure functions.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace dynbatch {

struct MetadataLine {
  const char* key = "";    // of the metadata, for messages
  std::size_t number = 0;  // from 1
  std::string_view text;
};

/// Throws Error(model), which shows the line.
[[noreturn]] void fail(const MetadataLine& line, const std::string& expected, std::string_view got);

/// "key=value", or a word alone, whose key is empty.
struct MetadataWord {
  std::string key;
  std::string value;
};

/// Cuts a line into words.
class MetadataWords {
 public:
  explicit MetadataWords(const MetadataLine& line) : line_(line), rest_(line.text) {}
  /// None at the end of the line. Throws Error(model).
  std::optional<MetadataWord> next();

 private:
  std::string take_value(std::string_view ends);
  std::string take_quoted();

  MetadataLine line_;
  std::string_view rest_;
};

/// Calls `read` with each line of a text, in order.
template <class Read>
void for_each_line(const char* key, std::string_view text, Read read) {
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    read(MetadataLine{key, number, text.substr(0, end)});
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

/// The value that a name stands for.
template <class Value>
Value choice(const MetadataLine& line, const std::string& text,
             std::initializer_list<std::pair<const char*, Value>> choices) {
  std::string expected;
  for (const auto& [name, value] : choices) {
    if (text == name) return value;
    expected += (expected.empty() ? "" : ", ") + std::string(name);
  }
  fail(line, "one of " + expected, text);
}

template <class Number>
Number number_of(const MetadataLine& line, std::string_view text, const char* expected) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) fail(line, expected, text);
  return number;
}

/// The text as one word: in quotes where it needs them. Throws Error(invalid_argument) for a line break.
std::string as_word(const std::string& text);

}  // namespace dynbatch

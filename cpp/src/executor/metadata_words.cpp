#include "executor/metadata_words.hpp"

#include <dynbatch/error.hpp>

namespace dynbatch {
namespace {

constexpr std::size_t kMostShown = 200;  // characters of a line in an error

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

}  // namespace

void fail(const MetadataLine& line, const std::string& expected, std::string_view got) {
  throw Error(ErrorCode::model, std::string(line.key) + " in the model's metadata, line " +
                                    std::to_string(line.number) + ": expected " + expected +
                                    ", got '" + std::string(got.substr(0, kMostShown)) + "' in '" +
                                    std::string(line.text.substr(0, kMostShown)) + "'");
}

std::optional<MetadataWord> MetadataWords::next() {
  while (!rest_.empty() && is_blank(rest_.front())) rest_.remove_prefix(1);
  if (rest_.empty() || rest_.front() == '#') return std::nullopt;
  MetadataWord word;
  word.value = take_value("=");
  if (!rest_.empty() && rest_.front() == '=') {
    if (word.value.empty()) fail(line_, "a key before '='", rest_);
    rest_.remove_prefix(1);
    word.key = std::exchange(word.value, take_value(""));
  }
  if (!rest_.empty() && !is_blank(rest_.front())) fail(line_, "a blank between words", rest_);
  return word;
}

/// What stands in quotes, or up to a blank or one of `ends`.
std::string MetadataWords::take_value(std::string_view ends) {
  if (!rest_.empty() && rest_.front() == '"') return take_quoted();
  std::size_t size = 0;
  while (size < rest_.size() && !is_blank(rest_[size]) && ends.find(rest_[size]) == ends.npos)
    ++size;
  std::string value(rest_.substr(0, size));
  rest_.remove_prefix(size);
  return value;
}

std::string MetadataWords::take_quoted() {
  const std::string_view whole = rest_;
  rest_.remove_prefix(1);
  std::string value;
  while (!rest_.empty() && rest_.front() != '"') {
    if (rest_.front() == '\\') rest_.remove_prefix(1);
    if (rest_.empty()) break;
    value += rest_.front();
    rest_.remove_prefix(1);
  }
  if (rest_.empty()) fail(line_, "a closing quote", whole);
  rest_.remove_prefix(1);
  return value;
}

std::string as_word(const std::string& text) {
  if (text.find('\n') != text.npos) {
    throw Error(ErrorCode::invalid_argument,
                "the model's metadata holds no names with line breaks, got '" + text + "'");
  }
  const bool plain = !text.empty() && text.find_first_of(" \t\r\"#=\\") == text.npos;
  if (plain) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace dynbatch

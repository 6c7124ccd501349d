#include "capi/configuration.hpp"

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <system_error>

#include "capi/answer.hpp"

namespace dynbatch::capi {
namespace {

/// The position behind a string that begins at `at`; npos if it has no end.
std::size_t behind_string(std::string_view text, std::size_t at) {
  for (++at; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == '"') {
      return at + 1;
    }
  }
  return std::string_view::npos;
}

/// Whether all is within one pair of braces, and braces, brackets and strings close. What stands between them
/// is not looked at: nobody reads it.
bool is_object(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || text[first] != '{') return false;
  std::string open;
  for (std::size_t at = first; at < text.size();) {
    const char c = text[at];
    if (c == '"') {
      at = behind_string(text, at);
      continue;
    }
    ++at;
    if (c == '{' || c == '[') open += c == '{' ? '}' : ']';
    if (c != '}' && c != ']') continue;
    if (open.empty() || open.back() != c) return false;
    open.pop_back();
    if (open.empty()) return text.find_first_not_of(" \t\r\n", at) == std::string_view::npos;
  }
  return false;
}

}  // namespace

void check_configuration(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {  // reading a pipe would wait for its writer
    refuse(ACL_ERROR_INVALID_FILE, "configPath: expected a file, got " + path);
  }
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (file.fail() || text.empty()) {
    refuse(ACL_ERROR_INVALID_FILE, "configPath: cannot read " + path);
  }
  if (!is_object(text)) {
    refuse(ACL_ERROR_INVALID_FILE, "configPath: expected a JSON object in " + path);
  }
}

}  // namespace dynbatch::capi

#include "runtime/compiled_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include <dynbatch/error.hpp>

#include "executor/onnx_file.hpp"

namespace dynbatch {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kChunk = std::size_t{1} << 20;
constexpr int kMostAttempts = 100;

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorCode::model, message); }

std::string read_file(const fs::path& path) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  if (error) fail("cannot read '" + path.string() + "': " + error.message());
  std::string bytes(static_cast<std::size_t>(size), '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file) fail("cannot read '" + path.string() + "'");
  return bytes;
}

/// Folders of both, so that a file without one lies in the current folder.
bool in_one_folder(const fs::path& one, const fs::path& other) {
  const auto folder = [](const fs::path& path) { return fs::absolute(path).parent_path(); };
  std::error_code error;
  return fs::equivalent(folder(one), folder(other), error);
}

bool leads_outside(const fs::path& location) {
  const fs::path normal = location.lexically_normal();
  return normal.empty() || normal.is_absolute() || *normal.begin() == "..";
}

bool equal_contents(const fs::path& one, const fs::path& other) {
  std::ifstream first(one, std::ios::binary);
  std::ifstream second(other, std::ios::binary);
  std::vector<char> a(kChunk);
  std::vector<char> b(kChunk);
  while (first && second) {
    first.read(a.data(), static_cast<std::streamsize>(a.size()));
    second.read(b.data(), static_cast<std::streamsize>(b.size()));
    if (first.gcount() != second.gcount()) return false;
    if (!std::equal(a.begin(), a.begin() + first.gcount(), b.begin())) return false;
  }
  return first.eof() && second.eof();
}

/// A new file beside the output, of a name that nobody else has.
std::string make_unfinished(const std::string& output) {
  for (int attempt = 0;; ++attempt) {
    std::string path = output + "." + std::to_string(attempt) + ".unfinished";
    if (std::FILE* const file = std::fopen(path.c_str(), "wx")) {  // x: fails if it is there
      std::fclose(file);
      return path;
    }
    if (errno != EEXIST || attempt == kMostAttempts)
      fail("cannot write '" + path + "': " + std::strerror(errno));
  }
}

}  // namespace

CompiledFile::CompiledFile(const std::string& model_path, std::string output)
    : model_path_(model_path),
      bytes_(read_file(model_path_)),
      locations_(external_locations(bytes_)),
      output_(std::move(output)) {
  check_names();
}

CompiledFile::~CompiledFile() {
  if (finished_) return;
  std::error_code error;
  std::ranges::reverse(made_);
  for (const fs::path& path : made_) fs::remove(path, error);  // folders only if they are empty
}

void CompiledFile::check_names() const {
  const fs::path output(output_);
  for (const std::string& location : locations_) {
    std::error_code error;
    const fs::path copy = output.parent_path() / location;
    if (fs::equivalent(model_path_.parent_path() / location, output, error) ||
        copy.lexically_normal() == output.lexically_normal())
      fail("'" + output_ + "' is the name of a data file of the model");
    if (!in_one_folder(model_path_, output) && leads_outside(location)) {
      fail("the model's data file '" + location +
           "' is not below the model's folder: write the output beside the model");
    }
  }
}

void CompiledFile::begin(std::vector<std::string>& warnings) {
  if (!in_one_folder(model_path_, output_)) {
    for (const std::string& location : locations_) copy_data(location, warnings);
  }
  path_ = make_unfinished(output_);
  made_.emplace_back(path_);
}

void CompiledFile::make_folders(const fs::path& location) {
  fs::path folder = fs::path(output_).parent_path();
  for (const fs::path& part : location.parent_path()) {
    folder /= part;
    std::error_code error;
    if (fs::create_directory(folder, error)) made_.push_back(folder);
  }
}

/// Under another name until it is whole: what is cut short by force does not pass for the data of a later try.
void CompiledFile::copy_data(const fs::path& location, std::vector<std::string>& warnings) {
  const fs::path from = model_path_.parent_path() / location;
  const fs::path to = fs::path(output_).parent_path() / location;
  const std::string what =
      "the model's data file '" + from.string() + "' cannot be copied to '" + to.string() + "': ";
  std::error_code error;
  if (fs::exists(to, error)) {
    if (!equal_contents(from, to)) fail(what + "another file is there");
    warnings.push_back("the model's data file is there already: '" + to.string() + "'");
    return;
  }
  make_folders(location);
  const fs::path copy = make_unfinished(to.string());
  made_.push_back(copy);
  if (!fs::copy_file(from, copy, fs::copy_options::overwrite_existing, error) || error)
    fail(what + error.message());
  fs::rename(copy, to, error);
  if (error) fail(what + error.message());
  made_.back() = to;
  warnings.push_back("the model's data file was copied to '" + to.string() +
                     "': it belongs to the output");
}

void CompiledFile::write(const CompiledModel& model) const {
  const std::string written = with_metadata(bytes_, kCompiledModelKey, to_metadata(model));
  std::ofstream file(path_, std::ios::binary | std::ios::trunc);
  file.write(written.data(), static_cast<std::streamsize>(written.size()));
  file.close();
  if (!file) fail("cannot write '" + path_ + "'");
}

void CompiledFile::finish() {
  std::error_code error;
  fs::rename(path_, output_, error);
  if (error) fail("cannot write '" + output_ + "': " + error.message());
  finished_ = true;
}

}  // namespace dynbatch

#include "runtime/compiled_file.hpp"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include <dynbatch/error.hpp>

#include "executor/onnx_file.hpp"

namespace dynbatch {
namespace {

namespace fs = std::filesystem;

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

void copy_data(const fs::path& from, const fs::path& to, std::vector<std::string>& warnings) {
  std::error_code error;
  if (fs::exists(to, error)) {
    if (fs::file_size(to, error) == fs::file_size(from, error) && !error) {
      warnings.push_back("the model's data file is taken to be '" + to.string() +
                         "', which is there already");
      return;
    }
    fail("the model's data file '" + from.string() + "' cannot be copied to '" + to.string() +
         "': another file is there");
  }
  fs::create_directories(to.parent_path(), error);
  if (!fs::copy_file(from, to, error) || error) {
    fail("the model's data file '" + from.string() + "' cannot be copied to '" + to.string() +
         "': " + error.message());
  }
  warnings.push_back("the model's data file was copied to '" + to.string() +
                     "': it belongs to the output");
}

void copy_all_data(const std::string& bytes, const fs::path& model, const fs::path& output,
                   std::vector<std::string>& warnings) {
  const std::vector<std::string> locations = external_locations(bytes);
  for (const std::string& location : locations) {
    std::error_code error;
    if (fs::equivalent(model.parent_path() / location, output, error))
      fail("'" + output.string() + "' is a data file of the model, which is kept");
  }
  if (in_one_folder(model, output)) return;
  for (const std::string& location : locations) {
    if (leads_outside(location)) {
      fail("the model's data file '" + location +
           "' is not below the model's folder: write the output beside the model");
    }
    copy_data(model.parent_path() / location, output.parent_path() / location, warnings);
  }
}

}  // namespace

CompiledFile::CompiledFile(const std::string& model_path, std::string output,
                           std::vector<std::string>& warnings)
    : bytes_(read_file(model_path)), output_(std::move(output)), path_(output_ + ".unfinished") {
  copy_all_data(bytes_, model_path, output_, warnings);
}

CompiledFile::~CompiledFile() {
  std::error_code error;
  fs::remove(path_, error);  // is not there if it was finished
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
}

}  // namespace dynbatch

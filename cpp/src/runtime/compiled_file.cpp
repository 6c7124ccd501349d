#include "runtime/compiled_file.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include <dynbatch/error.hpp>

#include "executor/onnx_file.hpp"

namespace dynbatch {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorCode::model, message); }

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
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
  if (in_one_folder(model, output)) return;
  for (const std::string& location : external_locations(bytes)) {
    if (leads_outside(location)) {
      fail("the model's data file '" + location +
           "' is not below the model's folder: write the output beside the model");
    }
    copy_data(model.parent_path() / location, output.parent_path() / location, warnings);
  }
}

}  // namespace

void write_compiled(const std::string& model_path, const std::string& output,
                    const CompiledModel& model, std::vector<std::string>& warnings) {
  const std::string bytes = read_file(model_path);
  const std::string written = with_metadata(bytes, kCompiledModelKey, to_metadata(model));
  copy_all_data(bytes, model_path, output, warnings);
  const std::string unfinished = output + ".unfinished";
  std::error_code error;
  {
    std::ofstream file(unfinished, std::ios::binary | std::ios::trunc);
    file.write(written.data(), static_cast<std::streamsize>(written.size()));
    file.close();
    if (!file) {
      fs::remove(unfinished, error);
      fail("cannot write '" + unfinished + "'");
    }
  }
  fs::rename(unfinished, output, error);
  if (!error) return;
  const std::string reason = error.message();
  fs::remove(unfinished, error);
  fail("cannot write '" + output + "': " + reason);
}

}  // namespace dynbatch

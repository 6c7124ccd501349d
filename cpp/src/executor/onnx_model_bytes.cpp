#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ios>
#include <string>
#include <system_error>

#include <dynbatch/error.hpp>
#include <dynbatch/onnxruntime_executor.hpp>

#include "executor/onnx_file.hpp"

namespace dynbatch {
namespace {

namespace fs = std::filesystem;

std::uint64_t size_of_file(const fs::path& path) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  if (error)
    throw Error(ErrorCode::model, "cannot read '" + path.string() + "': " + error.message());
  return size;
}

}  // namespace

std::uint64_t onnx_model_bytes(const std::string& model_path) {
  const fs::path path(model_path);
  std::uint64_t all = size_of_file(path);
  std::string model(all, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(model.data(), static_cast<std::streamsize>(model.size())))
    throw Error(ErrorCode::model, "cannot read '" + model_path + "'");
  for (const std::string& location : external_locations(model))
    all += size_of_file(path.parent_path() / location);
  return all;
}

}  // namespace dynbatch

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

std::uint64_t onnx_model_bytes(const std::string& model_path) {
  const std::filesystem::path path(model_path);
  std::error_code error;
  std::uint64_t all = std::filesystem::file_size(path, error);
  if (error) throw Error(ErrorCode::model, "cannot read '" + model_path + "': " + error.message());
  std::string model(all, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(model.data(), static_cast<std::streamsize>(model.size())))
    throw Error(ErrorCode::model, "cannot read '" + model_path + "'");
  for (const std::string& location : external_locations(model)) {
    // Of a tensor that nothing needs the file may be missing.
    const std::uintmax_t size = std::filesystem::file_size(path.parent_path() / location, error);
    all += error ? 0 : size;
  }
  return all;
}

}  // namespace dynbatch

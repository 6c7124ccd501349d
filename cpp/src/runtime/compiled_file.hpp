// Writes a compiled model: the bytes of the model with its gears in the metadata.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <dynbatch/compiled_model.hpp>

namespace dynbatch {

/// The model's own bytes, and the output while it is made, beside its place and its data: what fails leaves nothing
/// behind.
class CompiledFile {
 public:
  /// Reads the model, and writes nothing yet. Throws Error(model).
  CompiledFile(const std::string& model_path, std::string output);
  CompiledFile(const CompiledFile&) = delete;
  CompiledFile& operator=(const CompiledFile&) = delete;
  ~CompiledFile();

  const std::string& model() const noexcept { return bytes_; }

  /// Data files are copied beside the output if its folder is another one than the model's, and told in `warnings`;
  /// one that is there already must be the same. Throws Error(model).
  void begin(std::vector<std::string>& warnings);
  /// Writes the model with these gears to path(), again or for the first time. Throws Error(model).
  void write(const CompiledModel& model) const;
  const std::string& path() const noexcept { return path_; }
  /// Replaces the output with what was written, in one step. Throws Error(model).
  void finish();

 private:
  void check_names() const;
  void copy_data(const std::filesystem::path& location, std::vector<std::string>& warnings);
  void make_folders(const std::filesystem::path& location);

  std::filesystem::path model_path_;
  std::string bytes_;
  std::vector<std::string> locations_;  // of data files, from the model's folder on
  std::string output_;
  std::string path_;
  std::vector<std::filesystem::path> made_;  // files and folders, in this order
  bool finished_ = false;
};

}  // namespace dynbatch

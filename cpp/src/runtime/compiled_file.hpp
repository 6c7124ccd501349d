// Writes a compiled model: the bytes of the model with its gears in the metadata.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <dynbatch/compiled_model.hpp>

namespace dynbatch {

/// The output while it is made, beside its place and its data: what fails leaves nothing behind.
class CompiledFile {
 public:
  /// Data files are copied beside the output if its folder is another one than the model's, and told in `warnings`;
  /// one that is there already must be the same. Throws Error(model).
  CompiledFile(const std::string& model_path, std::string output,
               std::vector<std::string>& warnings);
  CompiledFile(const CompiledFile&) = delete;
  CompiledFile& operator=(const CompiledFile&) = delete;
  ~CompiledFile();

  /// Writes the model with these gears to path(), again or for the first time. Throws Error(model).
  void write(const CompiledModel& model) const;
  const std::string& path() const noexcept { return path_; }
  /// Replaces the output with what was written, in one step. Throws Error(model).
  void finish();

 private:
  void copy_all_data(const std::filesystem::path& model, std::vector<std::string>& warnings);
  void copy_data(const std::filesystem::path& from, const std::filesystem::path& to,
                 std::vector<std::string>& warnings);
  void remove_all() noexcept;

  std::string bytes_;  // of the model
  std::string output_;
  std::string path_;
  std::vector<std::filesystem::path> copies_;
  bool finished_ = false;
};

}  // namespace dynbatch

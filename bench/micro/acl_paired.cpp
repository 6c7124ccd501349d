// The AscendCL-shaped calls: what setting a gear and executing add to ONNX Runtime's own Run, whose values were
// made before. Two gears take turns.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>

#include <dynbatch/acl.h>
#include <dynbatch/compile.hpp>

#include "bare_run.hpp"
#include "model_path.hpp"
#include "paired.hpp"

namespace dynbatch::bench {
namespace {

void check(aclError code) {
  if (code != ACL_SUCCESS) throw std::runtime_error(aclGetRecentErrMsg());
}

/// The model with both gears, in a file for the time of one program.
class CompiledFile {
 public:
  explicit CompiledFile(const std::string& model)
      : path_(std::filesystem::temp_directory_path() / "dynbatch_acl_paired.om") {
    CompileOptions options;
    options.output = path_.string();
    options.input_shape = "x:-1,64";
    options.dynamic_batch_size = "1,4";
    compile(model, options);
  }
  CompiledFile(const CompiledFile&) = delete;
  CompiledFile& operator=(const CompiledFile&) = delete;
  ~CompiledFile() { std::filesystem::remove(path_); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

class AclCalls {
 public:
  explicit AclCalls(const std::string& path) {
    check(aclInit(nullptr));
    check(aclmdlLoadFromFile(path.c_str(), &model_));
    add(input_, memory.input.data(), memory.input.size() * sizeof(float));
    add(input_, &shape_, sizeof shape_);
    add(output_, memory.output.data(), memory.output.size() * sizeof(float));
  }
  void set(std::size_t gear) {
    check(aclmdlSetDynamicBatchSize(model_, input_, 1, static_cast<std::uint64_t>(kGears[gear])));
  }
  void execute() { check(aclmdlExecute(model_, input_, output_)); }
  void set_and_execute(std::size_t gear) {
    set(gear);
    execute();
  }

  Memory memory;

 private:
  static void add(aclmdlDataset* dataset, void* data, std::size_t size) {
    check(aclmdlAddDatasetBuffer(dataset, aclCreateDataBuffer(data, size)));
  }

  std::uint32_t model_ = 0;
  std::int32_t shape_ = 0;
  aclmdlDataset* input_ = aclmdlCreateDataset();
  aclmdlDataset* output_ = aclmdlCreateDataset();
};

}  // namespace

void measure_all(const PairedOptions& options) {
  const std::string path = model_path("one_gemm");
  BareRun bare(path);
  const CompiledFile compiled(path);
  AclCalls calls(compiled.path());
  const auto set_and_execute = [&](std::size_t gear) { calls.set_and_execute(gear); };
  check_answers(bare, calls.memory, set_and_execute);
  measure("one Gemm 64 by 64, gears 1 and 4",
          {{"set and execute", gears_in_turn(set_and_execute)},
           {"execute", gears_in_turn([&](std::size_t) { calls.execute(); })},
           {"bare Run", gears_in_turn([&](std::size_t gear) { bare.run(gear); })}},
          options);
}

}  // namespace dynbatch::bench

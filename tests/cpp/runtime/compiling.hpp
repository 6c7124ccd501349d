// Compiles graphs into a folder that goes away afterwards.
#pragma once

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include <dynbatch/compile.hpp>

#include "cpp/executor/onnx_graph.hpp"
#include "cpp/executor/test_surroundings.hpp"

namespace dynbatch::testing {

/// y = 2 x + 1 beside a second input, as the documented example has two.
inline OnnxGraph documented_example() {
  return OnnxGraph()
      .input("data", DataType::float32, {"batch", 3, "height", "width"})
      .input("img_info", DataType::float32, {"batch", 4})
      .node("Identity", {"img_info"}, {"info"})
      .node("Identity", {"data"}, {"same"})
      .output("same", DataType::float32, {"batch", 3, "height", "width"})
      .output("info", DataType::float32, {"batch", 4});
}

class Compiling : public ::testing::Test {
 protected:
  Compiling()
      : folder_(std::filesystem::path(::testing::TempDir()) /
                ("compile_" +
                 std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()))) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    options_.session.library_path = ort_library_path();
    options_.output = (folder_ / "model").string();
  }
  ~Compiling() override { std::filesystem::remove_all(folder_); }

  CompileResult compile_graph(const OnnxGraph& graph) { return compile(write(graph), options_); }
  std::string write(const OnnxGraph& graph) const {
    const std::string path = (folder_ / "model.onnx").string();
    std::ofstream(path, std::ios::binary) << graph.bytes();
    return path;
  }
  std::string code_of(const OnnxGraph& graph) {
    try {
      compile_graph(graph);
    } catch (const CompileError& error) {
      return error.atc_code() + " " + error.option();
    }
    return "none";
  }
  std::string error_of(const OnnxGraph& graph) {
    try {
      compile_graph(graph);
    } catch (const CompileError& error) {
      return error.what();
    }
    return "none";
  }
  std::unique_ptr<Executor> open(const std::string& path) const {
    return make_onnxruntime_executor(path, options_.session);
  }

  std::filesystem::path folder_;
  CompileOptions options_;
};

}  // namespace dynbatch::testing

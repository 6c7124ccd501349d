// How large a model is, with what lies beside it.
#include <gmock/gmock.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include <dynbatch/error.hpp>
#include <dynbatch/onnxruntime_executor.hpp>

#include "cpp/executor/onnx_graph.hpp"

namespace dynbatch::testing {
namespace {

std::string write(const std::string& name, const std::string& bytes) {
  const auto path = std::filesystem::path(::testing::TempDir()) / name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path.string();
}

TEST(OnnxModelBytes, AreThoseOfTheFileAndOfItsDataFilesEachOnce) {
  const std::string model = OnnxGraph()
                                .input("x", DataType::float32, {1})
                                .external("a", 2, "bytes_1.bin")
                                .external("b", 2, "bytes_1.bin")
                                .external("c", 3, "bytes_2.bin")
                                .node("Neg", {"x"}, {"y"})
                                .output("y", DataType::float32, {1})
                                .bytes();
  write("bytes_1.bin", std::string(8, 'a'));
  write("bytes_2.bin", std::string(12, 'b'));
  EXPECT_EQ(onnx_model_bytes(write("bytes.onnx", model)), model.size() + 8 + 12);
}

TEST(OnnxModelBytes, AreThoseOfFilesThatAreThere) {
  const std::string model = OnnxGraph().external("a", 2, "bytes_0.bin").bytes();
  EXPECT_EQ(onnx_model_bytes(write("bytes_without.onnx", model)), model.size());
}

TEST(OnnxModelBytes, AreNotKnownWithoutAModel) {
  EXPECT_THROW(onnx_model_bytes("/nowhere/model.onnx"), Error);
  EXPECT_THROW(onnx_model_bytes(write("bytes_text.onnx", "no model")), Error);
}

}  // namespace
}  // namespace dynbatch::testing

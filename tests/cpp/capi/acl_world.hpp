// What tests of the C API stand on: small models with gears of each kind, and datasets over memory of their own.
#pragma once

#include <gmock/gmock.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <dynbatch/acl.h>
#include <dynbatch/compiled_model.hpp>

#include "cpp/executor/onnx_graph.hpp"
#include "cpp/executor/ort_mutexes.hpp"

namespace dynbatch::testing {

/// y = 2 x + 1 of the given shape.
inline OnnxGraph doubled_plus_one(const std::vector<Dim>& dims) {
  return OnnxGraph()
      .input("x", DataType::float32, dims)
      .constant("two", {2.0F})
      .constant("one", {1.0F})
      .node("Mul", {"x", "two"}, {"doubled"})
      .node("Add", {"doubled", "one"}, {"y"})
      .output("y", DataType::float32, dims);
}

/// The only output of a gear has the shape of the only input.
inline std::string with_gears(OnnxGraph graph, GearKind kind, std::vector<std::int64_t> shape,
                              const std::vector<std::vector<std::int64_t>>& sizes) {
  CompiledModel compiled{.kind = kind,
                         .inputs = {{.name = "x", .shape = std::move(shape)}},
                         .outputs = {{.name = "y"}}};
  for (const auto& each : sizes) compiled.gears.push_back({.sizes = each});
  for (std::size_t gear = 0; gear < sizes.size(); ++gear) {
    compiled.gears[gear].output_shapes = compiled.input_shapes(gear);
  }
  return graph.metadata(kCompiledModelKey, to_metadata(compiled)).bytes();
}

/// [-1, 3] with gears 4, 1, 8, 2.
inline std::string batch_model() {
  return with_gears(doubled_plus_one({"n", 3}), GearKind::batch, {-1, 3}, {{4}, {1}, {8}, {2}});
}
/// [1, 1, -1, -1] with gears 2 x 3 and 4 x 2.
inline std::string image_model() {
  return with_gears(doubled_plus_one({1, 1, "h", "w"}), GearKind::image_size, {1, 1, -1, -1},
                    {{2, 3}, {4, 2}});
}
/// [-1, 2, -1] with gears 2, 5 and 3, 1.
inline std::string dims_model() {
  return with_gears(doubled_plus_one({"n", 2, "m"}), GearKind::dims, {-1, 2, -1}, {{2, 5}, {3, 1}});
}
/// [2, 3] without gears.
inline std::string static_model() { return doubled_plus_one({2, 3}).bytes(); }

/// A dataset whose buffers name memory of exactly so many bytes, so that a step beyond is found.
class TestDataset {
 public:
  explicit TestDataset(const std::vector<std::size_t>& sizes) : handle_(aclmdlCreateDataset()) {
    for (const std::size_t size : sizes) add(size);
  }
  TestDataset(const TestDataset&) = delete;
  TestDataset& operator=(const TestDataset&) = delete;
  ~TestDataset() {
    for (aclDataBuffer* const buffer : buffers_) aclDestroyDataBuffer(buffer);
    aclmdlDestroyDataset(handle_);
  }

  void add(std::size_t size) {
    memory_.push_back(std::make_unique<std::byte[]>(size));
    buffers_.push_back(aclCreateDataBuffer(memory_.back().get(), size));
    EXPECT_EQ(aclmdlAddDatasetBuffer(handle_, buffers_.back()), ACL_SUCCESS);
  }
  /// Another size of the memory is told than there is: less.
  void tell(std::size_t index, std::size_t size) {
    ASSERT_EQ(aclUpdateDataBuffer(buffers_[index], memory_[index].get(), size), ACL_SUCCESS);
  }
  void tell_null(std::size_t index, std::size_t size) {
    ASSERT_EQ(aclUpdateDataBuffer(buffers_[index], nullptr, size), ACL_SUCCESS);
  }

  aclmdlDataset* get() const { return handle_; }
  aclDataBuffer* buffer(std::size_t index) const { return buffers_[index]; }
  template <class Number>
  Number* as(std::size_t index) const {
    return reinterpret_cast<Number*>(memory_[index].get());
  }

 private:
  aclmdlDataset* handle_;
  std::vector<std::unique_ptr<std::byte[]>> memory_;
  std::vector<aclDataBuffer*> buffers_;
};

/// An initialised process with a device; in the end all that a test has made must be gone.
class AclWorld {
 public:
  AclWorld() {
    EXPECT_EQ(dynbatchAclLiveHandles(), 0U);
    EXPECT_EQ(aclInit(nullptr), ACL_SUCCESS);
    EXPECT_EQ(aclrtSetDevice(0), ACL_SUCCESS);
  }
  AclWorld(const AclWorld&) = delete;
  AclWorld& operator=(const AclWorld&) = delete;
  ~AclWorld() {
    aclrtResetDevice(0);
    aclFinalize();
    EXPECT_EQ(dynbatchAclLiveHandles(), 0U);
  }

  static std::uint32_t load(const std::string& model) {
    std::uint32_t id = 0;
    EXPECT_EQ(aclmdlLoadFromMem(model.data(), model.size(), &id), ACL_SUCCESS)
        << aclGetRecentErrMsg();
    return id;
  }
};

/// A description of a model; gone with the object.
class TestDescription {
 public:
  explicit TestDescription(std::uint32_t model) : handle_(aclmdlCreateDesc()) {
    EXPECT_EQ(aclmdlGetDesc(handle_, model), ACL_SUCCESS);
  }
  TestDescription(const TestDescription&) = delete;
  TestDescription& operator=(const TestDescription&) = delete;
  ~TestDescription() { aclmdlDestroyDesc(handle_); }
  aclmdlDesc* get() const { return handle_; }

 private:
  aclmdlDesc* handle_;
};

inline std::vector<std::int64_t> sizes_of(const aclmdlIODims& dims) {
  return {dims.dims, dims.dims + dims.dimCount};
}

}  // namespace dynbatch::testing

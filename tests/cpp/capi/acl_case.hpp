// One way to be told a code, and what such ways stand on.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include <dynbatch/acl.h>

#include "cpp/capi/acl_world.hpp"

namespace dynbatch::testing {

inline constexpr std::size_t kAll = static_cast<std::size_t>(-1);
inline constexpr std::size_t kTooLarge = std::size_t{1} << 60;

/// What a call answered.
struct Answer {
  aclError code;
  std::string words;
};

// Of a process that has never been initialised, whatever tests run before.
inline const Answer finalized_first{aclFinalize(), aclGetRecentErrMsg()};

/// A batch model and datasets that would execute it in its largest gear.
struct Loaded {
  AclWorld world;
  std::uint32_t id = AclWorld::load(batch_model());
  TestDataset input{{96, 4}};
  TestDataset output{{96}};
  TestDescription description{id};

  aclError set(std::uint64_t batch) const {
    return aclmdlSetDynamicBatchSize(id, input.get(), 1, batch);
  }
  aclError execute() const { return aclmdlExecute(id, input.get(), output.get()); }
};

inline std::string temporary(const std::string& name, const std::string& text) {
  const auto path = std::filesystem::path(::testing::TempDir()) / name;
  std::ofstream(path, std::ios::binary) << text;
  return path.string();
}

/// Who opens it waits for who writes it.
inline std::string pipe_without_writer() {
  const auto path = std::filesystem::path(::testing::TempDir()) / "acl_pipe.json";
  mkfifo(path.c_str(), 0600);
  return path.string();
}

inline aclError load(const std::string& bytes) {
  std::uint32_t id = 0;
  return aclmdlLoadFromMem(bytes.data(), bytes.size(), &id);
}

inline aclError load_file(const char* path) {
  std::uint32_t id = 0;
  return aclmdlLoadFromFile(path, &id);
}

inline aclError set_dims(std::uint32_t id, const TestDataset& set,
                         const std::vector<std::int64_t>& sizes) {
  aclmdlIODims dims = {};
  dims.dimCount = sizes.size();
  for (std::size_t i = 0; i < sizes.size(); ++i) dims.dims[i] = sizes[i];
  return aclmdlSetInputDynamicDims(id, set.get(), 1, &dims);
}

inline aclError set_image_size(std::uint64_t height, std::uint64_t width) {
  const AclWorld world;
  const TestDataset input({32, 8});
  return aclmdlSetDynamicHWSize(AclWorld::load(image_model()), input.get(), 1, height, width);
}

/// A model whose only node fails on the values of this test: an index that its table does not have.
inline std::string failing_model() {
  return OnnxGraph()
      .input("x", DataType::int64, {2})
      .constant("table", {1.0F, 2.0F})
      .node("Gather", {"table", "x"}, {"y"})
      .output("y", DataType::float32, {2})
      .bytes();
}

/// Inputs whose dims are more than a structure has room for.
inline std::string wide_model() {
  OnnxGraph graph;
  CompiledModel compiled{.kind = GearKind::dims, .outputs = {{.name = "y"}}};
  for (int i = 0; i < 17; ++i) {
    const std::string name = "x" + std::to_string(i);
    graph.input(name, DataType::float32, {i == 0 ? Dim("n") : Dim(1), 1, 1, 1, 1, 1, 1, 1});
    compiled.inputs.push_back({.name = name, .shape = {i == 0 ? -1 : 1, 1, 1, 1, 1, 1, 1, 1}});
  }
  graph.node("Neg", {"x0"}, {"y"}).output("y", DataType::float32, {"n", 1, 1, 1, 1, 1, 1, 1});
  for (const std::int64_t n : {1, 2}) {
    compiled.gears.push_back({.sizes = {n}, .output_shapes = {{n, 1, 1, 1, 1, 1, 1, 1}}});
  }
  return graph.metadata(kCompiledModelKey, to_metadata(compiled)).bytes();
}

struct Case {
  const char* name;
  aclError expected;
  std::function<aclError()> call;  // on a thread of its own
  std::function<std::string()> words = aclGetRecentErrMsg;
};

inline void PrintTo(const Case& each, std::ostream* to) { *to << each.name; }

}  // namespace dynbatch::testing

#include <dynbatch/compile.hpp>

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <dynbatch/batcher.hpp>
#include <dynbatch/gear_model.hpp>

#include "cpp/executor/affine_model.hpp"
#include "cpp/executor/onnx_graph.hpp"
#include "cpp/executor/test_surroundings.hpp"
#include "cpp/runtime/compiling.hpp"
#include "executor/onnx_file.hpp"

namespace dynbatch {
namespace {

namespace fs = std::filesystem;
using dynbatch::testing::affine;
using dynbatch::testing::Compiling;
using dynbatch::testing::documented_example;
using dynbatch::testing::message_of;
using dynbatch::testing::OnnxGraph;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Dims = std::vector<std::int64_t>;

/// y = x + w, of 100 elements a row.
OnnxGraph with_weights(const char* location = "weights") {
  return OnnxGraph()
      .input("x", DataType::float32, {"n", 100})
      .external("w", 100, location)
      .node("Add", {"x", "w"}, {"y"})
      .output("y", DataType::float32, {"n", 100});
}

class Compile : public Compiling {};

TEST_F(Compile, GivesExactlyTheGearsOfTheDocumentedExample) {
  options_.input_shape = "data:-1,3,416,416;img_info:-1,4";
  options_.dynamic_batch_size = "1,2,4,8";
  const CompileResult result = compile_graph(documented_example());
  EXPECT_EQ(result.output, (folder_ / "model.om").string());
  ASSERT_EQ(result.model.gears.size(), 4u);
  for (std::size_t gear = 0; gear < 4; ++gear) {
    const std::int64_t rows = std::int64_t{1} << gear;
    EXPECT_THAT(result.model.input_shapes(gear),
                ElementsAre(Dims{rows, 3, 416, 416}, Dims{rows, 4}));
    EXPECT_THAT(result.model.gears[gear].output_shapes,
                ElementsAre(Dims{rows, 3, 416, 416}, Dims{rows, 4}));
    EXPECT_GT(result.model.gears[gear].seconds, 0.0);
    EXPECT_EQ(result.input_bytes[gear], static_cast<std::size_t>(rows) * (3 * 416 * 416 + 4) * 4);
  }
  EXPECT_EQ(result.model.rows_independent, true);
  EXPECT_TRUE(result.warnings.empty());
}

TEST_F(Compile, WritesWhatLoadingFinds) {
  options_.input_shape = "x:-1,2";
  options_.dynamic_batch_size = "4,1,8,2";
  const CompileResult result = compile_graph(affine({"n", 2}));
  const Batcher batcher(open(result.output));
  std::vector<std::size_t> sizes;
  for (const Gear& gear : batcher.gears().gears) sizes.push_back(gear.batch_size);
  EXPECT_THAT(sizes, ElementsAre(4, 1, 8, 2));
  const GearModel gears(result.output, options_.session);
  EXPECT_EQ(to_metadata(gears.compiled()), to_metadata([&] {
              CompiledModel compiled = result.model;
              compiled.rows_independent = gears.compiled().rows_independent;
              return compiled;
            }()));
}

TEST_F(Compile, LetsOptionsOverrideCompiledGears) {
  options_.input_shape = "x:-1,2";
  options_.dynamic_batch_size = "4,1";
  const std::string output = compile_graph(affine({"n", 2})).output;
  BatchingOptions batching;
  batching.gears = {3};
  EXPECT_EQ(Batcher(open(output), batching).gears().gears.front().batch_size, 3u);
  batching.gears.clear();
  batching.max_batch_size = 2;
  EXPECT_EQ(Batcher(open(output), batching).gears().gears.size(), 2u);
}

TEST_F(Compile, BindsDimensionsThatGearsLeaveAlone) {
  options_.input_shape = "x:-1,-1,3";
  options_.dimensions = {{"sequence", 10}};
  options_.dynamic_batch_size = "1,2";
  const CompileResult result = compile_graph(affine({"n", "sequence", 3}));
  EXPECT_EQ(result.model.inputs.front().shape, (Dims{-1, 10, 3}));
  const auto executor = open(result.output);
  EXPECT_FALSE(executor->spec().is_staged());
  EXPECT_EQ(executor->spec().inputs.front().row_shape, (Shape{10, 3}));
  OnnxRuntimeOptions other = options_.session;
  other.dimensions = {{"sequence", 7}};
  EXPECT_EQ(make_onnxruntime_executor(result.output, other)->spec().inputs.front().row_shape,
            (Shape{7, 3}));
}

TEST_F(Compile, GivesLoadedModelsImageSizes) {
  options_.input_shape = "x:2,1,-1,-1";
  options_.dynamic_image_size = "8,4;2,6";
  const Batcher batcher(open(compile_graph(affine({"n", 1, "h", "w"})).output));
  EXPECT_EQ(batcher.gears().kind, GearKind::image_size);
  std::vector<Dims> sizes;
  for (const Gear& gear : batcher.gears().gears) {
    EXPECT_EQ(gear.batch_size, 2u);
    sizes.push_back(gear.sizes);
  }
  EXPECT_THAT(sizes, ElementsAre(Dims{8, 4}, Dims{2, 6}));
}

TEST_F(Compile, GivesLoadedModelsDimsWithTheirBatch) {
  options_.input_shape = "x:-1,-1";
  options_.dynamic_dims = "1,16;4,8";
  options_.input_format = "ND";
  const Batcher batcher(open(compile_graph(affine({"n", "length"})).output));
  EXPECT_EQ(batcher.gears().kind, GearKind::dims);
  std::vector<Dims> gears;
  for (const Gear& gear : batcher.gears().gears)
    gears.push_back({static_cast<std::int64_t>(gear.batch_size), gear.sizes.at(0)});
  EXPECT_THAT(gears, ElementsAre(Dims{1, 16}, Dims{4, 8}));
}

TEST_F(Compile, BindsASingleGear) {
  options_.input_shape = "x:-1,2";
  options_.dynamic_batch_size = "4";
  options_.fixed = true;
  const CompileResult result = compile_graph(affine({"n", 2}));
  EXPECT_EQ(result.model.inputs.front().shape, (Dims{4, 2}));
  ASSERT_EQ(result.model.gears.size(), 1u);
  EXPECT_TRUE(result.model.gears.front().sizes.empty());
  const Batcher batcher(open(result.output));
  EXPECT_EQ(batcher.gears().gears.size(), 1u);
  EXPECT_EQ(batcher.gears().largest(), 4u);
}

TEST_F(Compile, CompilesWithoutOptionsWhatHasFixedShapes) {
  const CompileResult result = compile_graph(affine({3, 2}));
  EXPECT_EQ(result.model.inputs.front().shape, (Dims{3, 2}));
  EXPECT_EQ(result.model.gears.size(), 1u);
}

TEST_F(Compile, KeepsTheModelAndTakesSuffixesAsTheyAre) {
  options_.input_shape = "x:-1,2";
  options_.dynamic_batch_size = "1,2";
  options_.output = (folder_ / "other.onnx").string();
  const std::string path = write(affine({"n", 2}));
  EXPECT_EQ(compile(path, options_).output, *options_.output);
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(bytes, affine({"n", 2}).bytes());
}

TEST_F(Compile, TakesAnEmptyShapeForAScalar) {
  options_.input_shape = "x:-1,2;scale:";
  options_.dynamic_batch_size = "1,2";
  const CompileResult result = compile_graph(OnnxGraph()
                                                 .input("x", DataType::float32, {"n", 2})
                                                 .input("scale", DataType::float32, {})
                                                 .node("Mul", {"x", "scale"}, {"y"})
                                                 .output("y", DataType::float32, {"n", 2}));
  EXPECT_TRUE(result.model.inputs[1].shape.empty());
}

TEST_F(Compile, CompilesAgain) {
  options_.input_shape = "x:-1,2";
  options_.dynamic_batch_size = "1,2";
  const std::string first = compile_graph(affine({"n", 2})).output;
  options_.dynamic_batch_size = "3,5";
  options_.output = (folder_ / "again.om").string();
  compile(first, options_);
  const Batcher batcher(open(*options_.output));
  EXPECT_EQ(batcher.gears().largest(), 5u);
}

TEST_F(Compile, CompilesWhatHasADamagedBlock) {
  options_.input_shape = "x:-1,2";
  options_.dynamic_batch_size = "1,2";
  const std::string path = (folder_ / "damaged.onnx").string();
  std::ofstream(path, std::ios::binary)
      << with_metadata(affine({"n", 2}).bytes(), kCompiledModelKey, "damaged");
  const CompileResult result = compile(path, options_);
  EXPECT_TRUE(result.warnings.empty());
  EXPECT_EQ(Batcher(open(result.output)).gears().largest(), 2u);
}

TEST_F(Compile, ShowsProgressOverGears) {
  options_.input_shape = "x:-1,2";
  options_.dynamic_batch_size = "1,2";
  std::vector<std::string> seen;
  options_.progress = [&](const CompileProgress& next) {
    seen.push_back(std::to_string(next.gear) + "/" + std::to_string(next.gears) + " " + next.name);
  };
  compile_graph(affine({"n", 2}));
  EXPECT_THAT(seen, ElementsAre("0/2 2", "1/2 1", "2/2 "));
}

// Warnings.

TEST_F(Compile, WarnsOfLargeBatchesAndOfSwapping) {
  options_.input_shape = "x:-1,2";
  options_.dynamic_batch_size = "1,2049";
  options_.memory_bytes = 2049 * 2 * 4 + 100;
  EXPECT_THAT(compile_graph(affine({"n", 2})).warnings,
              ElementsAre(HasSubstr("2049 is above 2048"),
                          AllOf(HasSubstr("swap"), HasSubstr("fewer or smaller"))));
}

TEST_F(Compile, WarnsOfALargeBatchThatIsFixed) {
  options_.input_shape = "x:-1,2";
  options_.dynamic_batch_size = "4096";
  options_.fixed = true;
  EXPECT_THAT(compile_graph(affine({"n", 2})).warnings, Contains(HasSubstr("4096 is above 2048")));
}

TEST_F(Compile, CountsDataFilesInThePlan) {
  options_.input_shape = "x:-1,100";
  options_.dynamic_batch_size = "1,2";
  options_.memory_bytes = 2 * 2 * 100 * 4 + with_weights().bytes().size() + 400;
  std::ofstream(folder_ / "weights", std::ios::binary) << std::string(400, '\0');
  EXPECT_TRUE(compile_graph(with_weights()).warnings.empty());
  *options_.memory_bytes -= 1;
  EXPECT_THAT(compile_graph(with_weights()).warnings, ElementsAre(HasSubstr("swap")));
}

TEST_F(Compile, ReadsTheFileBeforeItTriesGears) {
  options_.input_shape = "x:-1,100";
  options_.dynamic_batch_size = "1,2";
  std::ofstream(folder_ / "weights.om", std::ios::binary) << std::string(400, '\0');
  options_.output = (folder_ / "weights.om").string();
  options_.progress = [](const CompileProgress&) { ADD_FAILURE() << "tried"; };
  EXPECT_THAT(message_of([&] { compile_graph(with_weights("weights.om")); }),
              HasSubstr("data file of the model"));
}

TEST_F(Compile, TakesCopiesOfDataBackWhereItFails) {
  options_.input_shape = "x:-1,100";
  options_.dynamic_batch_size = "1,2";
  fs::create_directory(folder_ / "data");
  fs::create_directory(folder_ / "other");
  std::ofstream(folder_ / "data" / "weights", std::ios::binary) << std::string(400, '\0');
  options_.output = (folder_ / "other" / "model").string();
  bool was_there = false;
  options_.progress = [&](const CompileProgress& progress) {
    if (progress.gear < progress.gears) return;
    was_there = fs::exists(folder_ / "other" / "data" / "weights");
    throw Error(ErrorCode::model, "enough");
  };
  EXPECT_EQ(message_of([&] { compile_graph(with_weights("data/weights")); }), "enough");
  EXPECT_TRUE(was_there);
  EXPECT_TRUE(fs::is_empty(folder_ / "other"));
}

TEST_F(Compile, WarnsOfRowsThatMix) {
  options_.dynamic_batch_size = "1,2";
  options_.input_shape = "x:-1,8";
  const CompileResult result = compile(dynbatch::testing::small_model("softmax_axis0"), options_);
  EXPECT_EQ(result.model.rows_independent, false);
  EXPECT_THAT(result.warnings, ElementsAre(HasSubstr("row")));
}

TEST_F(Compile, CallbackThatThrowsAtTheEndLeavesNothingBehind) {
  options_.input_shape = "x:-1,2";
  options_.dynamic_batch_size = "1,2";
  options_.progress = [](const CompileProgress& progress) {
    if (progress.gear == progress.gears) throw Error(ErrorCode::model, "enough");
  };
  EXPECT_EQ(message_of([&] { compile_graph(affine({"n", 2})); }), "enough");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);  // the model
}

TEST_F(Compile, ErrorOfTheCallbackIsItsOwn) {
  options_.input_shape = "x:-1,2";
  options_.dynamic_batch_size = "1,2";
  options_.progress = [](const CompileProgress&) { throw Error(ErrorCode::model, "enough"); };
  EXPECT_EQ(message_of([&] { compile_graph(affine({"n", 2})); }), "enough");
}

TEST_F(Compile, WhatIsUnfinishedTakesNobodysName) {
  options_.input_shape = "x:-1,2";
  options_.dynamic_batch_size = "1,2";
  const std::string bytes = affine({"n", 2}).bytes();
  for (int attempt = 0; attempt < 3; ++attempt) {
    const std::string name = "model.om." + std::to_string(attempt) + ".unfinished";
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }
  const fs::path taken = folder_ / "model.om.0.unfinished";
  EXPECT_TRUE(fs::exists(compile(taken.string(), options_).output));
  EXPECT_EQ(fs::file_size(taken), bytes.size());
}

TEST_F(Compile, LoadingShowsADamagedBlock) {
  options_.input_shape = "x:-1,2";
  options_.dynamic_batch_size = "1,2";
  const std::string output = compile_graph(affine({"n", 2})).output;
  std::ifstream file(output, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  bytes.replace(bytes.find("kind batch"), 10, "kind patch");
  EXPECT_THAT(
      message_of([&] { make_onnxruntime_executor(bytes.data(), bytes.size(), options_.session); }),
      AllOf(HasSubstr("dynbatch.gears"), HasSubstr("line 2"), HasSubstr("kind patch")));
  const std::size_t at = bytes.find("kind patch");
  bytes.replace(at, 10, "kind batch");
  bytes.replace(bytes.find("shape=[-1,2]"), 12, "shape=[-1,3]");
  EXPECT_THAT(
      message_of([&] { make_onnxruntime_executor(bytes.data(), bytes.size(), options_.session); }),
      HasSubstr("does not fit the model"));
}

}  // namespace
}  // namespace dynbatch

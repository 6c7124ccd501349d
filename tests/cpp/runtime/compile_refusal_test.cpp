// What compile() refuses once it knows the model.
#include <gmock/gmock.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include <dynbatch/compile.hpp>

#include "cpp/executor/affine_model.hpp"
#include "cpp/executor/onnx_graph.hpp"
#include "cpp/runtime/compiling.hpp"

namespace dynbatch {
namespace {

namespace fs = std::filesystem;
using dynbatch::testing::affine;
using dynbatch::testing::Compiling;
using dynbatch::testing::documented_example;
using dynbatch::testing::OnnxGraph;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class CompileRefusal : public Compiling {};

TEST_F(CompileRefusal, RefusesShapesThatDoNotFitTheModel) {
  options_.dynamic_batch_size = "1,2";
  const auto with = [&](const char* shape) {
    options_.input_shape = shape;
    return code_of(documented_example());
  };
  EXPECT_EQ(with("data:-1,3,8,8"), "E10001 input_shape");                 // count
  EXPECT_EQ(with("data:-1,3,8,8;info:-1,4"), "E10001 input_shape");       // name
  EXPECT_EQ(with("data:-1,3,8;img_info:-1,4"), "E10001 input_shape");     // rank
  EXPECT_EQ(with("data:-1,5,8,8;img_info:-1,4"), "E10001 input_shape");   // fixed dimension
  EXPECT_EQ(with("data:-1,-1,8,8;img_info:-1,4"), "E10001 input_shape");  // ... with -1
  EXPECT_EQ(with("data:-1,3,8,8;img_info:"), "E10012 input_shape");       // empty
  EXPECT_EQ(with("data:-1,3,-1,8;img_info:-1,4"), "E10018 input_shape");
  options_.dimensions = {{"depth", 4}};
  EXPECT_EQ(with("data:-1,3,8,8;img_info:-1,4"), "E10001 dimension");
  options_.dimensions = {{"height", 0}};
  EXPECT_EQ(with("data:-1,3,8,8;img_info:-1,4"), "E10001 dimension");
  options_.dimensions = {{"height", 9}};
  EXPECT_EQ(with("data:-1,3,8,8;img_info:-1,4"), "E10001 input_shape");
}

TEST_F(CompileRefusal, RefusesABatchAxisThatIsNotFirst) {
  options_.input_shape = "x:-1,5,2";
  options_.dynamic_batch_size = "1,2";
  const auto graph = affine({"sequence", "batch", 2});
  EXPECT_EQ(code_of(graph), "E10018 input_shape");  // by the name
  options_.input_shape = "x:5,-1,2";
  EXPECT_EQ(code_of(graph), "E10031 input_shape");
}

TEST_F(CompileRefusal, RefusesFreeShapesWithoutOptions) {
  EXPECT_EQ(code_of(affine({"n", 2})), "E10001 input_shape");
}

TEST_F(CompileRefusal, RefusesOutputs) {
  options_.input_shape = "x:-1,2";
  options_.dynamic_batch_size = "1,2";
  const auto with = [&](std::optional<std::string> output) {
    options_.output = std::move(output);
    return code_of(affine({"n", 2}));
  };
  EXPECT_EQ(with(std::nullopt), "E10058 output");
  EXPECT_EQ(with(""), "E10004 output");
  EXPECT_EQ(with((folder_ / "model.onnx").string()), "E10001 output");  // the model itself
  EXPECT_EQ(with((folder_ / "nowhere" / "model").string()), "E10001 output");
  fs::create_directory(folder_ / "folder.om");
  EXPECT_EQ(with((folder_ / "folder").string()), "E10001 output");
}

TEST_F(CompileRefusal, RefusesFoldersAsOutputs) {
  options_.input_shape = "x:-1,2";
  options_.dynamic_batch_size = "1,2";
  for (const std::string name : {"", ".", ".."}) {
    options_.output = (folder_ / "").string() + name;
    EXPECT_EQ(code_of(affine({"n", 2})), "E10001 output") << name;
  }
}

TEST_F(CompileRefusal, SaysFewerOrSmallerOfTooLargeGears) {
  options_.input_shape = "x:-1,2";
  options_.dynamic_batch_size = "1,2147483647";
  options_.memory_bytes = std::size_t{1} << 30;
  try {
    compile_graph(affine({"n", 2}));
    ADD_FAILURE();
  } catch (const CompileError& error) {
    EXPECT_EQ(error.atc_code(), "E19999");
    EXPECT_THAT(error.what(), HasSubstr("fewer or smaller gears"));
  }
}

/// Twice as many rows where the first value is positive: no node makes a shape of values, and yet it differs.
OnnxGraph doubled_by_value() {
  const OnnxGraph twice = OnnxGraph()
                              .node("Concat", {"x", "x"}, {"twice"}, {{"axis", 0}})
                              .output("twice", DataType::float32);
  const OnnxGraph once =
      OnnxGraph().node("Identity", {"x"}, {"once"}).output("once", DataType::float32);
  return OnnxGraph()
      .input("x", DataType::float32, {"n", 8})
      .constant("zero", {0.0F})
      .node("ReduceMax", {"x"}, {"most"}, {{"keepdims", 0}})
      .node("Greater", {"most", "zero"}, {"is_positive"})
      .node("If", {"is_positive"}, {"y"}, {{"then_branch", twice}, {"else_branch", once}})
      .output("y", DataType::float32);
}

TEST_F(CompileRefusal, RefusesOutputsWhoseShapesDependOnValues) {
  options_.input_shape = "x:-1,8";
  options_.dynamic_batch_size = "1,4";
  const std::string error = error_of(doubled_by_value());
  EXPECT_THAT(error, StartsWith("E19999: --dynamic_batch_size: "));
  EXPECT_THAT(error, HasSubstr("shapes of outputs that follow from the gear alone"));
}

/// The sum of the positive values, by way of a list of them: only a shape inside depends on values.
OnnxGraph sum_of_positive() {
  return OnnxGraph()
      .input("x", DataType::float32, {"n", 8})
      .node("Relu", {"x"}, {"positive"})
      .node("NonZero", {"positive"}, {"places"})
      .node("Cast", {"places"}, {"numbers"}, {{"to", 1}})
      .node("ReduceSum", {"numbers"}, {"y"}, {{"keepdims", 0}})
      .output("y", DataType::float32, {});
}

TEST_F(CompileRefusal, RefusesInnerShapesThatDependOnValues) {
  options_.input_shape = "x:-1,8";
  options_.dynamic_batch_size = "1,4";
  const std::string error = error_of(sum_of_positive());
  EXPECT_THAT(error, StartsWith("E19999: --dynamic_batch_size: "));
  EXPECT_THAT(error, HasSubstr("the node NonZero of 'places' makes a shape of the "
                               "values of 'positive'"));
}

TEST_F(CompileRefusal, ASingleGearMayHaveInnerShapesOfValues) {
  options_.input_shape = "x:4,8";
  EXPECT_EQ(code_of(sum_of_positive()), "none");
  options_.input_shape = "x:-1,8";
  options_.dynamic_batch_size = "4";
  options_.fixed = true;
  EXPECT_EQ(code_of(sum_of_positive()), "none");
}

}  // namespace
}  // namespace dynbatch

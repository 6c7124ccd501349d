// The rules as a whole: what declared inputs and outputs become.
#include "executor/onnx_batching.hpp"

#include <gmock/gmock.h>

#include <vector>

#include "cpp/executor/declared_tensors.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::declare;
using dynbatch::testing::Dim;
using dynbatch::testing::message_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(OnnxBatching, ModelWithRowsInPlaceIsNotStaged) {
  const OnnxBatching batching = onnx_batching({declare("x", {"batch", 3}), declare("scale", {})},
                                              {declare("y", {"batch", "k"})}, {});
  EXPECT_FALSE(batching.spec.is_staged());
}

TEST(OnnxBatching, ModelsWhoseRowsDifferAreStaged) {
  const std::vector<OnnxTensorDeclaration> x = {declare("x", {"batch", 3})};
  const std::vector<OnnxTensorDeclaration> y = {declare("y", {"batch", 3})};
  EXPECT_TRUE(onnx_batching({declare("x", {"batch", "length"})}, y, {}).spec.is_staged());
  EXPECT_TRUE(onnx_batching({declare("x", {3, "batch"})}, y, {}).spec.is_staged());
  EXPECT_TRUE(onnx_batching(x, {declare("y", {3, "batch"})}, {}).spec.is_staged());
  OnnxRuntimeOptions options;
  options.output_declarations["y"].rows_per_row = 2;
  EXPECT_TRUE(onnx_batching(x, y, options).spec.is_staged());
}

TEST(OnnxBatching, DocumentedRaggedPair) {
  OnnxRuntimeOptions options;
  options.inputs["INPUT"].ragged = true;
  options.batch_inputs = {{Made::accumulated_element_count, {"INDEX"}, DataType::float32, "INPUT"}};
  options.batch_outputs = {{{"OUTPUT"}, "INPUT"}};
  const OnnxBatching batching =
      onnx_batching({declare("INPUT", {Dim()}), declare("INDEX", {Dim()})},
                    {declare("OUTPUT", {Dim()})}, options);
  EXPECT_TRUE(batching.spec.is_staged());
  EXPECT_TRUE(batching.spec.inputs[0].ragged);
  EXPECT_EQ(batching.spec.inputs[1].made, Made::accumulated_element_count);
  EXPECT_EQ(batching.spec.outputs[0].scattered_as, 0U);
}

TEST(OnnxBatching, DimensionsOfTheSpecAreThoseOfItsTensors) {
  const OnnxBatching batching = onnx_batching({declare("x", {"batch", "length"})},
                                              {declare("y", {"batch", "length", 4})}, {});
  ASSERT_EQ(batching.spec.dimensions.size(), 1U);
  EXPECT_EQ(batching.spec.dimensions[0].name, "length");
  EXPECT_THAT(batching.spec.outputs[0].dimensions, ElementsAre(0, TensorSpec::kStatic));
}

TEST(OnnxBatching, RefusesDeclarationsWithoutANameForEachDimension) {
  OnnxTensorDeclaration nameless = declare("y", {"batch", 3});
  nameless.dimension_names.clear();
  const auto message = [](const auto& inputs, const auto& outputs) {
    return message_of([&] { onnx_batching(inputs, outputs, {}); }, ErrorCode::invalid_argument);
  };
  const std::vector<OnnxTensorDeclaration> named = {declare("x", {"batch"})};
  const std::vector<OnnxTensorDeclaration> unnamed = {nameless};
  EXPECT_THAT(message(unnamed, named), HasSubstr("input 'y' is declared with 2 dimensions and 0"));
  EXPECT_THAT(message(named, unnamed), HasSubstr("output 'y' is declared with 2 dimensions and 0"));
}

}  // namespace
}  // namespace dynbatch

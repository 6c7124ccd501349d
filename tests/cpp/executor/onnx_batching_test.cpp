#include "executor/onnx_batching.hpp"

#include <gmock/gmock.h>

#include "cpp/executor/onnx_graph.hpp"
#include "cpp/executor/test_surroundings.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::Dim;
using dynbatch::testing::message_of;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

OnnxTensorDeclaration declare(const std::string& name, const std::vector<Dim>& dims) {
  OnnxTensorDeclaration declaration;
  declaration.name = name;
  for (const Dim& dim : dims) {
    declaration.shape.push_back(dim.value);
    declaration.dimension_names.push_back(dim.name);
  }
  return declaration;
}

std::string refusal(const std::vector<OnnxTensorDeclaration>& inputs,
                    const OnnxRuntimeOptions& options = {}, ErrorCode code = ErrorCode::model) {
  return message_of([&] { bind_inputs(inputs, options); }, code);
}

TEST(OnnxBatching, DynamicLeadingDimensionIsTheBatch) {
  const BoundInputs bound = bind_inputs({declare("x", {"batch", 3, 4})}, {});
  EXPECT_FALSE(bound.specs[0].shared);
  EXPECT_EQ(bound.specs[0].row_shape, (Shape{3, 4}));
  EXPECT_EQ(bound.fixed_batch, 0U);
  EXPECT_THAT(bound.overrides, IsEmpty());
}

TEST(OnnxBatching, UnnamedLeadingDimensionIsTheBatchToo) {
  EXPECT_EQ(bind_inputs({declare("x", {Dim(), 3})}, {}).specs[0].row_shape, Shape{3});
}

TEST(OnnxBatching, ScalarsAndStaticLeadingDimensionsAreShared) {
  const BoundInputs bound =
      bind_inputs({declare("x", {"batch"}), declare("scale", {}), declare("matrix", {16, 4})}, {});
  EXPECT_FALSE(bound.specs[0].shared);
  EXPECT_EQ(bound.specs[0].row_shape, Shape());
  EXPECT_TRUE(bound.specs[1].shared);
  EXPECT_EQ(bound.specs[1].row_shape, Shape());
  EXPECT_TRUE(bound.specs[2].shared);
  EXPECT_EQ(bound.specs[2].row_shape, (Shape{16, 4}));
}

TEST(OnnxBatching, NamedDimensionsAreBoundEverywhereAndToldByName) {
  OnnxRuntimeOptions options;
  options.dimensions = {{"length", 5}};
  const BoundInputs bound = bind_inputs(
      {declare("ids", {"batch", "length"}), declare("mask", {"batch", "length", 2})}, options);
  EXPECT_EQ(bound.specs[0].row_shape, Shape{5});
  EXPECT_EQ(bound.specs[1].row_shape, (Shape{5, 2}));
  EXPECT_THAT(bound.overrides, ElementsAre(Pair("length", 5)));
}

TEST(OnnxBatching, AxesAreBoundWhereNamesDoNotTellThem) {
  OnnxRuntimeOptions options;
  options.input_dimensions = {{{"x", 2}, 48}, {{"x", 3}, 192}};
  const BoundInputs bound = bind_inputs({declare("x", {Dim(), 3, "?", "?"})}, options);
  EXPECT_EQ(bound.specs[0].row_shape, (Shape{3, 48, 192}));
  EXPECT_THAT(bound.overrides, IsEmpty());  // "?" would have to be 48 and 192
}

TEST(OnnxBatching, BoundAxesAreToldByNameWhereTheNameIsUnambiguous) {
  OnnxRuntimeOptions options;
  options.input_dimensions = {{{"x", 2}, 48}, {{"x", 3}, 320}};
  const BoundInputs bound = bind_inputs({declare("x", {"n", 3, "?", "width"})}, options);
  EXPECT_THAT(bound.overrides, ElementsAre(Pair("?", 48), Pair("width", 320)));
}

TEST(OnnxBatching, NameOfTheBatchAxisIsNeverOverridden) {
  OnnxRuntimeOptions options;
  options.input_dimensions = {{{"x", 1}, 7}};
  const BoundInputs bound = bind_inputs({declare("x", {"?", "?"})}, options);
  EXPECT_EQ(bound.specs[0].row_shape, Shape{7});
  EXPECT_THAT(bound.overrides, IsEmpty());
}

TEST(OnnxBatching, BoundLeadingDimensionMakesAnInputShared) {
  OnnxRuntimeOptions options;
  options.dimensions = {{"keys", 6}};
  const BoundInputs bound =
      bind_inputs({declare("x", {"batch", 4}), declare("memory", {"keys", 4})}, options);
  EXPECT_TRUE(bound.specs[1].shared);
  EXPECT_EQ(bound.specs[1].row_shape, (Shape{6, 4}));
}

TEST(OnnxBatching, DeclarationsDecideWhatIsShared) {
  OnnxRuntimeOptions options;
  options.inputs["memory"].shared = true;
  options.dimensions = {{"keys", 6}};
  const BoundInputs bound =
      bind_inputs({declare("x", {"batch", 4}), declare("memory", {"keys", 4})}, options);
  EXPECT_TRUE(bound.specs[1].shared);
}

TEST(OnnxBatching, EqualStaticLeadingDimensionsAreAFixedBatch) {
  const BoundInputs bound =
      bind_inputs({declare("x", {4, 16}), declare("y", {4}), declare("scale", {})}, {});
  EXPECT_EQ(bound.fixed_batch, 4U);
  EXPECT_EQ(bound.specs[0].row_shape, Shape{16});
  EXPECT_FALSE(bound.specs[1].shared);
  EXPECT_TRUE(bound.specs[2].shared);
}

TEST(OnnxBatching, SharedInputsDeclaredBesideAFixedBatch) {
  OnnxRuntimeOptions options;
  options.inputs["matrix"].shared = true;
  const BoundInputs bound =
      bind_inputs({declare("x", {4, 16}), declare("matrix", {16, 8})}, options);
  EXPECT_EQ(bound.fixed_batch, 4U);
  EXPECT_TRUE(bound.specs[1].shared);
}

TEST(OnnxBatching, StaticInputDeclaredBatchedFixesTheBatch) {
  OnnxRuntimeOptions options;
  options.inputs["state"].shared = false;
  const BoundInputs bound =
      bind_inputs({declare("x", {"batch", 16}), declare("state", {4, 8})}, options);
  EXPECT_EQ(bound.fixed_batch, 4U);
  EXPECT_EQ(bound.specs[1].row_shape, Shape{8});
}

TEST(OnnxBatching, BatchAxisThatIsBoundIsAFixedBatch) {
  OnnxRuntimeOptions options;
  options.dimensions = {{"batch", 8}};
  const BoundInputs bound = bind_inputs({declare("x", {"batch", 16})}, options);
  EXPECT_EQ(bound.fixed_batch, 8U);
  EXPECT_THAT(bound.overrides, ElementsAre(Pair("batch", 8)));
}

TEST(OnnxBatching, EmptyRowsAreRows) {
  OnnxRuntimeOptions options;
  options.dimensions = {{"points", 0}};
  const BoundInputs bound = bind_inputs({declare("x", {"batch", "points", 3})}, options);
  EXPECT_EQ(bound.specs[0].row_shape, (Shape{0, 3}));
  EXPECT_EQ(bound.specs[0].row_bytes(), 0U);
}

TEST(OnnxBatching, RefusesAStaticLeadingOneAndSaysHowToExport) {
  EXPECT_THAT(refusal({declare("x", {1, 16})}),
              AllOf(HasSubstr("'x' [1, 16]"), HasSubstr("dynamic batch axis")));
}

TEST(OnnxBatching, RefusesABatchAxisBoundToOne) {
  OnnxRuntimeOptions options;
  options.dimensions = {{"batch", 1}};
  EXPECT_THAT(refusal({declare("x", {"batch", 16})}, options),
              AllOf(HasSubstr("'x' [batch, 16]"), HasSubstr("leave the batch axis free")));
}

TEST(OnnxBatching, RefusesAModelWithoutBatchedInput) {
  EXPECT_THAT(refusal({declare("x", {})}), HasSubstr("no input has a batch axis: 'x' []"));
  EXPECT_THAT(refusal({declare("x", {4, 16}), declare("w", {16, 8})}),
              HasSubstr("no input has a batch axis: 'x' [4, 16], 'w' [16, 8]"));
  EXPECT_THAT(refusal({}), HasSubstr("no input has a batch axis"));
}

TEST(OnnxBatching, RefusesABatchOnAnotherAxis) {
  OnnxRuntimeOptions options;
  options.dimensions = {{"sequence", 576}};
  EXPECT_THAT(
      refusal({declare("input", {"batch", "sequence"}), declare("state", {2, "batch", 128})},
              options),
      AllOf(HasSubstr("'state' [2, batch, 128]"), HasSubstr("on axis 1"),
            HasSubstr("until shapes are supported")));
}

TEST(OnnxBatching, NamesEveryFreeDimensionAndHowToBindIt) {
  EXPECT_THAT(refusal({declare("x", {"batch", "height", "?", Dim()}),
                       declare("mask", {"batch", "height"})}),
              AllOf(HasSubstr("'x' [batch, height, ?, ?], 'mask' [batch, height]"),
                    HasSubstr("dimensions={\"height\": value, (\"x\", 2): value, "
                              "(\"x\", 3): value}")));
}

TEST(OnnxBatching, NamesTheFreeDimensionsOfADeclaredSharedInput) {
  OnnxRuntimeOptions options;
  options.inputs["memory"].shared = true;
  EXPECT_THAT(refusal({declare("x", {"batch"}), declare("memory", {"keys"})}, options),
              HasSubstr("dimensions={\"keys\": value}"));
}

TEST(OnnxBatching, RefusesUnknownNamesAndListsTheKnown) {
  const std::vector<OnnxTensorDeclaration> inputs = {declare("x", {"batch", "height"}),
                                                     declare("mask", {"batch", 2})};
  OnnxRuntimeOptions options;
  options.dimensions = {{"widht", 3}};
  EXPECT_THAT(refusal(inputs, options, ErrorCode::invalid_argument),
              AllOf(HasSubstr("'widht'"), HasSubstr("'batch', 'height'")));
  options = {};
  options.input_dimensions = {{{"z", 1}, 3}};
  EXPECT_THAT(refusal(inputs, options, ErrorCode::invalid_argument),
              AllOf(HasSubstr("'z'"), HasSubstr("'x', 'mask'")));
  options = {};
  options.inputs["z"].shared = true;
  EXPECT_THAT(refusal(inputs, options, ErrorCode::invalid_argument),
              AllOf(HasSubstr("'z'"), HasSubstr("'x', 'mask'")));
}

TEST(OnnxBatching, RefusesBindingsThatDoNotFit) {
  const std::vector<OnnxTensorDeclaration> inputs = {declare("x", {"batch", 3, "width"})};
  const auto bound_to = [&](std::size_t axis, std::int64_t value) {
    OnnxRuntimeOptions options;
    options.input_dimensions = {{{"x", axis}, value}};
    return refusal(inputs, options, ErrorCode::invalid_argument);
  };
  EXPECT_THAT(bound_to(3, 5), HasSubstr("no such axis"));
  EXPECT_THAT(bound_to(1, 5), HasSubstr("it is not free"));
  EXPECT_THAT(bound_to(2, -5), HasSubstr("the value -5"));
  OnnxRuntimeOptions options;
  options.dimensions = {{"width", -1}};
  EXPECT_THAT(refusal(inputs, options, ErrorCode::invalid_argument), HasSubstr("the value -1"));
  options.dimensions = {{"width", 5}};
  options.input_dimensions = {{{"x", 2}, 6}};
  EXPECT_THAT(refusal(inputs, options, ErrorCode::invalid_argument),
              AllOf(HasSubstr("the value 6"), HasSubstr("'width' the value 5")));
}

TEST(OnnxBatching, RefusesAScalarDeclaredBatched) {
  OnnxRuntimeOptions options;
  options.inputs["scale"].shared = false;
  EXPECT_THAT(refusal({declare("x", {"batch"}), declare("scale", {})}, options,
                      ErrorCode::invalid_argument),
              HasSubstr("'scale' []"));
}

TEST(OnnxBatching, RefusesDifferentFixedBatches) {
  OnnxRuntimeOptions options;
  options.inputs["a"].shared = false;
  options.inputs["b"].shared = false;
  EXPECT_THAT(refusal({declare("x", {"batch"}), declare("a", {4}), declare("b", {8})}, options),
              HasSubstr("fixed batches 4 and 8"));
}

TEST(OnnxBatching, RefusesTooManyDimensions) {
  EXPECT_THAT(refusal({declare("x", {"batch", 1, 1, 1, 1, 1, 1, 1, 1})}),
              HasSubstr("9 dimensions"));
}

TEST(OnnxBatching, RefusesRowsLargerThanMemory) {
  OnnxRuntimeOptions options;
  options.dimensions = {{"a", INT64_MAX}, {"b", INT64_MAX}};
  EXPECT_THAT(refusal({declare("x", {"batch", "a", "b"})}, options),
              HasSubstr("larger than memory"));
}

TEST(OnnxBatching, OutputsLoseTheirLeadingDimensionWhateverItSays) {
  const std::vector<TensorSpec> specs =
      output_specs({declare("y", {"batch", 3}), declare("z", {1, "k"}), declare("s", {2})}, {});
  EXPECT_EQ(specs[0].row_shape, Shape{3});
  EXPECT_TRUE(specs[0].has_known_shape());
  EXPECT_EQ(specs[1].row_shape, Shape{-1});
  EXPECT_FALSE(specs[1].has_known_shape());
  EXPECT_EQ(specs[2].row_shape, Shape());
}

TEST(OnnxBatching, WantedOutputsAreThoseNamedInTheirOrder) {
  const std::vector<OnnxTensorDeclaration> outputs = {declare("y", {"batch"}),
                                                      declare("z", {"batch"})};
  OnnxRuntimeOptions options;
  EXPECT_EQ(wanted_outputs(outputs, options).size(), 2U);
  options.outputs = {"z", "y"};
  EXPECT_EQ(wanted_outputs(outputs, options)[0].name, "z");
  options.outputs = {"z", "z"};
  EXPECT_THAT(message_of([&] { wanted_outputs(outputs, options); }, ErrorCode::invalid_argument),
              HasSubstr("'z' twice"));
  options.outputs = {"w"};
  EXPECT_THAT(message_of([&] { wanted_outputs(outputs, options); }, ErrorCode::invalid_argument),
              HasSubstr("'w', and the model has 'y', 'z'"));
}

TEST(OnnxBatching, OutputOfUndeclaredShapeIsUnknown) {
  EXPECT_FALSE(output_specs({declare("y", {})}, {})[0].has_known_shape());
}

TEST(OnnxBatching, OutputThatIsAnInputHasItsRows) {
  TensorSpec input;
  input.name = "x";
  input.row_shape = Shape{5};
  EXPECT_EQ(output_specs({declare("x", {"batch", "length"})}, {input})[0].row_shape, Shape{5});
  input.shared = true;
  EXPECT_THAT(message_of([&] { output_specs({declare("x", {5})}, {input}); }),
              HasSubstr("'x' is a shared input"));
}

TEST(OnnxBatching, OutputThatIsAnInputOfASmallerTypeFitsMemory) {
  TensorSpec input;
  input.name = "x";
  input.dtype = DataType::uint8;
  input.row_shape = Shape{std::int64_t{1} << 62};
  EXPECT_THAT(message_of([&] { output_specs({declare("x", {"batch", "length"})}, {input}); }),
              HasSubstr("larger than memory"));
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

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "cpp/executor/declared_tensors.hpp"
#include "executor/onnx_batching.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::declare;
using dynbatch::testing::Dim;
using dynbatch::testing::misfit;
using dynbatch::testing::refusal;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

std::vector<std::string> names_of(const BoundInputs& bound) {
  std::vector<std::string> names;
  for (const FreeDimension& dimension : bound.dimensions) names.push_back(dimension.name);
  return names;
}

TEST(OnnxDimensions, NamedDimensionsAreBoundEverywhereAndToldByName) {
  OnnxRuntimeOptions options;
  options.dimensions = {{"length", 5}};
  const BoundInputs bound = bind_inputs(
      {declare("ids", {"batch", "length"}), declare("mask", {"batch", "length", 2})}, options);
  EXPECT_EQ(bound.specs[0].row_shape, Shape{5});
  EXPECT_EQ(bound.specs[1].row_shape, (Shape{5, 2}));
  EXPECT_THAT(bound.overrides, ElementsAre(Pair("length", 5)));
}

TEST(OnnxDimensions, AxesAreBoundWhereNamesDoNotTellThem) {
  OnnxRuntimeOptions options;
  options.input_dimensions = {{{"x", 2}, 48}, {{"x", 3}, 192}};
  const BoundInputs bound = bind_inputs({declare("x", {Dim(), 3, "?", "?"})}, options);
  EXPECT_EQ(bound.specs[0].row_shape, (Shape{3, 48, 192}));
  EXPECT_THAT(bound.overrides, IsEmpty());  // "?" would have to be 48 and 192
}

TEST(OnnxDimensions, BoundAxesAreToldByNameWhereTheNameIsUnambiguous) {
  OnnxRuntimeOptions options;
  options.input_dimensions = {{{"x", 2}, 48}, {{"x", 3}, 320}};
  const BoundInputs bound = bind_inputs({declare("x", {"n", 3, "?", "width"})}, options);
  EXPECT_THAT(bound.overrides, ElementsAre(Pair("?", 48), Pair("width", 320)));
}

TEST(OnnxDimensions, NameOfTheBatchAxisIsNeverOverridden) {
  OnnxRuntimeOptions options;
  options.input_dimensions = {{{"x", 1}, 7}};
  const BoundInputs bound = bind_inputs({declare("x", {"?", "?"})}, options);
  EXPECT_EQ(bound.specs[0].row_shape, Shape{7});
  EXPECT_THAT(bound.overrides, IsEmpty());
}

TEST(OnnxDimensions, EmptyRowsAreRows) {
  OnnxRuntimeOptions options;
  options.dimensions = {{"points", 0}};
  const BoundInputs bound = bind_inputs({declare("x", {"batch", "points", 3})}, options);
  EXPECT_EQ(bound.specs[0].row_shape, (Shape{0, 3}));
  EXPECT_EQ(bound.specs[0].row_bytes(), 0U);
}

TEST(OnnxDimensions, RefusesUnknownNamesAndListsTheKnown) {
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

TEST(OnnxDimensions, RefusesBindingsThatDoNotFit) {
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

TEST(OnnxDimensions, RefusesRowsLargerThanMemory) {
  OnnxRuntimeOptions options;
  options.dimensions = {{"a", INT64_MAX}, {"b", INT64_MAX}};
  EXPECT_THAT(refusal({declare("x", {"batch", "a", "b"})}, options),
              HasSubstr("larger than memory"));
}

TEST(OnnxDimensions, RefusesTooManyDimensions) {
  EXPECT_THAT(refusal({declare("x", {"batch", 1, 1, 1, 1, 1, 1, 1, 1})}),
              HasSubstr("9 dimensions"));
}

TEST(OnnxDimensions, NamesTheFreeDimensionsOfADeclaredSharedInput) {
  OnnxRuntimeOptions options;
  options.inputs["memory"].shared = true;
  EXPECT_THAT(refusal({declare("x", {"batch"}), declare("memory", {"keys"})}, options),
              HasSubstr("dimensions={\"keys\": value}"));
}

TEST(OnnxDimensions, EachNameThatIsNotBoundIsOneFreeDimension) {
  const BoundInputs bound =
      bind_inputs({declare("ids", {"batch", "sequence"}), declare("mask", {"batch", "sequence"}),
                   declare("image", {"batch", 3, "height", "width"})},
                  {});
  EXPECT_THAT(names_of(bound), ElementsAre("sequence", "height", "width"));
  EXPECT_EQ(bound.specs[0].row_shape, Shape{-1});
  EXPECT_THAT(bound.specs[0].dimensions, ElementsAre(0));
  EXPECT_THAT(bound.specs[1].dimensions, ElementsAre(0));
  EXPECT_EQ(bound.specs[2].row_shape, (Shape{3, -1, -1}));
  EXPECT_THAT(bound.specs[2].dimensions, ElementsAre(TensorSpec::kStatic, 1, 2));
  EXPECT_THAT(bound.overrides, IsEmpty());
}

TEST(OnnxDimensions, AxesWithoutNamesAreDimensionsOfTheirOwn) {
  const BoundInputs bound =
      bind_inputs({declare("x", {"batch", "?", Dim()}), declare("y", {"batch", "?"})}, {});
  EXPECT_THAT(names_of(bound), ElementsAre("x[1]", "x[2]", "y[1]"));
  EXPECT_THAT(bound.specs[0].dimensions, ElementsAre(0, 1));
  EXPECT_THAT(bound.specs[1].dimensions, ElementsAre(2));
}

TEST(OnnxDimensions, AxisIsCountedWithTheBatchAxis) {
  const BoundInputs bound =
      bind_inputs({declare("x", {"batch", 3}), declare("state", {Dim(), "batch", Dim()})}, {});
  EXPECT_THAT(names_of(bound), ElementsAre("state[0]", "state[2]"));
  EXPECT_THAT(bound.specs[1].dimensions, ElementsAre(0, 1));
}

TEST(OnnxDimensions, BoundOnesAreStatic) {
  OnnxRuntimeOptions options;
  options.dimensions = {{"height", 48}};
  const BoundInputs bound = bind_inputs({declare("x", {"batch", "height", "width"})}, options);
  EXPECT_EQ(bound.specs[0].row_shape, (Shape{48, -1}));
  EXPECT_THAT(bound.specs[0].dimensions, ElementsAre(TensorSpec::kStatic, 0));
  EXPECT_THAT(names_of(bound), ElementsAre("width"));
}

TEST(OnnxDimensions, ModelWithoutFreeOnesHasNone) {
  const BoundInputs bound = bind_inputs({declare("x", {"batch", 3})}, {});
  EXPECT_THAT(bound.dimensions, IsEmpty());
  EXPECT_THAT(bound.specs[0].dimensions, IsEmpty());
}

TEST(OnnxDimensions, FixedBatchMayHaveFreeOnes) {
  const BoundInputs bound = bind_inputs({declare("x", {4, Dim()})}, {});
  EXPECT_EQ(bound.fixed_batch, 4U);
  EXPECT_THAT(names_of(bound), ElementsAre("x[1]"));
}

TEST(OnnxDimensions, AsManyAsThereIsRoomForAreTaken) {
  std::vector<OnnxTensorDeclaration> inputs = {declare("x", {"batch", "a", "b", "c", "d"}),
                                               declare("y", {"batch", "e", "f", "g", "h"})};
  EXPECT_EQ(bind_inputs(inputs, {}).dimensions.size(), ModelSpec::kMaxDimensions);
  inputs.push_back(declare("z", {"batch", "i"}));
  EXPECT_THAT(refusal(inputs), AllOf(HasSubstr("9 free dimensions"), HasSubstr("at most 8"),
                                     HasSubstr("'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'")));
}

TEST(OnnxDimensions, PadIsAValueOfTheInputsType) {
  const auto of = [](DataType type, double pad) {
    OnnxRuntimeOptions options;
    options.inputs["x"].pad = pad;
    return misfit({declare("x", {"batch", "length"}, type)}, options);
  };
  EXPECT_EQ(of(DataType::int64, -1.0), "");
  EXPECT_EQ(of(DataType::uint8, 255.0), "");
  EXPECT_EQ(of(DataType::float32, -0.5), "");
  EXPECT_EQ(of(DataType::boolean, 1.0), "");
  EXPECT_THAT(of(DataType::int64, 0.5), AllOf(HasSubstr("pad of input 'x'"), HasSubstr("int64")));
  EXPECT_THAT(of(DataType::uint8, 256.0), HasSubstr("uint8"));
  EXPECT_THAT(of(DataType::uint64, -1.0), HasSubstr("uint64"));
  EXPECT_THAT(of(DataType::int64, 0x1p63), HasSubstr("int64"));
  EXPECT_THAT(of(DataType::boolean, 2.0), HasSubstr("bool"));
}

TEST(OnnxDimensions, PadModeReachesTheSpec) {
  OnnxRuntimeOptions options;
  options.inputs["x"].pad_mode = PadMode::first;
  options.inputs["x"].pad = 7.0;
  const BoundInputs bound = bind_inputs({declare("x", {"batch", "length"})}, options);
  EXPECT_EQ(bound.specs[0].pad_mode, PadMode::first);
  EXPECT_EQ(bound.specs[0].pad, 7.0);
}

}  // namespace
}  // namespace dynbatch

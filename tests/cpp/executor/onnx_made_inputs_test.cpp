// Ragged inputs, and inputs that the runtime makes: masks, lengths, batch inputs.
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
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Inputs = std::vector<OnnxTensorDeclaration>;

/// INPUT is ragged, and INDEX is made of it.
OnnxRuntimeOptions indexed(Made kind, DataType type = DataType::int32) {
  OnnxRuntimeOptions options;
  options.inputs["INPUT"].ragged = true;
  options.batch_inputs = {{kind, {"INDEX"}, type, "INPUT"}};
  return options;
}

Inputs ragged_inputs(const std::vector<Dim>& index, DataType type = DataType::int32) {
  return {declare("INPUT", {Dim()}), declare("INDEX", index, type)};
}

OnnxRuntimeOptions masked(const std::string& mask) {
  OnnxRuntimeOptions options;
  options.inputs["x"].mask = mask;
  return options;
}

OnnxRuntimeOptions measured(const std::string& length) {
  OnnxRuntimeOptions options;
  options.inputs["x"].length = length;
  return options;
}

TEST(OnnxRagged, FlatInputIsRagged) {
  OnnxRuntimeOptions options;
  options.inputs["INPUT"].ragged = true;
  const BoundInputs bound =
      bind_inputs({declare("INPUT", {"elements"}), declare("scale", {})}, options);
  EXPECT_TRUE(bound.specs[0].ragged);
  EXPECT_FALSE(bound.specs[0].shared);
  EXPECT_EQ(bound.specs[0].row_shape, Shape{-1});
  EXPECT_THAT(bound.specs[0].dimensions, IsEmpty());
  EXPECT_TRUE(bound.specs[1].shared);
  EXPECT_THAT(bound.dimensions, IsEmpty());
  EXPECT_EQ(bound.fixed_batch, 0U);
  EXPECT_THAT(bound.batch_names, IsEmpty());
}

TEST(OnnxRagged, StandsBesideBatchedInputs) {
  OnnxRuntimeOptions options;
  options.inputs["INPUT"].ragged = true;
  const BoundInputs bound =
      bind_inputs({declare("INPUT", {Dim()}), declare("x", {"batch", 3})}, options);
  EXPECT_TRUE(bound.specs[0].ragged);
  EXPECT_EQ(bound.specs[1].row_shape, Shape{3});
}

TEST(OnnxRagged, OtherShapesAreRefused) {
  OnnxRuntimeOptions options;
  options.inputs["INPUT"].ragged = true;
  for (const std::vector<Dim>& dims : {std::vector<Dim>{}, {4}, {Dim(), Dim()}, {"batch", 3}}) {
    EXPECT_THAT(misfit({declare("INPUT", dims)}, options),
                AllOf(HasSubstr("declared as ragged"), HasSubstr("[-1]")));
  }
}

TEST(OnnxRagged, OtherDeclarationsBesideItAreRefused) {
  const auto with = [](auto change) {
    OnnxRuntimeOptions options;
    options.inputs["x"].ragged = true;
    change(options.inputs["x"]);
    return misfit({declare("x", {Dim()}), declare("m", {"batch", "length"})}, options);
  };
  EXPECT_THAT(with([](InputDeclaration& x) { x.shared = true; }),
              HasSubstr("ragged, and with shared"));
  EXPECT_THAT(with([](InputDeclaration& x) { x.batch_axis = 0; }),
              HasSubstr("ragged, and with batch_axis"));
  EXPECT_THAT(with([](InputDeclaration& x) { x.mask = "m"; }), HasSubstr("ragged, and with mask"));
  EXPECT_THAT(with([](InputDeclaration& x) { x.length = "m"; }),
              HasSubstr("ragged, and with length"));
}

TEST(OnnxBatchInputs, AreMadeWholeOfTheirSource) {
  const BoundInputs bound =
      bind_inputs(ragged_inputs({Dim()}), indexed(Made::accumulated_element_count));
  EXPECT_EQ(bound.specs[1].made, Made::accumulated_element_count);
  EXPECT_EQ(bound.specs[1].source, 0U);
  EXPECT_EQ(bound.specs[1].row_shape, Shape{-1});
  EXPECT_FALSE(bound.specs[1].shared);
  EXPECT_THAT(bound.specs[1].dimensions, IsEmpty());
  EXPECT_THAT(bound.dimensions, IsEmpty());
}

TEST(OnnxBatchInputs, ItemShapesHaveTwoDimensions) {
  EXPECT_EQ(bind_inputs(ragged_inputs({Dim(), 2}), indexed(Made::item_shape)).specs[1].row_shape,
            (Shape{-1, 2}));
  EXPECT_EQ(
      bind_inputs(ragged_inputs({Dim(), Dim()}), indexed(Made::item_shape)).specs[1].row_shape,
      (Shape{-1, -1}));
}

TEST(OnnxBatchInputs, MayBeMadeOfAnInputThatIsNotRagged) {
  OnnxRuntimeOptions options;
  options.batch_inputs = {{Made::element_count, {"n"}, DataType::float32, "x"}};
  const BoundInputs bound =
      bind_inputs({declare("x", {"batch", "length"}), declare("n", {"requests"})}, options);
  EXPECT_EQ(bound.specs[1].made, Made::element_count);
  EXPECT_THAT(bound.batch_names, ElementsAre("batch"));
}

TEST(OnnxBatchInputs, HaveSeveralTargets) {
  OnnxRuntimeOptions options = indexed(Made::element_count);
  options.batch_inputs[0].target_names = {"INDEX", "AGAIN"};
  Inputs inputs = ragged_inputs({Dim()});
  inputs.push_back(declare("AGAIN", {Dim()}, DataType::int32));
  EXPECT_EQ(bind_inputs(inputs, options).specs[2].made, Made::element_count);
}

TEST(OnnxBatchInputs, OtherShapesAreRefused) {
  const auto of = [](const std::vector<Dim>& index, Made kind) {
    return misfit(ragged_inputs(index), indexed(kind));
  };
  EXPECT_THAT(of({4}, Made::element_count), AllOf(HasSubstr("'INDEX' [4]"), HasSubstr("[-1]")));
  EXPECT_THAT(of({Dim(), 2}, Made::element_count), HasSubstr("expected the shape [-1]"));
  EXPECT_THAT(of({Dim()}, Made::item_shape), HasSubstr("[-1, dimensions of an item]"));
  EXPECT_THAT(of({}, Made::item_shape_flatten), HasSubstr("expected the shape [-1]"));
}

TEST(OnnxBatchInputs, TypesAreThoseOfTheModelAndOfCounts) {
  for (const DataType type : {DataType::int32, DataType::int64, DataType::float32}) {
    EXPECT_EQ(misfit(ragged_inputs({Dim()}, type), indexed(Made::element_count, type)), "");
  }
  EXPECT_THAT(misfit(ragged_inputs({Dim()}, DataType::int64),
                     indexed(Made::element_count, DataType::int32)),
              AllOf(HasSubstr("'INDEX'"), HasSubstr("int64, got int32")));
  EXPECT_THAT(misfit(ragged_inputs({Dim()}, DataType::uint8),
                     indexed(Made::element_count, DataType::uint8)),
              HasSubstr("expected int32, int64 or float32"));
}

TEST(OnnxBatchInputs, NamesAndKindsThatAreNoneAreRefused) {
  const Inputs inputs = ragged_inputs({Dim()});
  OnnxRuntimeOptions options = indexed(Made::element_count);
  options.batch_inputs[0].source_input = "z";
  EXPECT_THAT(misfit(inputs, options), HasSubstr("batch_inputs names the input 'z'"));
  options = indexed(Made::element_count);
  options.batch_inputs[0].target_names = {"z"};
  EXPECT_THAT(misfit(inputs, options), HasSubstr("batch_inputs names the input 'z'"));
  options.batch_inputs[0].target_names = {};
  EXPECT_THAT(misfit(inputs, options), HasSubstr("at least one target name"));
  EXPECT_THAT(misfit(inputs, indexed(Made::no)), HasSubstr("expected a kind of batch input"));
  EXPECT_THAT(misfit(inputs, indexed(Made::mask)), HasSubstr("got a mask"));
}

TEST(OnnxBatchInputs, TargetsAreMadeOnceAndNotGiven) {
  const Inputs inputs = ragged_inputs({Dim()});
  OnnxRuntimeOptions options = indexed(Made::element_count);
  options.batch_inputs[0].target_names = {"INDEX", "INDEX"};
  EXPECT_THAT(misfit(inputs, options),
              HasSubstr("'INDEX', which is declared as made of 'INPUT' already"));
  options = indexed(Made::element_count);
  options.batch_inputs[0].source_input = "INDEX";
  EXPECT_THAT(misfit(inputs, options), HasSubstr("'INDEX', which is itself made"));
  options = indexed(Made::element_count);
  options.inputs["INDEX"].shared = true;
  EXPECT_THAT(misfit(inputs, options), HasSubstr("and as one that callers give"));
}

TEST(OnnxBatchInputs, SharedSourceIsRefused) {
  OnnxRuntimeOptions options;
  options.batch_inputs = {{Made::element_count, {"n"}, DataType::float32, "w"}};
  EXPECT_THAT(misfit({declare("x", {"batch"}), declare("w", {16}), declare("n", {Dim()})}, options),
              HasSubstr("'w', which is shared"));
}

TEST(OnnxMasks, AreMadeOfTheirSource) {
  const BoundInputs bound = bind_inputs(
      {declare("m", {"batch", "length"}, DataType::boolean), declare("x", {"batch", "length", 4})},
      masked("m"));
  EXPECT_EQ(bound.specs[0].made, Made::mask);
  EXPECT_EQ(bound.specs[0].source, 1U);
  EXPECT_EQ(bound.specs[0].row_shape, Shape{-1});
  EXPECT_EQ(bound.specs[1].made, Made::no);
}

TEST(OnnxMasks, WithoutNamesHaveTheDimensionsOfTheirSource) {
  const BoundInputs bound =
      bind_inputs({declare("x", {Dim(), Dim()}), declare("m", {Dim(), "?"})}, masked("m"));
  ASSERT_EQ(bound.dimensions.size(), 1U);
  EXPECT_EQ(bound.dimensions[0].name, "x[1]");
  EXPECT_THAT(bound.specs[1].dimensions, ElementsAre(0));
}

TEST(OnnxMasks, MayLackDimensionsOfTheirSource) {
  EXPECT_EQ(
      misfit({declare("x", {"batch", 3, "h", "w"}), declare("m", {"batch", "w"})}, masked("m")),
      "");
}

TEST(OnnxMasks, OtherDimensionsAreRefused) {
  for (const std::vector<Dim>& dims :
       {std::vector<Dim>{"batch"}, {"batch", "other"}, {"batch", "length", "other"}}) {
    EXPECT_THAT(misfit({declare("x", {"batch", "length"}), declare("m", dims)}, masked("m")),
                AllOf(HasSubstr("mask 'm' of 'x'"), HasSubstr("free dimensions of the source")));
  }
  EXPECT_THAT(misfit({declare("x", {"batch", "length"}), declare("m", {4})}, masked("m")),
              HasSubstr("'m' is shared"));
  EXPECT_THAT(misfit({declare("x", {"batch", 4}), declare("m", {"batch", 4})}, masked("m")),
              HasSubstr("a source with a free dimension"));
}

TEST(OnnxMasks, NamesThatAreNoneAreRefused) {
  const Inputs inputs = {declare("x", {"batch", "length"}), declare("m", {"batch", "length"})};
  EXPECT_THAT(misfit(inputs, masked("z")),
              AllOf(HasSubstr("inputs={\"x\": Input(mask=...)}"), HasSubstr("'z'")));
  EXPECT_THAT(misfit(inputs, masked("x")), HasSubstr("which is itself made"));
}

TEST(OnnxMasks, TwoSourcesAreRefused) {
  OnnxRuntimeOptions options = masked("m");
  options.inputs["y"].mask = "m";
  EXPECT_THAT(misfit({declare("x", {"batch", "length"}), declare("y", {"batch", "length"}),
                      declare("m", {"batch", "length"})},
                     options),
              HasSubstr("'m', which is declared as made of 'x' already"));
}

TEST(OnnxLengths, AreOneNumberARow) {
  for (const DataType type : {DataType::int32, DataType::int64, DataType::float32}) {
    const BoundInputs bound = bind_inputs(
        {declare("x", {"batch", "length"}), declare("n", {"batch"}, type)}, measured("n"));
    EXPECT_EQ(bound.specs[1].made, Made::length);
    EXPECT_EQ(bound.specs[1].source, 0U);
  }
}

TEST(OnnxLengths, OtherShapesAndTypesAreRefused) {
  const auto of = [](const std::vector<Dim>& dims, DataType type) {
    return misfit({declare("x", {"batch", "length"}), declare("n", dims, type)}, measured("n"));
  };
  EXPECT_THAT(of({"batch", 1}, DataType::int64), HasSubstr("one number a row"));
  EXPECT_THAT(of({"batch"}, DataType::boolean),
              HasSubstr("expected integers or float32, got bool"));
  EXPECT_THAT(of({"batch"}, DataType::float16), HasSubstr("got float16"));
  EXPECT_THAT(of({}, DataType::int64), HasSubstr("'n' is shared"));
}

}  // namespace
}  // namespace dynbatch

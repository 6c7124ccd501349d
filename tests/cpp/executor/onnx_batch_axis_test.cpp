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

TEST(OnnxBatchAxis, DynamicLeadingDimensionIsTheBatch) {
  const BoundInputs bound = bind_inputs({declare("x", {"batch", 3, 4})}, {});
  EXPECT_FALSE(bound.specs[0].shared);
  EXPECT_EQ(bound.specs[0].row_shape, (Shape{3, 4}));
  EXPECT_EQ(bound.fixed_batch, 0U);
  EXPECT_THAT(bound.overrides, IsEmpty());
}

TEST(OnnxBatchAxis, UnnamedLeadingDimensionIsTheBatchToo) {
  EXPECT_EQ(bind_inputs({declare("x", {Dim(), 3})}, {}).specs[0].row_shape, Shape{3});
}

TEST(OnnxBatchAxis, ScalarsAndStaticLeadingDimensionsAreShared) {
  const BoundInputs bound =
      bind_inputs({declare("x", {"batch"}), declare("scale", {}), declare("matrix", {16, 4})}, {});
  EXPECT_FALSE(bound.specs[0].shared);
  EXPECT_EQ(bound.specs[0].row_shape, Shape());
  EXPECT_TRUE(bound.specs[1].shared);
  EXPECT_EQ(bound.specs[1].row_shape, Shape());
  EXPECT_TRUE(bound.specs[2].shared);
  EXPECT_EQ(bound.specs[2].row_shape, (Shape{16, 4}));
}

TEST(OnnxBatchAxis, BoundLeadingDimensionMakesAnInputShared) {
  OnnxRuntimeOptions options;
  options.dimensions = {{"keys", 6}};
  const BoundInputs bound =
      bind_inputs({declare("x", {"batch", 4}), declare("memory", {"keys", 4})}, options);
  EXPECT_TRUE(bound.specs[1].shared);
  EXPECT_EQ(bound.specs[1].row_shape, (Shape{6, 4}));
}

TEST(OnnxBatchAxis, DeclarationsDecideWhatIsShared) {
  OnnxRuntimeOptions options;
  options.inputs["memory"].shared = true;
  options.dimensions = {{"keys", 6}};
  const BoundInputs bound =
      bind_inputs({declare("x", {"batch", 4}), declare("memory", {"keys", 4})}, options);
  EXPECT_TRUE(bound.specs[1].shared);
}

TEST(OnnxBatchAxis, EqualStaticLeadingDimensionsAreAFixedBatch) {
  const BoundInputs bound =
      bind_inputs({declare("x", {4, 16}), declare("y", {4}), declare("scale", {})}, {});
  EXPECT_EQ(bound.fixed_batch, 4U);
  EXPECT_EQ(bound.specs[0].row_shape, Shape{16});
  EXPECT_FALSE(bound.specs[1].shared);
  EXPECT_TRUE(bound.specs[2].shared);
}

TEST(OnnxBatchAxis, SharedInputsDeclaredBesideAFixedBatch) {
  OnnxRuntimeOptions options;
  options.inputs["matrix"].shared = true;
  const BoundInputs bound =
      bind_inputs({declare("x", {4, 16}), declare("matrix", {16, 8})}, options);
  EXPECT_EQ(bound.fixed_batch, 4U);
  EXPECT_TRUE(bound.specs[1].shared);
}

TEST(OnnxBatchAxis, StaticInputDeclaredBatchedFixesTheBatch) {
  OnnxRuntimeOptions options;
  options.inputs["state"].shared = false;
  const BoundInputs bound =
      bind_inputs({declare("x", {"batch", 16}), declare("state", {4, 8})}, options);
  EXPECT_EQ(bound.fixed_batch, 4U);
  EXPECT_EQ(bound.specs[1].row_shape, Shape{8});
}

TEST(OnnxBatchAxis, BatchAxisThatIsBoundIsAFixedBatch) {
  OnnxRuntimeOptions options;
  options.dimensions = {{"batch", 8}};
  const BoundInputs bound = bind_inputs({declare("x", {"batch", 16})}, options);
  EXPECT_EQ(bound.fixed_batch, 8U);
  EXPECT_THAT(bound.overrides, ElementsAre(Pair("batch", 8)));
}

TEST(OnnxBatchAxis, RefusesAStaticLeadingOneAndSaysHowToExport) {
  EXPECT_THAT(refusal({declare("x", {1, 16})}),
              AllOf(HasSubstr("'x' [1, 16]"), HasSubstr("dynamic batch axis")));
}

TEST(OnnxBatchAxis, RefusesABatchAxisBoundToOne) {
  OnnxRuntimeOptions options;
  options.dimensions = {{"batch", 1}};
  EXPECT_THAT(refusal({declare("x", {"batch", 16})}, options),
              AllOf(HasSubstr("'x' [batch, 16]"), HasSubstr("leave the batch axis free")));
}

TEST(OnnxBatchAxis, RefusesAModelWithoutBatchedInput) {
  EXPECT_THAT(refusal({declare("x", {})}), HasSubstr("no input has a batch axis: 'x' []"));
  EXPECT_THAT(refusal({declare("x", {4, 16}), declare("w", {16, 8})}),
              HasSubstr("no input has a batch axis: 'x' [4, 16], 'w' [16, 8]"));
  EXPECT_THAT(refusal({}), HasSubstr("no input has a batch axis"));
}

TEST(OnnxBatchAxis, RefusesAScalarDeclaredBatched) {
  OnnxRuntimeOptions options;
  options.inputs["scale"].shared = false;
  EXPECT_THAT(refusal({declare("x", {"batch"}), declare("scale", {})}, options,
                      ErrorCode::invalid_argument),
              HasSubstr("'scale' []"));
}

TEST(OnnxBatchAxis, RefusesDifferentFixedBatches) {
  OnnxRuntimeOptions options;
  options.inputs["a"].shared = false;
  options.inputs["b"].shared = false;
  EXPECT_THAT(refusal({declare("x", {"batch"}), declare("a", {4}), declare("b", {8})}, options),
              HasSubstr("fixed batches 4 and 8"));
}

TEST(OnnxBatchAxis, NameOfAnotherInputsBatchTellsTheAxis) {
  const BoundInputs bound =
      bind_inputs({declare("input", {"batch", "sequence"}), declare("state", {2, "batch", 128}),
                   declare("sr", {}, DataType::int64)},
                  {});
  EXPECT_EQ(bound.specs[0].batch_axis, 0U);
  EXPECT_EQ(bound.specs[1].batch_axis, 1U);
  EXPECT_EQ(bound.specs[1].row_shape, (Shape{2, 128}));
  EXPECT_THAT(bound.specs[1].dimensions, IsEmpty());
  EXPECT_TRUE(bound.specs[2].shared);
  EXPECT_THAT(bound.batch_names, ElementsAre("batch"));
  ASSERT_EQ(bound.dimensions.size(), 1U);
  EXPECT_EQ(bound.dimensions[0].name, "sequence");
}

TEST(OnnxBatchAxis, NameThatSaysBatchComesBeforeAFreeAxisZero) {
  const BoundInputs bound = bind_inputs({declare("x", {"time", "Batch_Size", 4})}, {});
  EXPECT_EQ(bound.specs[0].batch_axis, 1U);
  EXPECT_EQ(bound.specs[0].row_shape, (Shape{-1, 4}));
  EXPECT_EQ(bound.dimensions[0].name, "time");
}

TEST(OnnxBatchAxis, SharedNameIsTheBatchWhereNoLeadingDimensionIsFree) {
  const BoundInputs bound =
      bind_inputs({declare("x", {3, "rows"}), declare("state", {2, "rows", 4, "length"})}, {});
  EXPECT_EQ(bound.specs[0].batch_axis, 1U);
  EXPECT_EQ(bound.specs[1].batch_axis, 1U);
  EXPECT_EQ(bound.specs[1].row_shape, (Shape{2, 4, -1}));
  EXPECT_EQ(bound.fixed_batch, 0U);
}

TEST(OnnxBatchAxis, LoneNameThatSaysBatchIsOne) {
  const BoundInputs bound = bind_inputs({declare("x", {3, "batch"})}, {});
  EXPECT_EQ(bound.specs[0].batch_axis, 1U);
}

TEST(OnnxBatchAxis, AsksWhereAFixedBatchCouldBeMeant) {
  for (const int leading : {1, 4}) {
    EXPECT_THAT(
        refusal({declare("ids", {leading, "length"}), declare("mask", {leading, "length"})}),
        AllOf(HasSubstr("'ids' [" + std::to_string(leading) + ", length]"),
              HasSubstr("'length' may be the batch"),
              HasSubstr("inputs={\"ids\": Input(batch_axis=...), "
                        "\"mask\": Input(batch_axis=...)}")));
  }
  OnnxRuntimeOptions options;
  options.inputs["ids"].batch_axis = 0;
  options.inputs["mask"].batch_axis = 0;
  const BoundInputs fixed =
      bind_inputs({declare("ids", {4, "length"}), declare("mask", {4, "length"})}, options);
  EXPECT_EQ(fixed.fixed_batch, 4U);
  EXPECT_EQ(fixed.dimensions[0].name, "length");
  options.inputs["ids"].batch_axis = 1;
  options.inputs["mask"].batch_axis = 1;
  const BoundInputs along =
      bind_inputs({declare("ids", {4, "length"}), declare("mask", {4, "length"})}, options);
  EXPECT_EQ(along.fixed_batch, 0U);
  EXPECT_EQ(along.specs[0].row_shape, Shape{4});
}

TEST(OnnxBatchAxis, AsksWhereTheNameOfABatchStandsTwice) {
  const auto hint = HasSubstr("\"y\": Input(batch_axis=...)");
  EXPECT_THAT(refusal({declare("x", {"rows", 3}), declare("y", {"time", "rows", 4})}), hint);
  EXPECT_THAT(refusal({declare("x", {"rows", 3}), declare("y", {2, "rows", "rows"})}), hint);
  EXPECT_THAT(refusal({declare("y", {"rows", "rows"})}), hint);
}

TEST(OnnxBatchAxis, DeclaredAxisIsTaken) {
  OnnxRuntimeOptions options;
  options.inputs["y"].batch_axis = 1;
  const BoundInputs bound =
      bind_inputs({declare("x", {"rows", 3}), declare("y", {"time", "rows", 4})}, options);
  EXPECT_EQ(bound.specs[1].batch_axis, 1U);
  EXPECT_EQ(bound.specs[1].row_shape, (Shape{-1, 4}));
}

TEST(OnnxBatchAxis, DeclaredAxisMakesASecondOneOfItsNameADimension) {
  OnnxRuntimeOptions options;
  options.inputs["x"].batch_axis = 0;
  const BoundInputs bound = bind_inputs({declare("x", {"n", "n"})}, options);
  EXPECT_EQ(bound.dimensions[0].name, "x[1]");
}

TEST(OnnxBatchAxis, DeclaredStaticAxisIsAFixedBatch) {
  OnnxRuntimeOptions options;
  options.inputs["x"].batch_axis = 1;
  const BoundInputs bound = bind_inputs({declare("x", {3, 8})}, options);
  EXPECT_EQ(bound.fixed_batch, 8U);
  EXPECT_EQ(bound.specs[0].row_shape, Shape{3});
}

TEST(OnnxBatchAxis, RefusesDeclarationsThatDoNotFit) {
  const std::vector<OnnxTensorDeclaration> inputs = {declare("x", {"batch", 3}),
                                                     declare("scale", {})};
  OnnxRuntimeOptions options;
  options.inputs["x"].batch_axis = 2;
  EXPECT_THAT(misfit(inputs, options),
              AllOf(HasSubstr("'x' [batch, 3]"), HasSubstr("no such axis")));
  options.inputs["x"].batch_axis = 0;
  options.inputs["x"].shared = true;
  EXPECT_THAT(misfit(inputs, options), HasSubstr("declared as shared, and with the batch axis 0"));
  options.inputs.clear();
  options.inputs["scale"].batch_axis = 0;
  EXPECT_THAT(misfit(inputs, options), HasSubstr("'scale' []"));
}

TEST(OnnxBatchAxis, FreeDimensionOfAnInputWithoutABatchMustBeBoundOrDeclared) {
  EXPECT_THAT(
      refusal({declare("x", {"batch", 3}), declare("w", {16, "keys"})}),
      AllOf(HasSubstr("'w' [16, keys], which is shared"), HasSubstr("dimensions={\"keys\": value}"),
            HasSubstr("inputs={\"w\": Input(batch_axis=...)}")));
}

}  // namespace
}  // namespace dynbatch

// What declared outputs become.
#include <gmock/gmock.h>

#include <cstdint>
#include <string>
#include <vector>

#include "cpp/executor/declared_tensors.hpp"
#include "executor/onnx_batching.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::declare;
using dynbatch::testing::Dim;
using dynbatch::testing::message_of;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Rows that differ in `length`, and a shared input.
BoundInputs sequences() {
  return bind_inputs({declare("ids", {"batch", "length"}), declare("w", {16})}, {});
}

TensorSpec output_of(const OnnxTensorDeclaration& output, const OutputDeclaration& declared = {},
                     const BoundInputs& inputs = sequences()) {
  OnnxRuntimeOptions options;
  options.output_declarations[output.name] = declared;
  return output_specs({output}, inputs, options)[0];
}

std::string misfit_of(const OnnxTensorDeclaration& output, const OutputDeclaration& declared) {
  return message_of([&] { output_of(output, declared); }, ErrorCode::invalid_argument);
}

TensorSpec scattered(const OnnxTensorDeclaration& output, const std::string& source,
                     const OutputDeclaration& declared = {}) {
  OnnxRuntimeOptions options;
  options.batch_outputs = {{{output.name}, source}};
  options.output_declarations[output.name] = declared;
  return output_specs({output}, sequences(), options)[0];
}

TEST(OnnxOutputs, LoseTheirLeadingDimensionWhateverItSays) {
  const std::vector<TensorSpec> specs = output_specs(
      {declare("y", {"batch", 3}), declare("z", {1, "k"}), declare("s", {2})}, sequences(), {});
  EXPECT_EQ(specs[0].row_shape, Shape{3});
  EXPECT_TRUE(specs[0].has_known_shape());
  EXPECT_EQ(specs[1].row_shape, Shape{-1});
  EXPECT_FALSE(specs[1].has_known_shape());
  EXPECT_EQ(specs[2].row_shape, Shape());
}

TEST(OnnxOutputs, WantedOnesAreThoseNamedInTheirOrder) {
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

TEST(OnnxOutputs, UnwantedOnesMayBeDeclared) {
  OnnxRuntimeOptions options;
  options.outputs = {"y"};
  options.output_declarations["z"].shared = true;
  options.batch_outputs = {{{"z"}, "ids"}};
  const auto specs =
      output_specs({declare("y", {"batch"}), declare("z", {"batch"})}, sequences(), options);
  ASSERT_EQ(specs.size(), 1U);
  EXPECT_EQ(specs[0].name, "y");
}

TEST(OnnxOutputs, OfUndeclaredShapeAreUnknown) {
  EXPECT_FALSE(output_of(declare("y", {})).has_known_shape());
  OutputDeclaration declared;
  declared.batch_axis = 2;
  EXPECT_EQ(output_of(declare("y", {}), declared).row_shape, (Shape{-1, -1}));
}

TEST(OnnxOutputs, NameOfAFreeDimensionTellsTheirSize) {
  const TensorSpec tokens = output_of(declare("tokens", {"batch", "length", 4}));
  EXPECT_EQ(tokens.row_shape, (Shape{-1, 4}));
  EXPECT_THAT(tokens.dimensions, ElementsAre(0, TensorSpec::kStatic));
  EXPECT_THAT(output_of(declare("y", {"batch", "other"})).dimensions, IsEmpty());
  EXPECT_THAT(output_of(declare("y", {"batch", 4})).dimensions, IsEmpty());
}

TEST(OnnxOutputs, NameOfTheBatchTellsItsAxis) {
  const TensorSpec state = output_of(declare("state", {2, "batch", 4}));
  EXPECT_EQ(state.batch_axis, 1U);
  EXPECT_EQ(state.row_shape, (Shape{2, 4}));
  EXPECT_FALSE(state.declared);
}

TEST(OnnxOutputs, DeclaredAxisIsTaken) {
  OutputDeclaration declared;
  declared.batch_axis = 2;
  const TensorSpec state = output_of(declare("state", {2, "length", Dim()}), declared);
  EXPECT_EQ(state.batch_axis, 2U);
  EXPECT_EQ(state.row_shape, (Shape{2, -1}));
  EXPECT_THAT(state.dimensions, ElementsAre(TensorSpec::kStatic, 0));
  EXPECT_TRUE(state.declared);
  declared.batch_axis = 3;
  EXPECT_THAT(misfit_of(declare("state", {2, "length", Dim()}), declared),
              HasSubstr("no such axis"));
}

TEST(OnnxOutputs, DeclaredSharedHasNoBatchAxis) {
  OutputDeclaration declared;
  declared.shared = true;
  const TensorSpec classes = output_of(declare("classes", {3, 2}), declared);
  EXPECT_TRUE(classes.shared);
  EXPECT_TRUE(classes.declared);
  EXPECT_EQ(classes.row_shape, (Shape{3, 2}));
  declared.batch_axis = 0;
  EXPECT_THAT(misfit_of(declare("classes", {3, 2}), declared),
              HasSubstr("declared as shared, and"));
}

TEST(OnnxOutputs, DeclaredRowsPerRowAreTaken) {
  OutputDeclaration declared;
  declared.rows_per_row = 2;
  EXPECT_EQ(output_of(declare("y", {"rows", 4}), declared).rows_per_row, 2U);
  declared.rows_per_row = 0;
  EXPECT_THAT(misfit_of(declare("y", {"rows", 4}), declared), HasSubstr("0 rows per row"));
}

TEST(OnnxOutputs, TrimGivesThemTheDimensionsOfAnInput) {
  OutputDeclaration declared;
  declared.trim = "ids";
  EXPECT_THAT(output_of(declare("y", {"batch", "time", 4}), declared).dimensions,
              ElementsAre(0, TensorSpec::kStatic));
}

TEST(OnnxOutputs, TrimMeansTheSameAxesOfTheWholeTensor) {
  const BoundInputs inputs =
      bind_inputs({declare("x", {"batch", 3}), declare("state", {"steps", "batch", "units"})}, {});
  ASSERT_EQ(inputs.specs[1].batch_axis, 1U);
  OutputDeclaration declared;
  declared.trim = "state";
  EXPECT_THAT(output_of(declare("y", {"a", "batch", "b"}), declared, inputs).dimensions,
              ElementsAre(0, 1));
  EXPECT_THAT(message_of([&] { output_of(declare("y", {"batch", "a", "b"}), declared, inputs); },
                         ErrorCode::invalid_argument),
              HasSubstr("axis 0 is its batch"));
}

TEST(OnnxOutputs, TrimThatDoesNotFitIsRefused) {
  OutputDeclaration declared;
  declared.trim = "ids";
  const auto no_axis = HasSubstr("expected a free dimension on axis 1");
  EXPECT_THAT(misfit_of(declare("y", {"batch", 384}), declared), no_axis);
  EXPECT_THAT(misfit_of(declare("y", {"batch"}), declared), no_axis);
  EXPECT_THAT(misfit_of(declare("y", {}), declared), no_axis);
  declared.trim = "w";
  EXPECT_THAT(misfit_of(declare("y", {"batch", "k"}), declared), HasSubstr("no free dimension"));
  declared.trim = "z";
  EXPECT_THAT(misfit_of(declare("y", {"batch", "k"}), declared),
              AllOf(HasSubstr("Output(trim=...)"), HasSubstr("'z'"), HasSubstr("'ids', 'w'")));
}

TEST(OnnxOutputs, ScatteredOnesAreFlat) {
  const TensorSpec spec = scattered(declare("y", {Dim()}), "ids");
  EXPECT_EQ(spec.scattered_as, 0U);
  EXPECT_EQ(spec.row_shape, Shape{-1});
  EXPECT_THAT(spec.dimensions, IsEmpty());
}

TEST(OnnxOutputs, ScatterThatDoesNotFitIsRefused) {
  const auto message = [](const std::string& source, const OutputDeclaration& declared = {}) {
    return message_of([&] { scattered(declare("y", {Dim()}), source, declared); },
                      ErrorCode::invalid_argument);
  };
  EXPECT_THAT(message("z"), HasSubstr("batch_outputs names the input 'z'"));
  EXPECT_THAT(message("w"), HasSubstr("'w', which is shared"));
  OutputDeclaration declared;
  declared.batch_axis = 0;
  EXPECT_THAT(message("ids", declared), HasSubstr("declared as scattered, and"));
  OnnxRuntimeOptions options;
  const auto misfit = [&] {
    return message_of([&] { output_specs({declare("y", {Dim()})}, sequences(), options); },
                      ErrorCode::invalid_argument);
  };
  options.batch_outputs = {{{"y", "y"}, "ids"}};
  EXPECT_THAT(misfit(), HasSubstr("'y' twice"));
  options.batch_outputs = {{{}, "ids"}};
  EXPECT_THAT(misfit(), HasSubstr("at least one target name"));
  options.batch_outputs = {{{"z"}, "ids"}};
  EXPECT_THAT(misfit(), HasSubstr("batch_outputs names the output 'z'"));
  options.batch_outputs.clear();
  options.output_declarations["z"].shared = true;
  EXPECT_THAT(misfit(), HasSubstr("outputs names the output 'z'"));
}

TEST(OnnxOutputs, ThatAreInputsHaveTheirRows) {
  const TensorSpec ids = output_of(declare("ids", {"batch", "length"}));
  EXPECT_EQ(ids.row_shape, Shape{-1});
  EXPECT_THAT(ids.dimensions, ElementsAre(0));
  EXPECT_THAT(message_of([] { output_of(declare("w", {16})); }),
              AllOf(HasSubstr("'w' is a shared input"), HasSubstr("Output(shared=True)")));
  OutputDeclaration declared;
  declared.shared = true;
  EXPECT_TRUE(output_of(declare("w", {16}), declared).shared);
  EXPECT_EQ(output_of(declare("w", {16}), declared).row_shape, Shape{16});
  EXPECT_THAT(misfit_of(declare("ids", {"batch", "length"}), declared),
              HasSubstr("expected the declaration of the input"));
}

TEST(OnnxOutputs, ThatAreRaggedInputsAreScatteredLikeThem) {
  OnnxRuntimeOptions options;
  options.inputs["x"].ragged = true;
  const BoundInputs inputs = bind_inputs({declare("x", {Dim()})}, options);
  EXPECT_EQ(output_of(declare("x", {Dim()}), {}, inputs).scattered_as, 0U);
}

TEST(OnnxOutputs, ThatAreInputsOfASmallerTypeFitMemory) {
  TensorSpec input;
  input.name = "x";
  input.dtype = DataType::uint8;
  input.row_shape = Shape{std::int64_t{1} << 62};
  BoundInputs inputs;
  inputs.specs = {input};
  EXPECT_THAT(message_of([&] { output_specs({declare("x", {"batch", "length"})}, inputs, {}); }),
              HasSubstr("larger than memory"));
}

}  // namespace
}  // namespace dynbatch

#include "executor/onnx_declarations.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <string>

#include "cpp/executor/test_surroundings.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::message_of;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string refusal(const std::string& text) {
  return message_of([&] { parse_onnx_declarations(text); });
}

TEST(OnnxDeclarations, ReadsEveryFieldOfAnInput) {
  const auto declared = parse_onnx_declarations(
      "input ids batch_axis=1 pad=-0.5 pad_mode=edge mask=attention_mask length=n\n"
      "input w shared=true\n"
      "input x shared=false ragged=true");
  ASSERT_EQ(declared.inputs.size(), 3U);
  const InputDeclaration& ids = declared.inputs.at("ids");
  EXPECT_EQ(ids.batch_axis, 1U);
  EXPECT_EQ(ids.pad, -0.5);
  EXPECT_EQ(ids.pad_mode, PadMode::edge);
  EXPECT_EQ(ids.mask, "attention_mask");
  EXPECT_EQ(ids.length, "n");
  EXPECT_FALSE(ids.ragged);
  EXPECT_EQ(ids.shared, std::nullopt);
  EXPECT_EQ(declared.inputs.at("w").shared, true);
  EXPECT_EQ(declared.inputs.at("x").shared, false);
  EXPECT_TRUE(declared.inputs.at("x").ragged);
}

TEST(OnnxDeclarations, ReadsEveryFieldOfAnOutput) {
  const auto declared = parse_onnx_declarations(
      "output y batch_axis=2 rows_per_row=3 trim=ids\noutput z shared=true");
  EXPECT_EQ(declared.outputs.at("y").batch_axis, 2U);
  EXPECT_EQ(declared.outputs.at("y").rows_per_row, 3U);
  EXPECT_EQ(declared.outputs.at("y").trim, "ids");
  EXPECT_EQ(declared.outputs.at("z").shared, true);
}

TEST(OnnxDeclarations, ReadsBatchInputsOfEveryKindAndType) {
  const std::pair<const char*, Made> kinds[] = {
      {"BATCH_ELEMENT_COUNT", Made::element_count},
      {"BATCH_ACCUMULATED_ELEMENT_COUNT", Made::accumulated_element_count},
      {"BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO", Made::accumulated_element_count_with_zero},
      {"BATCH_MAX_ELEMENT_COUNT_AS_SHAPE", Made::max_element_count_as_shape},
      {"BATCH_ITEM_SHAPE", Made::item_shape},
      {"BATCH_ITEM_SHAPE_FLATTEN", Made::item_shape_flatten}};
  for (const auto& [name, kind] : kinds) {
    const auto declared = parse_onnx_declarations(
        std::string(
            "batch_input target_name=A target_name=B source_input=X data_type=INT64 kind=") +
        name);
    ASSERT_EQ(declared.batch_inputs.size(), 1U);
    EXPECT_EQ(declared.batch_inputs[0].kind, kind);
    EXPECT_EQ(declared.batch_inputs[0].data_type, DataType::int64);
    EXPECT_EQ(declared.batch_inputs[0].source_input, "X");
    EXPECT_THAT(declared.batch_inputs[0].target_names, ElementsAre("A", "B"));
  }
  const auto type_of = [](const std::string& type) {
    return parse_onnx_declarations(
               "batch_input kind=BATCH_ELEMENT_COUNT target_name=A source_input=X "
               "data_type=" +
               type)
        .batch_inputs[0]
        .data_type;
  };
  EXPECT_EQ(type_of("INT32"), DataType::int32);
  EXPECT_EQ(type_of("FP32"), DataType::float32);
  EXPECT_EQ(type_of("TYPE_FP32"), DataType::float32);
}

TEST(OnnxDeclarations, ReadsBatchOutputs) {
  const auto declared = parse_onnx_declarations(
      "batch_output kind=BATCH_SCATTER_WITH_INPUT_SHAPE target_name=Y source_input=X");
  ASSERT_EQ(declared.batch_outputs.size(), 1U);
  EXPECT_THAT(declared.batch_outputs[0].target_names, ElementsAre("Y"));
  EXPECT_EQ(declared.batch_outputs[0].source_input, "X");
}

TEST(OnnxDeclarations, BlankLinesAndCommentsSayNothing) {
  const auto declared =
      parse_onnx_declarations("\n# input a\n \t\r\n  input\tx   pad=1 # the rest\r\n");
  ASSERT_EQ(declared.inputs.size(), 1U);
  EXPECT_EQ(declared.inputs.at("x").pad, 1.0);
  EXPECT_THAT(parse_onnx_declarations("").inputs, IsEmpty());
}

TEST(OnnxDeclarations, QuotedNamesMayHoldAnything) {
  const auto declared = parse_onnx_declarations(R"(input "a b=\"c\\#" mask="m=1")"
                                                "\ninput serving_default:x/0 pad=2");
  EXPECT_EQ(declared.inputs.at("a b=\"c\\#").mask, "m=1");
  EXPECT_EQ(declared.inputs.at("serving_default:x/0").pad, 2.0);
}

TEST(OnnxDeclarations, PadMayBeInfinite) {
  EXPECT_EQ(parse_onnx_declarations("input x pad=-inf").inputs.at("x").pad,
            -std::numeric_limits<double>::infinity());
}

TEST(OnnxDeclarations, DamageShowsTheLine) {
  EXPECT_THAT(refusal("input x pad=0\ninput y pda=1 "),
              AllOf(HasSubstr("dynbatch.declarations"), HasSubstr("line 2"), HasSubstr("got 'pda'"),
                    HasSubstr("in 'input y pda=1 '")));
}

TEST(OnnxDeclarations, LongLinesAreShownInPart) {
  EXPECT_LT(refusal("input " + std::string(100'000, 'x') + " y").size(), 1000U);
}

TEST(OnnxDeclarations, RefusesWhatIsNoDeclaration) {
  const char* const damaged[] = {
      "inputs x pad=0",
      "input",
      "input pad=0",
      "input x y",
      "input x pad",
      "input x pad=",
      "input x =0",
      "input x \"\"=0",
      "input x pad=0 pad=0",
      "input x pad=zero",
      "input x pad=nan",
      "input x pad=1e999",
      "input x pad=0x10",
      "input x pad=1,5",
      "input x batch_axis=-1",
      "input x batch_axis=1.0",
      "input x batch_axis=99999999999999999999",
      "input x ragged=yes",
      "input x shared=1",
      "input x pad_mode=zero",
      "input x rows_per_row=2",
      "input x pad=0\ninput x pad=1",
      "input \"x pad=0",
      "input \"x\\",
      "input \"x\"pad=0",
      "input x mask=\"m\"n",
      "output y pad=0",
      "output y rows_per_row=two",
      "output y\noutput y",
      "batch_input kind=BATCH_ELEMENT_COUNT target_name=A source_input=X",
      "batch_input kind=BATCH_ELEMENT_COUNT data_type=FP32 source_input=X",
      "batch_input kind=BATCH_ELEMENT_COUNT data_type=FP32 target_name=A",
      "batch_input data_type=FP32 target_name=A source_input=X",
      "batch_input kind=ELEMENT_COUNT data_type=FP32 target_name=A source_input=X",
      "batch_input kind=BATCH_ELEMENT_COUNT data_type=FP16 target_name=A source_input=X",
      "batch_input x kind=BATCH_ELEMENT_COUNT data_type=FP32 target_name=A source_input=X",
      "batch_output target_name=Y source_input=X",
      "batch_output kind=BATCH_SCATTER target_name=Y source_input=X",
      "batch_output kind=BATCH_SCATTER_WITH_INPUT_SHAPE source_input=X"};
  for (const char* const text : damaged) {
    EXPECT_THAT(refusal(text), HasSubstr("dynbatch.declarations in the model's metadata, line"))
        << text;
  }
}

TEST(OnnxDeclarations, OptionsWin) {
  OnnxModelMetadata metadata;
  metadata.custom[kOnnxDeclarationsKey] =
      "input a pad=1\ninput b pad=2\noutput y shared=true\n"
      "batch_input kind=BATCH_ELEMENT_COUNT data_type=FP32 target_name=A source_input=a\n"
      "batch_output kind=BATCH_SCATTER_WITH_INPUT_SHAPE target_name=z source_input=a";
  OnnxRuntimeOptions options;
  options.inputs["a"].mask = "m";
  options.output_declarations["y"].batch_axis = 1;
  options.batch_outputs = {{{"w"}, "b"}};
  const OnnxRuntimeOptions merged = with_onnx_declarations(options, metadata);
  EXPECT_EQ(merged.inputs.at("a").mask, "m");
  EXPECT_EQ(merged.inputs.at("a").pad, 0.0);
  EXPECT_EQ(merged.inputs.at("b").pad, 2.0);
  EXPECT_EQ(merged.output_declarations.at("y").shared, std::nullopt);
  ASSERT_EQ(merged.batch_inputs.size(), 1U);
  ASSERT_EQ(merged.batch_outputs.size(), 1U);
  EXPECT_EQ(merged.batch_outputs[0].source_input, "b");
}

TEST(OnnxDeclarations, ModelsWithoutThemLeaveOptionsAsTheyAre) {
  OnnxModelMetadata metadata;
  metadata.custom["other"] = "input a pad=1";
  EXPECT_THAT(with_onnx_declarations({}, metadata).inputs, IsEmpty());
}

}  // namespace
}  // namespace dynbatch

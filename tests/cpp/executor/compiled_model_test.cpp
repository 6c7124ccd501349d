#include <dynbatch/compiled_model.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace dynbatch {
namespace {

using Dims = std::vector<std::int64_t>;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

CompiledModel documented_example() {
  CompiledModel model;
  model.inputs = {{"data", DataType::float32, {-1, 3, 416, 416}},
                  {"img_info", DataType::float32, {-1, 4}}};
  model.outputs = {{"boxes", DataType::float32}, {"count", DataType::int32}};
  model.rows_independent = false;
  for (const std::int64_t size : {4, 1, 8, 2}) {
    model.gears.push_back({{size}, {{size, 10}, {}}, 0.1 / 3 * static_cast<double>(size)});
  }
  return model;
}

std::optional<CompiledModel> read(const std::string& text) {
  OnnxModelMetadata metadata;
  metadata.custom[kCompiledModelKey] = text;
  return compiled_model(metadata);
}

std::string refusal(const std::string& text) {
  try {
    read(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::model);
    return error.what();
  }
  return "";
}

TEST(CompiledModel, SizesOfADimsGearAreOfSeveralInputs) {
  CompiledModel model;
  model.kind = GearKind::dims;
  for (const char* const name : {"a", "b", "c", "d"})
    model.inputs.push_back({name, DataType::float32, {-1, -1}});
  model.outputs = {{"y", DataType::float32}};
  model.gears = {{{128, 64, 128, 64, 128, 64, 128, 64}, {{1}}}};
  const auto again = read(to_metadata(model));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->gears[0].sizes, model.gears[0].sizes);
}

TEST(CompiledModel, IsReadAsItWasWritten) {
  const CompiledModel model = documented_example();
  const auto again = read(to_metadata(model));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->kind, GearKind::batch);
  EXPECT_EQ(again->rows_independent, false);
  ASSERT_EQ(again->inputs.size(), 2u);
  EXPECT_EQ(again->inputs[1].name, "img_info");
  EXPECT_EQ(again->inputs[1].shape, (Dims{-1, 4}));
  ASSERT_EQ(again->outputs.size(), 2u);
  EXPECT_EQ(again->outputs[1].dtype, DataType::int32);
  ASSERT_EQ(again->gears.size(), 4u);
  for (std::size_t gear = 0; gear < 4; ++gear) {
    EXPECT_EQ(again->gears[gear].sizes, model.gears[gear].sizes);
    EXPECT_EQ(again->gears[gear].output_shapes, model.gears[gear].output_shapes);
    EXPECT_EQ(again->gears[gear].seconds, model.gears[gear].seconds);
  }
}

TEST(CompiledModel, IsNoneWithoutTheKey) { EXPECT_FALSE(compiled_model({})); }

TEST(CompiledModel, KeepsNamesOfAnyCharactersButLineBreaks) {
  CompiledModel model = documented_example();
  model.inputs[0].name = "a \"b\"\\ = #;";
  model.inputs[1].name = "";
  const auto again = read(to_metadata(model));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->inputs[0].name, model.inputs[0].name);
  EXPECT_EQ(again->inputs[1].name, "");
  model.inputs[0].name = "a\nb";
  EXPECT_THROW(to_metadata(model), Error);
}

TEST(CompiledModel, GivesEveryInputItsShapeInAGear) {
  const CompiledModel model = documented_example();
  EXPECT_THAT(model.input_shapes(0), ElementsAre(Dims{4, 3, 416, 416}, Dims{4, 4}));
  EXPECT_EQ(model.find({2}), 3u);
  EXPECT_FALSE(model.find({3}));
  EXPECT_EQ(model.largest(), 2u);
}

TEST(CompiledModel, GivesHeightAndWidthToEveryImage) {
  CompiledModel model;
  model.kind = GearKind::image_size;
  model.inputs = {{"a", DataType::uint8, {1, -1, -1, 3}}, {"b", DataType::uint8, {1, 1, -1, -1}}};
  model.gears = {{{8, 4}, {}, 0.0}, {{2, 20}, {}, 0.0}};
  EXPECT_THAT(model.input_shapes(0), ElementsAre(Dims{1, 8, 4, 3}, Dims{1, 1, 8, 4}));
  EXPECT_EQ(model.largest(), 1u);
}

TEST(CompiledModel, GivesDimsInTheOrderOfTheInputs) {
  CompiledModel model;
  model.kind = GearKind::dims;
  model.inputs = {{"a", DataType::int64, {-1, -1}}, {"b", DataType::int64, {7, -1}}};
  model.gears = {{{1, 2, 3}, {}, 0.0}, {{4, 5, 6}, {}, 0.0}};
  EXPECT_THAT(model.input_shapes(1), ElementsAre(Dims{4, 5}, Dims{7, 6}));
  EXPECT_EQ(model.largest(), 1u);
}

TEST(CompiledModel, HasOneGearWithoutSizesWhereNothingIsFree) {
  const auto model =
      read("format 1\nkind dims\ninput x dtype=int8 shape=[]\ngear sizes=[] seconds=0\n");
  ASSERT_TRUE(model);
  EXPECT_THAT(model->input_shapes(0), ElementsAre(Dims{}));
  EXPECT_THAT(refusal("format 1\nkind batch\ngear sizes=[] seconds=0\ngear sizes=[] seconds=0"),
              HasSubstr("each gear once"));
}

TEST(CompiledModel, ShowsTheLineThatIsDamaged) {
  const std::string head = "format 1\nkind batch\n";
  const std::string input = head + "input x dtype=float32 shape=[-1,2]\n";
  const std::string output = input + "output y dtype=float32\n";
  const std::vector<std::pair<std::string, const char*>> cases{
      {"", "gears after it"},
      {"gears: [1, 2]", "format 1"},
      {"{\"gears\": 1}", "format 1"},
      {"format 2", "the only one that this version"},
      {"format one", "a number"},
      {"format 1\ninput x", "kind"},
      {"format 1\nkind lengths", "one of batch, image_size, dims"},
      {"format 1 2", "the end of the line"},
      {head, "gears after it"},
      {head + "rows alike", "one of independent, mix"},
      {head + "rows mix\nrows mix", "in this order"},
      {head + "input x dtype=string shape=[1]", "an element type"},
      {head + "input x dtype=int8 shape=1,2", "[...]"},
      {head + "input x dtype=int8 shape=[1,]", "a number behind ','"},
      {head + "input x dtype=int8 shape=[-2]", "no dimension below -1"},
      {head + "input x dtype=int8 shape=[1,1,1,1,1,1,1,1,1]", "at most 8 dimensions"},
      {head + "input x dtype=int8 shape=[9999999999,9999999999]", "fewer elements"},
      {head + "input x shape=[1]", "dtype=..."},
      {head + "input \"x", "a closing quote"},
      {input + "input x dtype=float32 shape=[2]", "each name once"},
      {input + "gear sizes=[1] seconds=0\ngear sizes=[1] seconds=0", "each gear once"},
      {input + "gear sizes=[1,2] seconds=0", "1 sizes"},
      {input + "gear sizes=[0] seconds=0", "no dimension below 1"},
      {input + "gear sizes=[1] seconds=-1", "seconds"},
      {input + "gear sizes=[1] seconds=nan", "seconds"},
      {input + "gear sizes=[281474976710656] seconds=0", "fewer elements"},
      {output + "gear sizes=[1] seconds=0", "output=..."},
      {output + "gear sizes=[1] seconds=0 output=[1] output=[1]", "the end of the line"},
      {output + "input z dtype=float32 shape=[2]", "in this order"},
      {"format 1\nkind image_size\ninput x dtype=int8 shape=[1,-1]", "two of them"},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_THAT(refusal(text), AllOf(HasSubstr("dynbatch.gears in the model's metadata, line"),
                                     HasSubstr(expected)))
        << text;
  }
}

TEST(CompiledModel, HasAtMostAHundredGears) {
  CompiledModel model = documented_example();
  model.gears.resize(1);
  for (std::int64_t size = 101; size < 200; ++size) {
    model.gears.push_back({{size}, {{size, 10}, {}}, 0.0});
  }
  EXPECT_EQ(read(to_metadata(model))->gears.size(), 100u);
  model.gears.push_back({{200}, {{200, 10}, {}}, 0.0});
  EXPECT_THAT(refusal(to_metadata(model)), HasSubstr("at most 100 gears"));
}

}  // namespace
}  // namespace dynbatch

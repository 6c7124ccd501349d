#include "runtime/compile_grammar.hpp"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace dynbatch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Dims = std::vector<std::int64_t>;

CompileOptions batch_options(const std::string& gears,
                             const std::string& shape = "data:-1,3,416,416;img_info:-1,4") {
  CompileOptions options;
  options.input_shape = shape;
  options.dynamic_batch_size = gears;
  return options;
}

CompileOptions image_options(const std::string& gears, const std::string& shape = "x:1,3,-1,-1") {
  CompileOptions options;
  options.input_shape = shape;
  options.dynamic_image_size = gears;
  return options;
}

CompileOptions dims_options(const std::string& gears, const std::string& shape = "x:-1,-1;y:1,-1") {
  CompileOptions options;
  options.input_shape = shape;
  options.dynamic_dims = gears;
  options.input_format = "ND";
  return options;
}

CompileOptions shape_options(const std::string& shape) {
  CompileOptions options;
  options.input_shape = shape;
  return options;
}

template <class Change>
CompileOptions changed(CompileOptions options, Change change) {
  change(options);
  return options;
}

GearRequest request_of(const CompileOptions& options) {
  GearRequest request = parse_gear_request(options);
  check_free_dimensions(request, options);
  return request;
}

TEST(CompileGrammar, ReadsTheDocumentedExample) {
  const GearRequest request = request_of(batch_options("1,2,4,8"));
  EXPECT_EQ(request.kind, GearKind::batch);
  EXPECT_THAT(request.gears, ElementsAre(Dims{1}, Dims{2}, Dims{4}, Dims{8}));
  ASSERT_EQ(request.shapes.size(), 2u);
  EXPECT_EQ(request.shapes[0].name, "data");
  EXPECT_EQ(request.shapes[0].dims, (Dims{-1, 3, 416, 416}));
  EXPECT_EQ(request.shapes[1].dims, (Dims{-1, 4}));
}

TEST(CompileGrammar, KeepsTheOrderOfTheUser) {
  EXPECT_THAT(request_of(batch_options("4,1,8,2")).gears,
              ElementsAre(Dims{4}, Dims{1}, Dims{8}, Dims{2}));
}

TEST(CompileGrammar, PassesOverEmptyBatchSizes) {
  EXPECT_THAT(request_of(batch_options("1,,2,")).gears, ElementsAre(Dims{1}, Dims{2}));
}

TEST(CompileGrammar, ReadsImageSizesWithBlanksAndAClosingSemicolon) {
  const GearRequest request = request_of(image_options("416, 416; 832,832;"));
  EXPECT_EQ(request.kind, GearKind::image_size);
  EXPECT_THAT(request.gears, ElementsAre(Dims{416, 416}, Dims{832, 832}));
}

TEST(CompileGrammar, ReadsDimsInTheOrderOfTheShapes) {
  const GearRequest request = request_of(dims_options("1,16,2;8,32,4"));
  EXPECT_EQ(request.kind, GearKind::dims);
  EXPECT_THAT(request.gears, ElementsAre(Dims{1, 16, 2}, Dims{8, 32, 4}));
}

TEST(CompileGrammar, SplitsNamesAtTheLastColon) {
  const GearRequest request = request_of(batch_options("1,2", "a:0:-1,2;scalar:"));
  EXPECT_EQ(request.shapes[0].name, "a:0");
  EXPECT_EQ(request.shapes[1].name, "scalar");
  EXPECT_TRUE(request.shapes[1].dims.empty());
}

TEST(CompileGrammar, TakesHeightAndWidthWhereTheFormatHasThem) {
  const auto nhwc = [](CompileOptions& options) { options.input_format = "NHWC"; };
  EXPECT_NO_THROW(request_of(changed(image_options("1,2;3,4", "x:1,-1,-1,3"), nhwc)));
  EXPECT_THROW(request_of(changed(image_options("1,2;3,4", "x:1,3,-1,-1"), nhwc)), CompileError);
}

std::string numbers(int first, int last) {
  std::string text;
  for (int number = first; number <= last; ++number) text += std::to_string(number) + ",";
  return text;
}

TEST(CompileGrammar, TakesTwoToAHundredGears) {
  EXPECT_EQ(request_of(batch_options(numbers(1, 100))).gears.size(), 100u);
  EXPECT_EQ(request_of(batch_options("1,2")).gears.size(), 2u);
}

TEST(CompileGrammar, BindsASingleGearIfItIsFixed) {
  const auto fixed = [](CompileOptions& options) { options.fixed = true; };
  EXPECT_THAT(request_of(changed(batch_options("4"), fixed)).gears, ElementsAre(Dims{4}));
  EXPECT_THROW(request_of(changed(batch_options("1,2"), fixed)), CompileError);
}

struct Refusal {
  const char* code;
  const char* option;
  CompileOptions options;
};

std::vector<Refusal> refusals() {
  const auto with_image = [](CompileOptions& o) { o.dynamic_image_size = "1,2;3,4"; };
  const auto with_range = [](CompileOptions& o) { o.input_shape_range = "x:[1~10,3]"; };
  const auto with_aipp = [](CompileOptions& o) { o.insert_op_conf = "aipp.cfg"; };
  const auto format = [](const char* name) {
    return [name](CompileOptions& o) { o.input_format = name; };
  };
  const auto no_shape = [](CompileOptions& o) { o.input_shape.reset(); };
  return {
      {"E10001", "input_shape", batch_options("1,2", "x:-1,a")},
      {"E10001", "input_shape", batch_options("1,2", "x:-1,3,")},
      {"E10001", "input_shape", batch_options("1,2", "x:-1,,3")},
      {"E10001", "input_shape", batch_options("1,2", "x:-1;x:-1")},
      {"E10001", "input_shape", batch_options("1,2", "x:-1,1,1,1,1,1,1,1,1")},
      {"E10001", "input_shape", shape_options("x:1~8,3")},
      {"E10001", "dynamic_dims", dims_options("1,a,2;3,4,5")},
      {"E10001", "dynamic_dims", dims_options("1,,2;3,4,5")},
      {"E10001", "dynamic_batch_size", batch_options("1,99999999999")},
      {"E10001", "dynamic_batch_size", batch_options("1,99999999999999999999")},
      {"E10001", "input_format", changed(batch_options("1,2"), format("NWHC"))},
      {"E10001", "input_format", changed(dims_options("1,1,1;2,2,2"), format("NCHW"))},
      {"E10001", "insert_op_conf", changed(batch_options("1,2"), with_aipp)},
      {"E10001", "input_shape_range", changed(CompileOptions(), with_range)},
      {"E10002", "input_shape", batch_options("1,2", "-1,3")},
      {"E10002", "input_shape", batch_options("1,2", "x:-1,3;;y:-1")},
      {"E10002", "input_shape", batch_options("1,2", ":-1,3")},
      {"E10003", "dynamic_batch_size", batch_options("1;2")},
      {"E10003", "dynamic_batch_size", batch_options("1, 2")},
      {"E10003", "dynamic_batch_size", batch_options("-1,2")},
      {"E10003", "dynamic_image_size", image_options("1x2;3x4")},
      {"E10003", "input_format", changed(image_options("1,2;3,4"), format("ND"))},
      {"E10004", "dynamic_batch_size", batch_options("")},
      {"E10004", "input_shape", batch_options("1,2", "")},
      {"E10004", "input_format", changed(batch_options("1,2"), format(""))},
      {"E10009", "dynamic_batch_size", changed(batch_options("1,2"), with_image)},
      {"E10009", "dynamic_dims", changed(dims_options("1,1,1;2,2,2"), with_range)},
      {"E10011", "input_shape", batch_options("1,2", "x:-1,0")},
      {"E10011", "input_shape", batch_options("1,2", "x:-2,3")},
      {"E10011", "input_shape", shape_options("x:-1,3")},
      {"E10018", "input_shape", batch_options("1,2", "x:-1,-1")},
      {"E10018", "input_shape", batch_options("1,2", "x:-1,3;y:2,-1")},
      {"E10019", "input_shape", image_options("1,2;3,4", "x:-1,3,-1,8")},
      {"E10019", "input_shape", image_options("1,2;3,4", "x:-1,-1")},
      {"E10003", "dynamic_image_size", image_options("4 16,8;8,8")},
      {"E10020", "dynamic_image_size", image_options("1,2;3")},
      {"E10020", "dynamic_image_size", image_options("416,;8,8")},
      {"E10020", "dynamic_image_size", image_options("8,8;,8")},
      {"E10020", "dynamic_image_size", image_options("1,2,3;3,4,5")},
      {"E10031", "input_shape", batch_options("1,2", "x:3,-1")},
      {"E10035", "dynamic_batch_size", batch_options("1")},
      {"E10035", "dynamic_batch_size", batch_options(",")},
      {"E10035", "dynamic_image_size", image_options("1,2")},
      {"E10035", "dynamic_dims", dims_options("1,2,3")},
      {"E10036", "dynamic_batch_size", batch_options(numbers(1, 101))},
      {"E10037", "dynamic_dims", dims_options("1,2,3;4,5")},
      {"E10038", "dynamic_batch_size", batch_options("0,2")},
      {"E10038", "dynamic_image_size", image_options("1,0;3,4")},
      {"E10038", "dynamic_dims", dims_options("1,2,0;3,4,5")},
      {"E10039", "dynamic_batch_size", batch_options("1,2,1")},
      {"E10039", "dynamic_image_size", image_options("1,2;1,2")},
      {"E10040", "input_shape", batch_options("1,2", "x:1,3")},
      {"E10040", "input_shape", batch_options("1,2", "x:1~8,3")},
      {"E10045", "dynamic_dims", dims_options("1,2;3,4")},
      {"E10047", "insert_op_conf", changed(dims_options("1,1,1;2,2,2"), with_aipp)},
      {"E10058", "input_shape", changed(batch_options("1,2"), no_shape)},
  };
}

TEST(CompileGrammar, RefusesWithTheCodeAndTheOption) {
  for (const Refusal& refusal : refusals()) {
    try {
      request_of(refusal.options);
      ADD_FAILURE() << "no refusal: " << refusal.code << " " << refusal.option;
    } catch (const CompileError& error) {
      EXPECT_EQ(error.atc_code(), refusal.code) << error.what();
      EXPECT_EQ(error.option(), refusal.option) << error.what();
      EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
      EXPECT_THAT(error.what(), HasSubstr(std::string(refusal.code) + ": --" + refusal.option));
      EXPECT_FALSE(error.allowed().empty());
    }
  }
}

TEST(CompileGrammar, NamesDynamicDimsForABatchAxisThatIsNotFirst) {
  for (const char* shape : {"x:3,-1", "x:-1,-1"}) {
    try {
      request_of(batch_options("1,2", shape));
      ADD_FAILURE() << shape;
    } catch (const CompileError& error) {
      EXPECT_THAT(error.what(), HasSubstr("--dynamic_dims"));
    }
  }
}

TEST(CompileGrammar, SaysFewerOrSmallerOfTooManyGears) {
  try {
    request_of(batch_options(numbers(1, 101)));
    ADD_FAILURE();
  } catch (const CompileError& error) {
    EXPECT_THAT(error.what(), HasSubstr("fewer or smaller"));
    EXPECT_EQ(error.given(), numbers(1, 101));
    EXPECT_THAT(error.allowed(), HasSubstr("these are 101"));
  }
}

}  // namespace
}  // namespace dynbatch

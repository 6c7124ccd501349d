// Every code of acl.h that can occur at run time, each by the calls that a caller would be told it for.
#include <gmock/gmock.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <ostream>
#include <regex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <dynbatch/acl.h>

#include "cpp/capi/acl_world.hpp"

namespace dynbatch::testing {
namespace {

constexpr std::size_t kAll = static_cast<std::size_t>(-1);
constexpr std::size_t kTooLarge = std::size_t{1} << 60;

/// A batch model and datasets that would execute it in its largest gear.
struct Loaded {
  AclWorld world;
  std::uint32_t id = AclWorld::load(batch_model());
  TestDataset input{{96, 4}};
  TestDataset output{{96}};
  TestDescription description{id};

  aclError set(std::uint64_t batch) const {
    return aclmdlSetDynamicBatchSize(id, input.get(), 1, batch);
  }
  aclError execute() const { return aclmdlExecute(id, input.get(), output.get()); }
};

std::string temporary(const std::string& name, const std::string& text) {
  const auto path = std::filesystem::path(::testing::TempDir()) / name;
  std::ofstream(path, std::ios::binary) << text;
  return path.string();
}

aclError load(const std::string& bytes) {
  std::uint32_t id = 0;
  return aclmdlLoadFromMem(bytes.data(), bytes.size(), &id);
}

aclError load_file(const char* path) {
  std::uint32_t id = 0;
  return aclmdlLoadFromFile(path, &id);
}

aclError on_a_thread(const std::function<aclError()>& call) {
  aclError code = ACL_SUCCESS;
  std::thread([&] { code = call(); }).join();
  return code;
}

aclError set_dims(std::uint32_t id, const TestDataset& set,
                  const std::vector<std::int64_t>& sizes) {
  aclmdlIODims dims = {};
  dims.dimCount = sizes.size();
  for (std::size_t i = 0; i < sizes.size(); ++i) dims.dims[i] = sizes[i];
  return aclmdlSetInputDynamicDims(id, set.get(), 1, &dims);
}

/// A model whose only node fails on the values of this test: an index that its table does not have.
std::string failing_model() {
  return OnnxGraph()
      .input("x", DataType::int64, {2})
      .constant("table", {1.0F, 2.0F})
      .node("Gather", {"table", "x"}, {"y"})
      .output("y", DataType::float32, {2})
      .bytes();
}

/// Inputs whose dims are more than a structure has room for.
std::string wide_model() {
  OnnxGraph graph;
  CompiledModel compiled{.kind = GearKind::dims, .outputs = {{.name = "y"}}};
  for (int i = 0; i < 17; ++i) {
    const std::string name = "x" + std::to_string(i);
    graph.input(name, DataType::float32, {i == 0 ? Dim("n") : Dim(1), 1, 1, 1, 1, 1, 1, 1});
    compiled.inputs.push_back({.name = name, .shape = {i == 0 ? -1 : 1, 1, 1, 1, 1, 1, 1, 1}});
  }
  graph.node("Neg", {"x0"}, {"y"}).output("y", DataType::float32, {"n", 1, 1, 1, 1, 1, 1, 1});
  for (const std::int64_t n : {1, 2}) {
    compiled.gears.push_back({.sizes = {n}, .output_shapes = {{n, 1, 1, 1, 1, 1, 1, 1}}});
  }
  return graph.metadata(kCompiledModelKey, to_metadata(compiled)).bytes();
}

struct Case {
  const char* name;
  aclError expected;
  std::function<aclError()> call;
};

void PrintTo(const Case& each, std::ostream* to) { *to << each.name; }

std::vector<Case> beginning_and_end() {
  return {
      {"FinalizeBeforeInit", ACL_ERROR_UNINITIALIZE, [] { return aclFinalize(); }},
      {"FinalizeTwice", ACL_ERROR_REPEAT_FINALIZE,
       [] {
         aclInit(nullptr);
         aclFinalize();
         return aclFinalize();
       }},
      {"InitTwice", ACL_ERROR_REPEAT_INITIALIZE,
       [] {
         const AclWorld world;
         return aclInit(nullptr);
       }},
      {"InitWithoutFile", ACL_ERROR_INVALID_FILE, [] { return aclInit("/nowhere/acl.json"); }},
      {"InitWithNoObject", ACL_ERROR_INVALID_FILE,
       [] { return aclInit(temporary("array.json", "[1, 2]").c_str()); }},
      {"InitWithOpenObject", ACL_ERROR_INVALID_FILE,
       [] { return aclInit(temporary("open.json", "{\"a\": [1, 2}").c_str()); }},
      {"LoadBeforeInit", ACL_ERROR_GE_EXEC_NOT_INIT, [] { return load(static_model()); }},
      {"ExecuteBeforeInit", ACL_ERROR_GE_EXEC_NOT_INIT,
       [] {
         const TestDataset set({});
         return aclmdlExecute(1, set.get(), set.get());
       }},
      {"DeviceThatIsNotThere", ACL_ERROR_RT_PARAM_INVALID, [] { return aclrtSetDevice(1); }},
      {"CopyBeyondTheRoom", ACL_ERROR_RT_PARAM_INVALID,
       [] {
         char to[4];
         const char from[8] = {};
         return aclrtMemcpy(to, sizeof to, from, sizeof from, ACL_MEMCPY_DEFAULT);
       }},
      {"ContextOfANewThread", ACL_ERROR_RT_CONTEXT_NULL,
       [] {
         const AclWorld world;
         return on_a_thread([] {
           aclrtContext context = nullptr;
           return aclrtGetCurrentContext(&context);
         });
       }},
      {"StreamWithoutContext", ACL_ERROR_RT_CONTEXT_NULL,
       [] {
         return on_a_thread([] {
           aclrtStream stream = nullptr;
           return aclrtCreateStream(&stream);
         });
       }},
      {"MoreMemoryThanThereIs", ACL_ERROR_RT_MEMORY_ALLOCATION,
       [] {
         void* memory = nullptr;
         return aclrtMallocHost(&memory, kTooLarge);
       }},
      {"NoBytes", ACL_ERROR_INVALID_PARAM,
       [] {
         void* memory = nullptr;
         return aclrtMallocHost(&memory, 0);
       }},
      {"FreedInAnotherWay", ACL_ERROR_INVALID_PARAM,
       [] {
         void* memory = nullptr;
         aclrtMallocHost(&memory, 8);
         const aclError code = aclrtFree(memory);
         aclrtFreeHost(memory);
         return code;
       }},
  };
}

std::vector<Case> loading() {
  return {
      {"NoSuchFile", ACL_ERROR_GE_EXEC_MODEL_PATH_INVALID,
       [] {
         const AclWorld world;
         return load_file("/nowhere/model.om");
       }},
      {"FolderAsFile", ACL_ERROR_GE_EXEC_MODEL_PATH_INVALID,
       [] {
         const AclWorld world;
         return load_file("/");
       }},
      {"NullPath", ACL_ERROR_INVALID_PARAM,
       [] {
         const AclWorld world;
         return load_file(nullptr);
       }},
      {"EmptyFile", ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID,
       [] {
         const AclWorld world;
         return load_file(temporary("empty.om", "").c_str());
       }},
      {"CutOffModel", ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID,
       [] {
         const AclWorld world;
         return load(batch_model().substr(0, 60));
       }},
      {"DamagedGears", ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID,
       [] {
         const AclWorld world;
         return load(doubled_plus_one({"n", 3}).metadata(kCompiledModelKey, "gear").bytes());
       }},
      {"FreeDimensionsWithoutGears", ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID,
       [] {
         const AclWorld world;
         return load(doubled_plus_one({"n", 3}).bytes());
       }},
      {"TooLittleGivenMemory", ACL_ERROR_GE_PARAM_INVALID,
       [] {
         const AclWorld world;
         const std::string model = static_model();
         char work[8];
         std::uint32_t id = 0;
         return aclmdlLoadFromMemWithMem(model.data(), model.size(), &id, work, sizeof work,
                                         nullptr, 0);
       }},
      {"UnknownModel", ACL_ERROR_GE_EXEC_MODEL_ID_INVALID,
       [] {
         const Loaded loaded;
         return aclmdlUnload(loaded.id + 1);
       }},
      {"DimsOfAnUnloadedModel", ACL_ERROR_GE_EXEC_MODEL_ID_INVALID,
       [] {
         const Loaded loaded;
         aclmdlUnload(loaded.id);
         aclmdlIODims dims;
         return aclmdlGetCurOutputDims(loaded.description.get(), 0, &dims);
       }},
  };
}

std::vector<Case> setting() {
  return {
      {"BatchOfZero", ACL_ERROR_INVALID_PARAM, [] { return Loaded().set(0); }},
      {"BatchThatIsNoGear", ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID,
       [] { return Loaded().set(3); }},
      {"OtherKindOfGear", ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID,
       [] {
         const Loaded loaded;
         const TestDataset input({96, 8});
         return aclmdlSetDynamicHWSize(loaded.id, input.get(), 1, 4, 4);
       }},
      {"GearOfAStaticModel", ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID,
       [] {
         const Loaded loaded;
         const std::uint32_t id = AclWorld::load(static_model());
         return aclmdlSetDynamicBatchSize(id, loaded.input.get(), 1, 2);
       }},
      {"DimsOfABatchModel", ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID,
       [] {
         const Loaded loaded;
         return set_dims(loaded.id, loaded.input, {4, 3});
       }},
      {"GearOfAnUnknownModel", ACL_ERROR_GE_EXEC_MODEL_ID_INVALID,
       [] {
         const Loaded loaded;
         return aclmdlSetDynamicBatchSize(loaded.id + 1, loaded.input.get(), 1, 2);
       }},
      {"IndexOfADataInput", ACL_ERROR_INVALID_PARAM,
       [] {
         const Loaded loaded;
         return aclmdlSetDynamicBatchSize(loaded.id, loaded.input.get(), 0, 2);
       }},
      {"IndexBeyond", ACL_ERROR_INVALID_PARAM,
       [] {
         const Loaded loaded;
         return aclmdlSetDynamicBatchSize(loaded.id, loaded.input.get(), 2, 2);
       }},
      {"NullShapeBuffer", ACL_ERROR_INVALID_PARAM,
       [] {
         Loaded loaded;
         loaded.input.tell_null(1, 4);
         return loaded.set(2);
       }},
      {"NullDataset", ACL_ERROR_INVALID_PARAM,
       [] {
         const Loaded loaded;
         return aclmdlSetDynamicBatchSize(loaded.id, nullptr, 1, 2);
       }},
      {"ShapeBufferOfThreeBytes", ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID,
       [] {
         Loaded loaded;
         loaded.input.tell(1, 3);
         return loaded.set(2);
       }},
      {"ImageSizeInFourBytes", ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID,
       [] {
         const Loaded loaded;
         return aclmdlSetDynamicHWSize(AclWorld::load(image_model()), loaded.input.get(), 1, 2, 3);
       }},
      {"TooFewDims", ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID,
       [] {
         const AclWorld world;
         return set_dims(AclWorld::load(dims_model()), TestDataset({80, 8}), {2, 2});
       }},
      {"AStaticDimThatChanges", ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID,
       [] {
         const AclWorld world;
         return set_dims(AclWorld::load(dims_model()), TestDataset({80, 8}), {2, 3, 5});
       }},
      {"DimsThatAreNoGear", ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID,
       [] {
         const AclWorld world;
         return set_dims(AclWorld::load(dims_model()), TestDataset({80, 8}), {2, 2, 1});
       }},
      {"RowsThatNoGearHolds", ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID,
       [] {
         const Loaded loaded;
         std::uint64_t batch = 0;
         return dynbatchAclGearForRows(loaded.id, 9, DYNBATCH_ACL_UPPER, &batch);
       }},
      {"TensorDescription", ACL_ERROR_API_NOT_SUPPORT,
       [] {
         const Loaded loaded;
         return aclmdlSetDatasetTensorDesc(loaded.input.get(), nullptr, 0);
       }},
      {"Aipp", ACL_ERROR_GE_AIPP_NOT_EXIST,
       [] {
         const Loaded loaded;
         aclmdlAIPP* const aipp = aclmdlCreateAIPP(8);
         const aclError code = aclmdlSetInputAIPP(loaded.id, loaded.input.get(), 0, aipp);
         aclmdlDestroyAIPP(aipp);
         return code;
       }},
  };
}

std::vector<Case> describing() {
  return {
      {"DimsOfATensorThatIsNotThere", ACL_ERROR_INVALID_PARAM,
       [] {
         const Loaded loaded;
         aclmdlIODims dims;
         return aclmdlGetInputDims(loaded.description.get(), 2, &dims);
       }},
      {"NameThatIsNotThere", ACL_ERROR_INVALID_PARAM,
       [] {
         const Loaded loaded;
         std::size_t index = 0;
         return aclmdlGetInputIndexByName(loaded.description.get(), "z", &index);
       }},
      {"DimsOfOneInput", ACL_ERROR_INVALID_PARAM,
       [] {
         const Loaded loaded;
         std::size_t count = 0;
         return aclmdlGetInputDynamicGearCount(loaded.description.get(), 0, &count);
       }},
      {"NullDims", ACL_ERROR_INVALID_PARAM,
       [] {
         const Loaded loaded;
         return aclmdlGetCurOutputDims(loaded.description.get(), 0, nullptr);
       }},
      {"DestroyedDescription", ACL_ERROR_INVALID_PARAM,
       [] {
         const Loaded loaded;
         aclmdlDesc* const description = aclmdlCreateDesc();
         aclmdlDestroyDesc(description);
         return aclmdlGetDesc(description, loaded.id);
       }},
      {"MoreDimsThanThereIsRoomFor", ACL_ERROR_STORAGE_OVER_LIMIT,
       [] {
         const AclWorld world;
         const TestDescription description(AclWorld::load(wide_model()));
         std::vector<aclmdlIODims> dims(2);
         return aclmdlGetInputDynamicDims(description.get(), kAll, dims.data(), dims.size());
       }},
  };
}

std::vector<Case> executing() {
  return {
      {"UnsetWithASmallInput", ACL_ERROR_GE_PARAM_INVALID,
       [] {
         Loaded loaded;
         loaded.input.tell(0, 95);
         return loaded.execute();
       }},
      {"SetWithASmallInput", ACL_ERROR_GE_PARAM_INVALID,
       [] {
         Loaded loaded;
         loaded.set(4);
         loaded.input.tell(0, 47);
         return loaded.execute();
       }},
      {"SetWithASmallOutput", ACL_ERROR_GE_PARAM_INVALID,
       [] {
         Loaded loaded;
         loaded.set(4);
         loaded.output.tell(0, 47);
         return loaded.execute();
       }},
      {"WithoutTheShapeInput", ACL_ERROR_GE_PARAM_INVALID,
       [] {
         const Loaded loaded;
         const TestDataset input({96});
         return aclmdlExecute(loaded.id, input.get(), loaded.output.get());
       }},
      {"OneOutputTooMany", ACL_ERROR_GE_PARAM_INVALID,
       [] {
         Loaded loaded;
         loaded.output.add(96);
         return loaded.execute();
       }},
      {"NullInput", ACL_ERROR_INVALID_PARAM,
       [] {
         Loaded loaded;
         loaded.input.tell_null(0, 96);
         return loaded.execute();
       }},
      {"DestroyedBuffer", ACL_ERROR_INVALID_PARAM,
       [] {
         const Loaded loaded;
         aclDestroyDataBuffer(loaded.output.buffer(0));
         return loaded.execute();
       }},
      {"NullShapeInput", ACL_ERROR_GE_DYNAMIC_INPUT_ADDR_INVALID,
       [] {
         Loaded loaded;
         loaded.input.tell_null(1, 4);
         return loaded.execute();
       }},
      {"ShortShapeInput", ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID,
       [] {
         Loaded loaded;
         loaded.input.tell(1, 3);
         return loaded.execute();
       }},
      {"GearOfAnotherModel", ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID,
       [] {
         const Loaded loaded;
         const std::uint32_t other = AclWorld::load(
             with_gears(doubled_plus_one({"n", 3}), GearKind::batch, {-1, 3}, {{5}, {6}}));
         aclmdlSetDynamicBatchSize(other, loaded.input.get(), 1, 5);
         return loaded.execute();
       }},
      {"ARunThatFails", ACL_ERROR_GE_FAILURE,
       [] {
         const AclWorld world;
         const TestDataset input({16});
         const TestDataset output({8});
         input.as<std::int64_t>(0)[1] = 7;
         return aclmdlExecute(AclWorld::load(failing_model()), input.get(), output.get());
       }},
      {"AsyncWithoutOutputMemory", ACL_ERROR_GE_PARAM_INVALID,
       [] {
         Loaded loaded;
         loaded.output.tell_null(0, 0);
         aclrtStream stream = nullptr;
         aclrtCreateStream(&stream);
         const aclError code =
             aclmdlExecuteAsync(loaded.id, loaded.input.get(), loaded.output.get(), stream);
         aclrtDestroyStream(stream);
         return code;
       }},
      {"AsyncWithoutStream", ACL_ERROR_INVALID_PARAM,
       [] {
         const Loaded loaded;
         return aclmdlExecuteAsync(loaded.id, loaded.input.get(), loaded.output.get(), nullptr);
       }},
  };
}

std::vector<Case> all_cases() {
  std::vector<Case> all;
  for (const auto& part : {beginning_and_end(), loading(), setting(), describing(), executing()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

class Codes : public ::testing::TestWithParam<Case> {};

TEST_P(Codes, IsAnsweredAndSaidInWords) { EXPECT_EQ(GetParam().call(), GetParam().expected); }

INSTANTIATE_TEST_SUITE_P(All, Codes, ::testing::ValuesIn(all_cases()),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(CodesOfTheHeader, EachHasACase) {
  const auto header = std::filesystem::path(__FILE__) / "../../../../cpp/include/dynbatch/acl.h";
  std::ifstream file(header.lexically_normal());
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::regex definition("#define ACL_ERROR_\\w+ ([1-9]\\d*)");
  std::set<int> defined;
  for (std::sregex_iterator each(text.begin(), text.end(), definition), end; each != end; ++each) {
    defined.insert(std::stoi((*each)[1]));
  }
  std::set<int> shown;
  for (const Case& each : all_cases()) shown.insert(each.expected);
  shown.insert(ACL_ERROR_BAD_ALLOC);       // acl_out_of_memory_test.cpp
  shown.insert(ACL_ERROR_INTERNAL_ERROR);  // a fault of ours: there is no way to it
  EXPECT_EQ(defined, shown);
}

TEST(Messages, NameTheCallWhatWasExpectedAndTheCode) {
  EXPECT_EQ(Loaded().set(3), ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID);
  EXPECT_THAT(aclGetRecentErrMsg(),
              ::testing::AllOf(::testing::HasSubstr("aclmdlSetDynamicBatchSize"),
                               ::testing::HasSubstr("4; 1; 8; 2"), ::testing::HasSubstr("got 3"),
                               ::testing::HasSubstr("145013")));
}

TEST(Messages, AreOfTheThreadThatFailed) {
  EXPECT_NE(aclrtSetDevice(5), ACL_SUCCESS);
  std::string of_another = "unset";
  std::thread([&] { of_another = aclGetRecentErrMsg(); }).join();
  EXPECT_EQ(of_another, "");
  EXPECT_THAT(aclGetRecentErrMsg(), ::testing::HasSubstr("got 5"));
}

}  // namespace
}  // namespace dynbatch::testing

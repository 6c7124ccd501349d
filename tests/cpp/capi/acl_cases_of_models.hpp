// Codes of beginning, loading and describing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <dynbatch/acl.h>

#include "cpp/capi/acl_case.hpp"

namespace dynbatch::testing {

inline std::vector<Case> beginning_and_end() {
  return {
      {"FinalizeBeforeInit", ACL_ERROR_UNINITIALIZE, [] { return finalized_first.code; },
       [] { return finalized_first.words; }},
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
      {"InitWithAFolder", ACL_ERROR_INVALID_FILE,
       [] { return aclInit(::testing::TempDir().c_str()); }},
      {"InitWithAPipe", ACL_ERROR_INVALID_FILE,
       [] { return aclInit(pipe_without_writer().c_str()); }},
      {"InitWithAnEmptyFile", ACL_ERROR_INVALID_FILE,
       [] { return aclInit(temporary("empty.json", "").c_str()); }},
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
         aclrtContext context = nullptr;
         return aclrtGetCurrentContext(&context);
       }},
      {"StreamWithoutContext", ACL_ERROR_RT_CONTEXT_NULL,
       [] {
         aclrtStream stream = nullptr;
         return aclrtCreateStream(&stream);
       }},
      {"MemoryWithoutContext", ACL_ERROR_RT_CONTEXT_NULL,
       [] {
         void* memory = nullptr;
         return aclrtMalloc(&memory, 8, ACL_MEM_MALLOC_HUGE_FIRST);
       }},
      {"ResetOfADeviceThatIsNotThere", ACL_ERROR_RT_PARAM_INVALID,
       [] { return aclrtResetDevice(1); }},
      {"CopyToNull", ACL_ERROR_INVALID_PARAM,
       [] {
         const char from[8] = {};
         return aclrtMemcpy(nullptr, 8, from, sizeof from, ACL_MEMCPY_DEFAULT);
       }},
      {"CopyOfNull", ACL_ERROR_INVALID_PARAM,
       [] {
         char to[8];
         return aclrtMemcpy(to, sizeof to, nullptr, 8, ACL_MEMCPY_DEFAULT);
       }},
      {"FillOfNull", ACL_ERROR_INVALID_PARAM, [] { return aclrtMemset(nullptr, 8, 0, 8); }},
      {"FillBeyondTheRoom", ACL_ERROR_RT_PARAM_INVALID,
       [] {
         char to[4];
         return aclrtMemset(to, sizeof to, 0, 5);
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

inline std::vector<Case> loading() {
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
      {"TooLittleGivenWeightMemory", ACL_ERROR_GE_PARAM_INVALID,
       [] {
         const AclWorld world;
         const std::string model = static_model();
         char weight[8];
         std::uint32_t id = 0;
         return aclmdlLoadFromMemWithMem(model.data(), model.size(), &id, nullptr, 0, weight,
                                         sizeof weight);
       }},
      {"NullModel", ACL_ERROR_INVALID_PARAM,
       [] {
         const AclWorld world;
         std::uint32_t id = 0;
         return aclmdlLoadFromMem(nullptr, 8, &id);
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

inline std::vector<Case> describing() {
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

}  // namespace dynbatch::testing

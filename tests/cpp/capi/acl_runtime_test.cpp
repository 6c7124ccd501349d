// Beginning and end, contexts, memory.
#include <gmock/gmock.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <latch>
#include <thread>
#include <vector>

#include <dynbatch/acl.h>

#include "cpp/capi/acl_world.hpp"

namespace dynbatch::testing {
namespace {

TEST(Init, TakesAConfigurationAndMayBeginAnew) {
  const auto path = std::filesystem::path(::testing::TempDir()) / "acl.json";
  std::ofstream(path) << R"( {"dump": {"path": "a \"quoted\" }"}, "list": [1, {}]} )";
  EXPECT_EQ(aclInit(path.c_str()), ACL_SUCCESS) << aclGetRecentErrMsg();
  EXPECT_EQ(aclFinalize(), ACL_SUCCESS);
  EXPECT_EQ(aclInit(""), ACL_SUCCESS);
  EXPECT_EQ(aclFinalize(), ACL_SUCCESS);
}

TEST(Finalize, UnloadsWhatIsStillLoaded) {
  ASSERT_EQ(aclInit(nullptr), ACL_SUCCESS);
  const std::uint32_t first = AclWorld::load(static_model());
  EXPECT_EQ(dynbatchAclLiveHandles(), 1U);
  ASSERT_EQ(aclFinalize(), ACL_SUCCESS);
  EXPECT_EQ(dynbatchAclLiveHandles(), 0U);
  ASSERT_EQ(aclInit(nullptr), ACL_SUCCESS);
  EXPECT_GT(AclWorld::load(static_model()), first) << "no id is given twice";
  ASSERT_EQ(aclFinalize(), ACL_SUCCESS);
}

/// Copies that take a while, of which the last byte tells.
class SlowCopies {
 public:
  SlowCopies() : from_(std::size_t{32} << 20, 'x'), to_(from_.size(), 'o') {}
  void queue(aclrtStream stream) {
    for (int i = 0; i < 20; ++i) {
      ASSERT_EQ(aclrtMemcpyAsync(to_.data(), to_.size(), from_.data(), from_.size(),
                                 ACL_MEMCPY_HOST_TO_HOST, stream),
                ACL_SUCCESS);
    }
    ASSERT_EQ(aclrtMemcpyAsync(&done_, 1, from_.data(), 1, ACL_MEMCPY_HOST_TO_HOST, stream),
              ACL_SUCCESS);
  }
  char done() const { return done_; }

 private:
  std::vector<char> from_;
  std::vector<char> to_;
  char done_ = 'o';
};

TEST(Finalize, WaitsForWhatIsQueued) {
  SlowCopies copies;
  ASSERT_EQ(aclInit(nullptr), ACL_SUCCESS);
  ASSERT_EQ(aclrtSetDevice(0), ACL_SUCCESS);
  aclrtStream stream = nullptr;
  ASSERT_EQ(aclrtCreateStream(&stream), ACL_SUCCESS);
  copies.queue(stream);
  ASSERT_EQ(aclFinalize(), ACL_SUCCESS);
  EXPECT_EQ(copies.done(), 'x');
  EXPECT_EQ(aclrtDestroyStream(stream), ACL_SUCCESS);
}

TEST(Stream, IsDestroyedOnceItsWorkIsDoneWhoeverElseWaitsForIt) {
  SlowCopies copies;
  const AclWorld world;
  aclrtStream stream = nullptr;
  ASSERT_EQ(aclrtCreateStream(&stream), ACL_SUCCESS);
  copies.queue(stream);
  std::latch begun(5);
  std::vector<std::thread> waiters;
  for (int waiter = 0; waiter < 4; ++waiter) {
    waiters.emplace_back([&] {
      begun.arrive_and_wait();
      const aclError code = aclrtSynchronizeStream(stream);
      // One that comes too late finds no stream.
      EXPECT_THAT(code, ::testing::AnyOf(ACL_SUCCESS, ACL_ERROR_INVALID_PARAM));
    });
  }
  begun.arrive_and_wait();
  EXPECT_EQ(aclrtDestroyStream(stream), ACL_SUCCESS);
  EXPECT_EQ(copies.done(), 'x');
  for (std::thread& waiter : waiters) waiter.join();
}

TEST(RunMode, IsHostUnlessTheEnvironmentSaysOtherwise) {
  aclrtRunMode mode = ACL_DEVICE;
  ASSERT_EQ(aclrtGetRunMode(&mode), ACL_SUCCESS);
  EXPECT_EQ(mode, ACL_HOST);
  setenv("DYNBATCH_ACL_RUN_MODE", "device", 1);
  ASSERT_EQ(aclrtGetRunMode(&mode), ACL_SUCCESS);
  EXPECT_EQ(mode, ACL_DEVICE);
  setenv("DYNBATCH_ACL_RUN_MODE", "gpu", 1);
  EXPECT_EQ(aclrtGetRunMode(&mode), ACL_ERROR_INVALID_PARAM);
  EXPECT_THAT(aclGetRecentErrMsg(), ::testing::HasSubstr("gpu"));
  unsetenv("DYNBATCH_ACL_RUN_MODE");
}

TEST(Context, IsOfAThreadAndMayBeLent) {
  const AclWorld world;
  aclrtContext main = nullptr;
  ASSERT_EQ(aclrtGetCurrentContext(&main), ACL_SUCCESS);
  std::thread([main] {
    aclrtContext mine = nullptr;
    EXPECT_EQ(aclrtGetCurrentContext(&mine), ACL_ERROR_RT_CONTEXT_NULL);
    EXPECT_EQ(aclrtSetCurrentContext(main), ACL_SUCCESS);
    EXPECT_EQ(aclrtGetCurrentContext(&mine), ACL_SUCCESS);
    EXPECT_EQ(mine, main);
  }).join();
  aclrtContext own = nullptr;
  ASSERT_EQ(aclrtCreateContext(&own, 0), ACL_SUCCESS);
  aclrtContext now = nullptr;
  ASSERT_EQ(aclrtGetCurrentContext(&now), ACL_SUCCESS);
  EXPECT_EQ(now, own);
  EXPECT_EQ(aclrtDestroyContext(main), ACL_ERROR_INVALID_PARAM) << "it is the device's";
  EXPECT_EQ(aclrtDestroyContext(own), ACL_SUCCESS);
  EXPECT_EQ(aclrtGetCurrentContext(&now), ACL_ERROR_RT_CONTEXT_NULL);
}

TEST(Device, KeepsItsContextUntilAllThatHaveSetItResetIt) {
  const AclWorld world;
  std::thread([] {
    EXPECT_EQ(aclrtSetDevice(0), ACL_SUCCESS);
    EXPECT_EQ(aclrtResetDevice(0), ACL_SUCCESS);
  }).join();
  aclrtContext context = nullptr;
  EXPECT_EQ(aclrtGetCurrentContext(&context), ACL_SUCCESS);
  EXPECT_EQ(aclrtResetDevice(0), ACL_SUCCESS);
  EXPECT_EQ(aclrtGetCurrentContext(&context), ACL_ERROR_RT_CONTEXT_NULL);
  EXPECT_EQ(aclrtResetDevice(0), ACL_SUCCESS) << "nothing is set";
  ASSERT_EQ(aclrtSetDevice(0), ACL_SUCCESS);
  EXPECT_EQ(aclrtGetCurrentContext(&context), ACL_SUCCESS);
}

TEST(Device, IsResetOnWhateverThread) {
  const AclWorld world;
  aclrtContext context = nullptr;
  ASSERT_EQ(aclrtGetCurrentContext(&context), ACL_SUCCESS);
  std::thread([] { EXPECT_EQ(aclrtResetDevice(0), ACL_SUCCESS); }).join();
  EXPECT_EQ(aclrtSetCurrentContext(context), ACL_ERROR_INVALID_PARAM);
  EXPECT_EQ(aclrtGetCurrentContext(&context), ACL_ERROR_RT_CONTEXT_NULL);
}

TEST(Device, IsResetByFinalizeHoweverOftenItWasSet) {
  ASSERT_EQ(aclInit(nullptr), ACL_SUCCESS);
  ASSERT_EQ(aclrtSetDevice(0), ACL_SUCCESS);
  ASSERT_EQ(aclrtSetDevice(0), ACL_SUCCESS);
  ASSERT_EQ(aclFinalize(), ACL_SUCCESS);
  const AclWorld world;  // sets it once, and resets it once
  aclrtContext context = nullptr;
  EXPECT_EQ(aclrtResetDevice(0), ACL_SUCCESS);
  EXPECT_EQ(aclrtGetCurrentContext(&context), ACL_ERROR_RT_CONTEXT_NULL);
}

TEST(Memory, IsAlignedAndCopiedWithinItsRoom) {
  const AclWorld world;
  void* device = nullptr;
  ASSERT_EQ(aclrtMalloc(&device, 5, ACL_MEM_MALLOC_NORMAL_ONLY), ACL_SUCCESS);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(device) % 64, 0U);
  EXPECT_EQ(aclrtMemset(device, 5, 'a', 5), ACL_SUCCESS);
  EXPECT_EQ(aclrtMemset(device, 5, 'a', 6), ACL_ERROR_RT_PARAM_INVALID);
  char host[5] = "";
  EXPECT_EQ(aclrtMemcpy(host, sizeof host, device, 0, ACL_MEMCPY_DEVICE_TO_HOST), ACL_SUCCESS);
  EXPECT_EQ(aclrtMemcpy(host, sizeof host, device, 4, ACL_MEMCPY_DEVICE_TO_HOST), ACL_SUCCESS);
  EXPECT_STREQ(host, "aaaa");
  EXPECT_EQ(aclrtFree(device), ACL_SUCCESS);
  EXPECT_EQ(aclrtFree(device), ACL_ERROR_INVALID_PARAM) << "twice";
  EXPECT_EQ(aclrtFree(nullptr), ACL_ERROR_INVALID_PARAM);
}

TEST(DataTypes, HaveTheirSizes) {
  EXPECT_EQ(aclDataTypeSize(ACL_FLOAT16), 2U);
  EXPECT_EQ(aclDataTypeSize(ACL_INT64), 8U);
  EXPECT_EQ(aclDataTypeSize(ACL_COMPLEX128), 16U);
  EXPECT_EQ(aclDataTypeSize(ACL_STRING), 0U);
}

TEST(Threads, ThatAreNoneAreRefused) {
  EXPECT_EQ(dynbatchAclSetThreads(0), ACL_ERROR_INVALID_PARAM);
  EXPECT_EQ(dynbatchAclSetThreads(1), ACL_SUCCESS);
}

TEST(RuntimeLibrary, ThatIsNotThereIsTold) {
  const AclWorld world;
  const std::string model = static_model();
  std::uint32_t id = 0;
  ASSERT_EQ(dynbatchAclSetRuntimeLibrary("/nowhere/libonnxruntime.so"), ACL_SUCCESS);
  EXPECT_EQ(aclmdlLoadFromMem(model.data(), model.size(), &id),
            ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID);
  EXPECT_THAT(aclGetRecentErrMsg(), ::testing::HasSubstr("/nowhere/libonnxruntime.so"));
  ASSERT_EQ(dynbatchAclSetRuntimeLibrary(nullptr), ACL_SUCCESS);
}

}  // namespace
}  // namespace dynbatch::testing

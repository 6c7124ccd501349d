// When there is no memory, or no thread, C functions answer so, and no exception leaves them.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <pthread.h>

#include <cerrno>

#include <dynbatch/acl.h>

#include "cpp/watched_allocations.hpp"

namespace {
thread_local bool refuses_threads = false;
}

// The threads that the library makes come here.
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*body)(void*), void* argument) {
  if (refuses_threads) return EAGAIN;
  static const auto next =
      reinterpret_cast<decltype(&pthread_create)>(dlsym(RTLD_NEXT, "pthread_create"));
  return next(thread, attributes, body, argument);
}

namespace dynbatch {
namespace {

/// What a call answers while nothing can be allocated.
template <class Call>
auto without_memory(Call call) {
  before_allocation = refuse_allocation;
  const auto answer = call();
  before_allocation = nullptr;
  return answer;
}

TEST(OutOfMemory, CodesAreAnswered) {
  aclmdlDataset* const dataset = aclmdlCreateDataset();
  aclDataBuffer* const buffer = aclCreateDataBuffer(nullptr, 0);
  EXPECT_EQ(without_memory([&] { return aclmdlAddDatasetBuffer(dataset, buffer); }),
            ACL_ERROR_BAD_ALLOC);
  EXPECT_EQ(aclmdlGetDatasetNumBuffers(dataset), 0U);
  EXPECT_EQ(aclmdlAddDatasetBuffer(dataset, buffer), ACL_SUCCESS);
  EXPECT_EQ(aclDestroyDataBuffer(buffer), ACL_SUCCESS);
  EXPECT_EQ(aclmdlDestroyDataset(dataset), ACL_SUCCESS);
}

TEST(OutOfMemory, NothingIsMade) {
  EXPECT_EQ(without_memory([] { return aclmdlCreateDataset(); }), nullptr);
  EXPECT_EQ(without_memory([] { return aclCreateDataBuffer(nullptr, 0); }), nullptr);
  EXPECT_EQ(without_memory([] { return aclmdlCreateDesc(); }), nullptr);
  void* memory = nullptr;
  EXPECT_EQ(without_memory([&] { return aclrtMallocHost(&memory, 8); }), ACL_ERROR_BAD_ALLOC);
  EXPECT_EQ(dynbatchAclLiveHandles(), 0U);
}

TEST(OutOfThreads, AStreamIsNotMade) {
  ASSERT_EQ(aclrtSetDevice(0), ACL_SUCCESS);
  aclrtStream stream = nullptr;
  refuses_threads = true;
  const aclError code = aclrtCreateStream(&stream);
  refuses_threads = false;
  EXPECT_EQ(code, ACL_ERROR_BAD_ALLOC);
  EXPECT_THAT(aclGetRecentErrMsg(), ::testing::HasSubstr("no thread"));
  EXPECT_EQ(aclrtResetDevice(0), ACL_SUCCESS);
  EXPECT_EQ(dynbatchAclLiveHandles(), 0U);
}

TEST(OutOfMemory, ARefusalIsStillACode) {
  const aclError code = without_memory([] { return aclmdlDestroyDataset(nullptr); });
  EXPECT_TRUE(code == ACL_ERROR_INVALID_PARAM || code == ACL_ERROR_BAD_ALLOC) << code;
  EXPECT_NE(aclGetRecentErrMsg(), nullptr);
}

}  // namespace
}  // namespace dynbatch

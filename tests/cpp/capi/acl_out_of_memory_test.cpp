// When there is no memory, or no thread, C functions answer so, and no exception leaves them.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <pthread.h>

#include <cerrno>
#include <cstdlib>
#include <new>

#include <dynbatch/acl.h>

namespace {

thread_local bool refuses = false;
thread_local bool refuses_threads = false;

void* allocate(std::size_t size) {
  if (refuses) throw std::bad_alloc();
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// The library's allocations come here too.
void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

// So do the threads that it makes.
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
  refuses = true;
  const auto answer = call();
  refuses = false;
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

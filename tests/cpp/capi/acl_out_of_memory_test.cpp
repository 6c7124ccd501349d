// When there is no memory, C functions answer so, and no exception leaves them.
#include <gmock/gmock.h>

#include <cstdlib>
#include <new>

#include <dynbatch/acl.h>

namespace {

thread_local bool refuses = false;

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

TEST(OutOfMemory, ARefusalIsStillACode) {
  const aclError code = without_memory([] { return aclmdlDestroyDataset(nullptr); });
  EXPECT_TRUE(code == ACL_ERROR_INVALID_PARAM || code == ACL_ERROR_BAD_ALLOC) << code;
  EXPECT_NE(aclGetRecentErrMsg(), nullptr);
}

}  // namespace
}  // namespace dynbatch

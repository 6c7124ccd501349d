// Memory: allocating, copying, filling.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <unordered_map>

#include <dynbatch/acl.h>

#include "capi/answer.hpp"
#include "capi/device_memory.hpp"
#include "capi/readiness.hpp"

namespace dynbatch::capi {
namespace {

constexpr std::size_t kAlignment = 64;  // a cache line, and what vector instructions like
// No machine has more address space; beyond it the allocator would only round wrongly.
constexpr std::size_t kLargestBytes = std::size_t{1} << 47;

struct Allocations {
  std::mutex mutex;
  std::unordered_map<void*, MemoryKind> kinds;  // under mutex
};

Allocations& allocations() {
  static auto* const instance = new Allocations;
  return *instance;
}

[[noreturn]] void refuse_memory(std::size_t size) {
  refuse(ACL_ERROR_RT_MEMORY_ALLOCATION,
         "size: there is no memory of " + std::to_string(size) + " bytes");
}

void give(void** memory, std::size_t size, MemoryKind kind) {
  require(memory != nullptr, "pointer: expected where to put the address, got null");
  require(size > 0, "size: expected at least 1 byte, got 0");
  *memory = allocate(size, kind);
}

}  // namespace

void* allocate(std::size_t size, MemoryKind kind) {
  if (size > kLargestBytes) refuse_memory(size);
  void* const memory =
      std::aligned_alloc(kAlignment, (size + kAlignment - 1) / kAlignment * kAlignment);
  if (memory == nullptr) refuse_memory(size);
  try {
    const std::lock_guard lock(allocations().mutex);
    allocations().kinds.emplace(memory, kind);
  } catch (...) {
    std::free(memory);
    throw;
  }
  return memory;
}

void release(void* memory, MemoryKind kind) {
  {
    const std::lock_guard lock(allocations().mutex);
    const auto found = allocations().kinds.find(memory);
    require(found != allocations().kinds.end(),
            "pointer: expected memory that was given and not freed yet");
    require(found->second == kind,
            "pointer: aclrtFree() frees what aclrtMalloc() gives, aclrtFreeHost() what "
            "aclrtMallocHost() gives");
    allocations().kinds.erase(found);
  }
  std::free(memory);
}

std::size_t live_allocations() {
  const std::lock_guard lock(allocations().mutex);
  return allocations().kinds.size();
}

void check_room(std::size_t room, std::size_t count) {
  if (count <= room) return;
  refuse(ACL_ERROR_RT_PARAM_INVALID, "count: expected at most the " + std::to_string(room) +
                                         " bytes of the destination, got " + std::to_string(count));
}

}  // namespace dynbatch::capi

using namespace dynbatch::capi;  // NOLINT(google-build-using-namespace): C functions stand outside

aclError aclrtMalloc(void** devPtr, size_t size, aclrtMemMallocPolicy /*policy*/) {
  return answer(__func__, [&] {
    require_context();
    give(devPtr, size, MemoryKind::device);
  });
}

aclError aclrtFree(void* devPtr) {
  return answer(__func__, [&] { release(devPtr, MemoryKind::device); });
}

aclError aclrtMallocHost(void** hostPtr, size_t size) {
  return answer(__func__, [&] { give(hostPtr, size, MemoryKind::host); });
}

aclError aclrtFreeHost(void* hostPtr) {
  return answer(__func__, [&] { release(hostPtr, MemoryKind::host); });
}

aclError aclrtMemcpy(void* dst, size_t destMax, const void* src, size_t count,
                     aclrtMemcpyKind /*kind*/) {
  return answer(__func__, [&] {
    require(dst != nullptr && src != nullptr, "dst, src: expected addresses, got null");
    check_room(destMax, count);
    std::memmove(dst, src, count);
  });
}

aclError aclrtMemset(void* devPtr, size_t maxCount, int32_t value, size_t count) {
  return answer(__func__, [&] {
    require(devPtr != nullptr, "devPtr: expected an address, got null");
    check_room(maxCount, count);
    std::memset(devPtr, value, count);
  });
}

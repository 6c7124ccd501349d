// Memory that callers are given: on this device, host memory. Known by its address, so that only what was
// given is freed, and in the way that it was asked for.
#pragma once

#include <cstddef>

namespace dynbatch::capi {

enum class MemoryKind : unsigned char { device, host };

/// Aligned to 64 bytes; refuses with ACL_ERROR_RT_MEMORY_ALLOCATION.
void* allocate(std::size_t size, MemoryKind kind);
/// Refuses what was not given, or not so.
void release(void* memory, MemoryKind kind);
std::size_t live_allocations();
/// Refuses a copy of more bytes than there is room for.
void check_room(std::size_t room, std::size_t count);

}  // namespace dynbatch::capi

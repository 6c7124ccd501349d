// How much memory this process may use.
#pragma once

#include <cstddef>
#include <string>

namespace dynbatch {

/// Bytes of the machine's memory, cut by the limits of the control groups that this process is in.
std::size_t machine_memory_bytes() noexcept;

/// The least limit of the control groups that a file of the form of /proc/self/cgroup lists, and of those around
/// them, which are mounted below `mount`; the largest number if there is none.
std::size_t cgroup_limit_bytes(const std::string& list, const std::string& mount) noexcept;

}  // namespace dynbatch

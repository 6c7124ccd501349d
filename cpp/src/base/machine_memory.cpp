#include "base/machine_memory.hpp"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>

namespace dynbatch {
namespace {

constexpr std::size_t kUnknown = std::numeric_limits<std::size_t>::max();

/// The number that a file holds; kUnknown if it holds none, such as "max".
std::size_t number_in(const char* path) noexcept {
  try {
    std::size_t number = 0;
    return std::ifstream(path) >> number ? number : kUnknown;
  } catch (...) {
    return kUnknown;
  }
}

std::size_t physical_bytes() noexcept {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page_bytes = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_bytes <= 0) return kUnknown;
  return static_cast<std::size_t>(pages) * static_cast<std::size_t>(page_bytes);
}

}  // namespace

std::size_t machine_memory_bytes() noexcept {
  return std::min({physical_bytes(), number_in("/sys/fs/cgroup/memory.max"),
                   number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes")});
}

}  // namespace dynbatch

#include "base/machine_memory.hpp"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>

namespace dynbatch {
namespace {

constexpr std::size_t kUnknown = std::numeric_limits<std::size_t>::max();

/// The number that a file holds; kUnknown if it holds none, such as "max".
std::size_t number_in(const std::string& path) {
  std::size_t number = 0;
  return std::ifstream(path) >> number ? number : kUnknown;
}

std::size_t physical_bytes() noexcept {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page_bytes = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_bytes <= 0) return kUnknown;
  return static_cast<std::size_t>(pages) * static_cast<std::size_t>(page_bytes);
}

bool names_memory(const std::string& controllers) {
  std::istringstream names(controllers);
  for (std::string name; std::getline(names, name, ',');) {
    if (name == "memory") return true;
  }
  return false;
}

/// The least number in a file of this group, and of those around it: each of them is a limit. In a container the
/// path may be the host's, and only the outermost group be there.
std::size_t least_limit(const std::string& mount, std::string group, const char* file) {
  std::size_t least = kUnknown;
  for (;;) {
    least = std::min(least, number_in(mount + group + "/" + file));
    if (group.empty()) return least;
    const std::size_t slash = group.rfind('/');
    group.resize(slash == group.npos ? 0 : slash);
  }
}

}  // namespace

std::size_t cgroup_limit_bytes(const std::string& list, const std::string& mount) noexcept {
  try {
    std::size_t least = kUnknown;
    std::ifstream lines(list);
    for (std::string line; std::getline(lines, line);) {  // number:controllers:path
      const std::size_t first = line.find(':');
      const std::size_t second = line.find(':', first + 1);
      if (first == line.npos || second == line.npos) continue;
      const std::string controllers = line.substr(first + 1, second - first - 1);
      const std::string group = line.substr(second + 1);
      if (controllers.empty()) {  // version 2
        least = std::min(least, least_limit(mount, group, "memory.max"));
      } else if (names_memory(controllers)) {
        least = std::min(least, least_limit(mount + "/memory", group, "memory.limit_in_bytes"));
      }
    }
    return least;
  } catch (...) {
    return kUnknown;
  }
}

std::size_t machine_memory_bytes() noexcept {
  try {
    return std::min(physical_bytes(), cgroup_limit_bytes("/proc/self/cgroup", "/sys/fs/cgroup"));
  } catch (...) {
    return physical_bytes();
  }
}

}  // namespace dynbatch

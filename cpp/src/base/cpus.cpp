#include "base/cpus.hpp"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace dynbatch {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

std::size_t affinity_cpus() noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
}

// CPUs of a quota, rounded up; 0 if there is none.
std::size_t quota_cpus() noexcept {
  char quota[32] = "";
  double period = 0.0;
  if (const std::unique_ptr<std::FILE, CloseFile> file{
          std::fopen("/sys/fs/cgroup/cpu.max", "re")}) {
    if (std::fscanf(file.get(), "%31s %lf", quota, &period) != 2) return 0;
  } else {
    const std::unique_ptr<std::FILE, CloseFile> quota_file{
        std::fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re")};
    const std::unique_ptr<std::FILE, CloseFile> period_file{
        std::fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "re")};
    if (!quota_file || !period_file || std::fscanf(quota_file.get(), "%31s", quota) != 1 ||
        std::fscanf(period_file.get(), "%lf", &period) != 1) {
      return 0;
    }
  }
  const double time = std::strtod(quota, nullptr);  // "max" and -1 mean no quota
  if (time <= 0.0 || period <= 0.0) return 0;
  return static_cast<std::size_t>(std::ceil(time / period));
}

}  // namespace

std::size_t usable_cpus() noexcept {
  const std::size_t quota = quota_cpus();
  return quota == 0 ? affinity_cpus() : std::max<std::size_t>(1, std::min(affinity_cpus(), quota));
}

}  // namespace dynbatch

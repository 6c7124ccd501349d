// How long single requests take where there are more producers than CPUs.
#include <sched.h>

#include <stdexcept>

#include "null_contenders.hpp"
#include "paired.hpp"

namespace dynbatch::bench {
namespace {

constexpr int kCpus = 2;

/// Before any thread is made, since threads inherit it.
void stay_on_two_cpus() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
    throw std::runtime_error("sched_getaffinity failed");
  cpu_set_t kept;
  CPU_ZERO(&kept);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&kept) < kCpus; ++cpu)
    if (CPU_ISSET(cpu, &allowed)) CPU_SET(cpu, &kept);
  if (sched_setaffinity(0, sizeof(kept), &kept) != 0)
    throw std::runtime_error("sched_setaffinity failed");
}

}  // namespace

void measure_all(const PairedOptions& options) {
  stay_on_two_cpus();
  {
    NullContenders small(
        {.row_bytes = 1 << 10, .producers = 4, .outstanding = 16, .times_requests = true}, 32);
    measure("1 KiB, 4 producers, 16 outstanding each", small.all(), options);
  }
  NullContenders large(
      {.row_bytes = 600 << 10, .producers = 4, .outstanding = 4, .times_requests = true}, 8);
  measure("600 KiB, 4 producers, 4 outstanding each", large.all(), options);
}

}  // namespace dynbatch::bench

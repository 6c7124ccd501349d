// How many CPUs this process may use.
#pragma once

#include <cstddef>

namespace dynbatch {

/// The CPUs of the affinity mask, cut by the quota of the control group; at least 1.
std::size_t usable_cpus() noexcept;

}  // namespace dynbatch

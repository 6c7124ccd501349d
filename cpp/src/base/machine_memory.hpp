// How much memory this process may use.
#pragma once

#include <cstddef>

namespace dynbatch {

/// Bytes of the machine's memory, cut by the limit of the control group.
std::size_t machine_memory_bytes() noexcept;

}  // namespace dynbatch

// Tells whether this process is a fork of the one that made an object. Threads do not survive a
// fork, so what owns threads must not be used, joined or freed in the child.
#pragma once

#include <cstdint>

namespace dynbatch {

/// Rises by one in each child of a fork. The first call of a process installs the hook.
std::uint32_t fork_generation() noexcept;

}  // namespace dynbatch

// Which batches run with all CPUs when they are alone, by the times measured at load.
#pragma once

#include <cstddef>
#include <vector>

#include <dynbatch/gear.hpp>

namespace dynbatch {

/// [n]: whether a lone batch of n rows, 0 < n <= `largest`, is to run with all CPUs. Empty if that was
/// measured for no gear, or gains too little in each of them to be worth what it holds.
std::vector<bool> lone_sizes(const GearTable& table, std::size_t largest);

}  // namespace dynbatch

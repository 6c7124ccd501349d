// explore(): runs a test in all schedules up to a bound, and tells the first that fails.
//
//   DYNBATCH_MODEL_BOUND=3          another bound than the test's own
//   DYNBATCH_MODEL_REPLAY="57>2"    one schedule, as a failure printed it
//   DYNBATCH_MUTANT=<name>          with a fault of base/mutant.hpp
#pragma once

#include <functional>

#include "model/schedule.hpp"

namespace dynbatch::testing {

/// `make` says what runs in a schedule; it is called for each of them. A failure is one of the test at
/// hand, with the choices that lead to it and the command that repeats them.
void explore(const std::function<void(Schedule&)>& make, int bound = 2);

}  // namespace dynbatch::testing

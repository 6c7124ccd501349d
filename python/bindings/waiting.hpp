// Blocking waits that a signal can end.
#pragma once

#include <optional>

#include <dynbatch/batcher.hpp>
#include <dynbatch/ticket.hpp>

#include "seconds.hpp"

namespace dynbatch::python {

/// Waits without the GIL, until the request is done or the deadline has passed; says whether it is
/// done. On the main thread signal handlers run while it waits; what they raise is raised, after
/// the request was cancelled.
bool wait_until(Ticket& ticket, std::optional<Clock::time_point> deadline);

/// Waits without the GIL until the batcher has room, or is closed, or the deadline has passed. The
/// same holds for signals.
void wait_for_space(Batcher& batcher, std::optional<Clock::time_point> deadline);

/// Closes without the GIL, and returns as Batcher::close does. What a signal handler raises on the main
/// thread ends the wait; the batcher goes on closing.
void wait_for_close(Batcher& batcher, bool drain);

}  // namespace dynbatch::python

#include "waiting.hpp"

#include <algorithm>
#include <memory>

#include "gil.hpp"
#include "port.hpp"

namespace dynbatch::python {
namespace {

// A signal does not end a wait in C++, so the main thread looks up this often. Long enough to cost
// nothing, short enough for a finger on Ctrl-C.
constexpr std::chrono::milliseconds kLookUp{50};

std::chrono::nanoseconds time_until(Clock::time_point deadline) {
  return std::max<std::chrono::nanoseconds>(deadline - Clock::now(), std::chrono::nanoseconds{0});
}

bool wait_once(const Ticket& ticket, std::optional<Clock::time_point> deadline, bool look_up) {
  const GilRelease release;
  if (!deadline && !look_up) {
    ticket.wait();
    return true;
  }
  std::chrono::nanoseconds time = kLookUp;
  if (deadline) time = look_up ? std::min(time, time_until(*deadline)) : time_until(*deadline);
  return ticket.wait_for(time);
}

}  // namespace

bool wait_until(Ticket& ticket, std::optional<Clock::time_point> deadline) {
  const bool look_up = on_main_thread();
  for (;;) {
    if (ticket.done()) return true;
    if (wait_once(ticket, deadline, look_up)) return true;
    if (look_up && PyErr_CheckSignals() != 0) {
      ticket.cancel();
      throw py::error_already_set();
    }
    if (deadline && Clock::now() >= *deadline) return ticket.done();
  }
}

void wait_for_close(Batcher& batcher, bool drain) {
  for (const bool look_up = on_main_thread();;) {
    {
      const GilRelease release;
      if (!look_up) return batcher.close(drain);
      if (batcher.close_for(kLookUp, drain)) return;
    }
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  }
}

void wait_for_space(Batcher& batcher, std::optional<Clock::time_point> deadline) {
  auto port = std::make_unique<Port>([](void*) noexcept {});
  // Retired rather than deleted: what is raised below leaves the announcement in flight.
  const std::shared_ptr<void> keeper(nullptr, [&port](void*) { Port::retire(std::move(port)); });
  port->notify_space(batcher, nullptr);
  // Python's own poll, since it lets go of the GIL and runs signal handlers by itself.
  const py::object poll = py::module_::import("select").attr("poll")();
  poll.attr("register")(port->fd(), py::module_::import("select").attr("POLLIN"));
  while (port->drain().empty()) {
    // A signal that came before the poll does not end it: as in wait_until(), this looks up.
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (deadline && Clock::now() >= *deadline) return;
    std::chrono::nanoseconds time = kLookUp;
    if (deadline) time = std::min(time, time_until(*deadline));
    poll.attr("poll")(to_seconds(time) * 1e3);
  }
}

}  // namespace dynbatch::python

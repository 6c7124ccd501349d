#include "port.hpp"

#include <utility>

#include "gil.hpp"

namespace dynbatch::python {
namespace {

// Never destroyed: at exit something may still be in flight. Guarded by the GIL.
std::vector<std::unique_ptr<Port>>& retired() {
  static auto* const ports = new std::vector<std::unique_ptr<Port>>;
  return *ports;
}

}  // namespace

void Port::retire(std::unique_ptr<Port> port) {
  if (port->fork_generation_ != fork_generation()) {
    // Its descriptor is the parent's, too, and who would finish what is in flight is not here.
    [[maybe_unused]] const Port* const leaked = port.release();
    return;
  }
  retired().push_back(std::move(port));
  delete_idle();
}

void Port::delete_idle() {
  // Disposing runs Python code, which may come here again, so the list is not touched meanwhile.
  std::vector<std::unique_ptr<Port>> ports;
  ports.swap(retired());
  for (std::unique_ptr<Port>& port : ports) {
    if (port->fork_generation_ != fork_generation()) {
      [[maybe_unused]] const Port* const leaked = port.release();
      continue;
    }
    for (void* const context : port->drain()) port->dispose_(context);
    if (port->in_flight() > 0) retired().push_back(std::move(port));
  }
}

bool Port::notify(Ticket& ticket, void* context) {
  ++in_flight_;
  if (ticket.notify(port_, context)) return true;
  --in_flight_;
  return false;
}

void Port::notify_space(Batcher& batcher, void* context) {
  ++in_flight_;
  batcher.notify_space(port_, context);
}

const std::vector<void*>& Port::drain() {
  port_.drain(drained_);
  in_flight_ -= drained_.size();
  return drained_;
}

}  // namespace dynbatch::python

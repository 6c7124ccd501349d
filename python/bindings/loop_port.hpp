// LoopPort: where the requests of one event loop are announced, and their futures resolved.
//
// Used on the loop's thread, except that it may die on any thread that holds the GIL. A whole batch
// costs the loop one wake-up, in which drain() resolves all its futures in native code.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <unordered_map>

#include "core.hpp"
#include "port.hpp"

namespace dynbatch::python {

namespace py = pybind11;

class LoopPort {
 public:
  LoopPort();
  LoopPort(const LoopPort&) = delete;
  LoopPort& operator=(const LoopPort&) = delete;
  ~LoopPort();
  /// The loop is gone: cancels what is in flight, since nobody can receive it, and lets go of its
  /// futures, whose coroutines may hold this port in turn.
  void abandon();

  /// Resolves the asyncio future `future` with the outputs by name, later, in drain(). False if the
  /// queue is full.
  bool submit(Core& core, py::handle feeds, py::object future);
  /// Resolves `future` with None when there is room in the queue.
  void notify_space(Core& core, py::object future);
  /// Gives the request behind `future` up; nothing happens if it is done.
  void cancel(py::handle future);
  /// Ends the request behind `future` with Timeout; nothing happens if it is done.
  void expire(py::handle future);
  /// Resolves the futures of what has finished; those that were cancelled are passed over.
  void drain();

  int fd() const noexcept { return port_ ? port_->fd() : -1; }
  std::size_t in_flight() const noexcept { return port_ ? port_->in_flight() : 0; }

 private:
  struct Request;

  void refuse_if_abandoned() const;
  std::shared_ptr<Ticket> ticket_behind(py::handle future) const;

  std::unique_ptr<Port> port_;  // null once abandoned
  // By future; the requests themselves belong to the port's list of what is in flight.
  std::unordered_map<PyObject*, Request*> requests_;
};

}  // namespace dynbatch::python

// LoopPort: where the requests of one batcher on one event loop are announced, and who awaits them woken.
//
// Used on the loop's thread, except that it may die on any thread that holds the GIL. A whole batch
// costs the loop one wake-up, in which drain() runs all its tasks up to their next wait. Requests that
// are made meanwhile, or in one turn of the loop, start together.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include "answer.hpp"
#include "core.hpp"
#include "port.hpp"
#include "seconds.hpp"

namespace dynbatch::python {

namespace py = pybind11;

class LoopPort {
 public:
  LoopPort(std::shared_ptr<Core> core, const py::object& loop);
  LoopPort(const LoopPort&) = delete;
  LoopPort& operator=(const LoopPort&) = delete;
  ~LoopPort();
  /// The loop is gone: cancels what is in flight, since nobody can receive it, and lets go of its
  /// tasks, whose coroutines may hold this port in turn.
  void abandon();

  /// An awaitable of the outputs by name; None where the queue is full.
  py::object submit(py::handle feeds);
  /// An awaitable of None, which is there when there is room in the queue.
  py::object notify_space();
  /// Wakes the tasks of what has finished.
  void drain();
  /// Lets those requests start that have been held together.
  void start_held();

  bool is_of(const Core& core) const noexcept { return port_ && core_.get() == &core; }
  int fd() const noexcept { return port_ ? port_->fd() : -1; }
  std::size_t in_flight() const noexcept { return port_ ? port_->in_flight() : 0; }

 private:
  void refuse_if_abandoned() const;
  bool holds_next();
  Answer* put_in_flight(const py::object& made) noexcept;
  void enlist(Answer& answer) noexcept;
  void unlist(Answer& answer) noexcept;

  std::shared_ptr<Core> core_;
  PyObject* loop_;              // lives as long as this is not abandoned, since it owns this
  std::unique_ptr<Port> port_;  // null once abandoned
  Answer* in_flight_ = nullptr;
  bool expects_more_ = false;  // tasks are about to be woken that may submit again
  bool start_is_due_ = false;  // a call of start_held() stands in the loop's queue
  bool holding_ = false;
  Clock::time_point held_since_;
  Clock::time_point last_submit_;
};

/// A function of feeds: what LoopPort::submit answers on the running loop's port; False where the loop
/// has no port yet. A builtin, since it is called for each request.
py::object loop_submitter(const std::shared_ptr<Core>& core);

}  // namespace dynbatch::python

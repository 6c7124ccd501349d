// Answer: what a coroutine awaits: the answer to one request, or the news that there is room.
//
// It keeps asyncio's protocol for futures as far as a task that awaits it needs, and wakes its task
// without a turn of the loop's queue of callbacks: asyncio's own futures cost a handle and a call for
// each. So it is awaited once, on the loop that it was made for, by what submitted it. It is a type of
// the C API, since its parts are called several times a request.
//
// Used on the loop's thread, with the GIL held; it may die on any thread that holds the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include <dynbatch/ticket.hpp>

#include "feeds.hpp"

namespace dynbatch::python {

namespace py = pybind11;

struct Answer {
  PyObject_HEAD Answer* previous;  // in its port's list of what is in flight
  Answer* next;
  PyObject* loop;
  PyObject* callback;  // of the task that awaits; null before and after
  PyObject* context;
  PyObject* cancel_message;
  bool blocking;  // asyncio's mark of what is yielded to await it
  bool yielded;
  bool announced;  // its port has drained it
  bool given_up;   // cancelled by the task
  Ticket ticket;   // of no request: waits for room
  std::shared_ptr<const Signature> signature;

  /// `loop` is where it is awaited.
  static py::object make(PyObject* loop, std::shared_ptr<const Signature> signature, Ticket ticket);
  py::handle handle() noexcept { return reinterpret_cast<PyObject*>(this); }

  /// Runs the task that awaits, in its own context. Raises what asyncio does not catch.
  void wake();
  /// Has the loop do that in its next turn.
  void wake_soon();
  /// Lets go of the task, since the loop is gone.
  void abandon() noexcept;
};

/// Adds the type, as `Answer`.
void register_answer(py::module_& module);

}  // namespace dynbatch::python

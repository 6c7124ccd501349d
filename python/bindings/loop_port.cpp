#include "loop_port.hpp"

#include <exception>
#include <utility>
#include <vector>

#include "exceptions.hpp"

namespace dynbatch::python {
namespace {

// Requests that come within this time of each other keep company. None is held for longer, except by a
// task that computes for longer without a request:
// a run that is worth a batch takes longer, and waking a thread for one takes about as long.
constexpr std::chrono::microseconds kLongestHold{200};

constexpr const char* kCoreCapsule = "dynbatch.Core";

// The port that is waking tasks on this thread. Most requests come from those, and asking asyncio for
// the loop costs a system call.
thread_local LoopPort* draining_here = nullptr;

PyObject* running_loop() {
  static PyObject* const get = [] {
    return py::object(py::module_::import("asyncio").attr("get_running_loop")).release().ptr();
  }();
  PyObject* const loop = PyObject_CallNoArgs(get);
  if (loop == nullptr) throw py::error_already_set();
  Py_DECREF(loop);  // it runs, so it stays
  return loop;
}

PyObject* submit_on_running_loop(PyObject* capsule, PyObject* feeds) {
  const auto& core =
      *static_cast<std::shared_ptr<Core>*>(PyCapsule_GetPointer(capsule, kCoreCapsule));
  try {
    LoopPort* const port = draining_here != nullptr && draining_here->is_of(*core)
                               ? draining_here
                               : core->loop_port(running_loop());
    return (port == nullptr ? py::bool_(false) : port->submit(feeds)).release().ptr();
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

}  // namespace

LoopPort::LoopPort(std::shared_ptr<Core> core, const py::object& loop)
    : core_(std::move(core)),
      loop_(loop.ptr()),
      port_(std::make_unique<Port>(
          [](void* context) noexcept { Py_DECREF(static_cast<PyObject*>(context)); })) {
  Port::delete_idle();
  core_->set_loop_port(loop_, this);
}

LoopPort::~LoopPort() { abandon(); }

void LoopPort::abandon() {
  if (!port_) return;
  if (core_->loop_port(loop_) == this) core_->set_loop_port(loop_, nullptr);
  start_held();
  loop_ = nullptr;
  std::vector<py::object> answers;  // letting go of a task may drop any of them
  while (in_flight_ != nullptr) {
    answers.push_back(py::reinterpret_borrow<py::object>(in_flight_->handle()));
    unlist(*in_flight_);
  }
  std::unique_ptr<Port> port = std::move(port_);
  for (const py::object& answer : answers) reinterpret_cast<Answer*>(answer.ptr())->abandon();
  Port::retire(std::move(port));
}

void LoopPort::refuse_if_abandoned() const {
  if (!port_) raise(ErrorCode::closed, "the event loop is closed");
}

/// Whether the next request is held for others of the same turn of the loop. The first after a while is
/// not: it may stay alone, and the turn may be long.
bool LoopPort::holds_next() {
  const Clock::time_point now = Clock::now();
  const Clock::time_point last = std::exchange(last_submit_, now);
  if (holding_) {
    // A request that is not held lets those before it start as well.
    if (now - held_since_ >= kLongestHold) holding_ = false;
    return holding_;
  }
  if (!expects_more_ && now - last >= kLongestHold) return false;
  if (draining_here != this && !start_is_due_) {
    py::handle(loop_).attr("call_soon")(py::cast(this).attr("start_held"));
    start_is_due_ = true;
  }
  held_since_ = now;
  holding_ = true;
  return true;
}

void LoopPort::start_held() {
  start_is_due_ = false;
  if (!holding_) return;
  holding_ = false;
  core_->batcher().start_held();
}

void LoopPort::enlist(Answer& answer) noexcept {
  answer.previous = nullptr;
  answer.next = in_flight_;
  if (in_flight_ != nullptr) in_flight_->previous = &answer;
  in_flight_ = &answer;
}

void LoopPort::unlist(Answer& answer) noexcept {
  (answer.previous == nullptr ? in_flight_ : answer.previous->next) = answer.next;
  if (answer.next != nullptr) answer.next->previous = answer.previous;
}

/// The port's hold on an answer, until drain() gives it back.
Answer* LoopPort::put_in_flight(const py::object& made) noexcept {
  auto* const answer = reinterpret_cast<Answer*>(made.ptr());
  enlist(*answer);
  Py_INCREF(answer);
  return answer;
}

py::object LoopPort::submit(py::handle feeds) {
  refuse_if_abandoned();
  core_->refuse_inside_own_run();  // the loop that awaits the answer would run inside the run
  Ticket ticket = core_->try_submit(feeds, holds_next());
  if (!ticket.accepted()) return py::none();
  py::object made = Answer::make(loop_, core_->signature(), std::move(ticket));
  Answer* const answer = put_in_flight(made);
  port_->notify(answer->ticket, answer);
  return made;
}

py::object LoopPort::notify_space() {
  refuse_if_abandoned();
  py::object made = Answer::make(loop_, nullptr, Ticket());
  port_->notify_space(core_->batcher(), put_in_flight(made));
  return made;
}

void LoopPort::drain() {
  if (!port_) return;
  std::vector<py::object> answers;
  for (void* const context : port_->drain()) {
    auto* const answer = static_cast<Answer*>(context);
    answers.push_back(py::reinterpret_steal<py::object>(answer->handle()));
    unlist(*answer);
    answer->announced = true;
  }
  std::exception_ptr exit;  // Ctrl-C or an exit ends this turn of the loop, and nobody else's
  draining_here = this;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    auto& answer = *reinterpret_cast<Answer*>(answers[i].ptr());
    expects_more_ = i + 1 < answers.size();
    if (holding_ && Clock::now() - held_since_ >= kLongestHold) start_held();
    try {
      exit ? answer.wake_soon() : answer.wake();
    } catch (...) {
      if (!exit) exit = std::current_exception();
    }
  }
  draining_here = nullptr;
  start_held();
  if (exit) std::rethrow_exception(exit);
}

py::object loop_submitter(const std::shared_ptr<Core>& core) {
  static PyMethodDef definition = {"submit_on_loop", submit_on_running_loop, METH_O, nullptr};
  const py::capsule capsule(new std::shared_ptr<Core>(core), kCoreCapsule, [](PyObject* dying) {
    delete static_cast<std::shared_ptr<Core>*>(PyCapsule_GetPointer(dying, kCoreCapsule));
  });
  PyObject* const function = PyCFunction_New(&definition, capsule.ptr());
  if (function == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(function);
}

}  // namespace dynbatch::python

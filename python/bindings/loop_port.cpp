#include "loop_port.hpp"

#include <utility>

#include "exceptions.hpp"

namespace dynbatch::python {
namespace {

/// A method name that is made once.
class Name {
 public:
  explicit Name(const char* text) : string_(PyUnicode_InternFromString(text)) {}
  PyObject* ptr() const noexcept { return string_; }

 private:
  PyObject* string_;
};

py::object call(py::handle object, const Name& method) {
  PyObject* const answer = PyObject_CallMethodNoArgs(object.ptr(), method.ptr());
  if (answer == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(answer);
}

void call(py::handle object, const Name& method, const py::object& argument) {
  PyObject* const answer = PyObject_CallMethodOneArg(object.ptr(), method.ptr(), argument.ptr());
  if (answer == nullptr) throw py::error_already_set();
  Py_DECREF(answer);
}

}  // namespace

struct LoopPort::Request {
  py::object future;
  std::shared_ptr<Ticket> ticket;  // null: waits for space only
  std::shared_ptr<const Signature> signature;

  void resolve() const;
  static void dispose(void* context) noexcept { delete static_cast<Request*>(context); }
};

void LoopPort::Request::resolve() const {
  static const Name done("done");
  static const Name set_result("set_result");
  static const Name set_exception("set_exception");
  try {
    if (call(future, done).ptr() == Py_True) return;
    if (!ticket) {
      call(future, set_result, py::none());
    } else if (ticket->code() == ErrorCode::none) {
      call(future, set_result, result_dict(ticket, *signature));
    } else {
      call(future, set_exception, exception_of(ticket->failure()));
    }
  } catch (py::error_already_set& error) {
    try {
      call(future, set_exception, error.value());
    } catch (py::error_already_set&) {
      // The loop was closed, or the future cancelled, meanwhile: nobody waits for this answer.
    }
  }
}

LoopPort::LoopPort() : port_(std::make_unique<Port>(&Request::dispose)) { Port::delete_idle(); }

LoopPort::~LoopPort() { abandon(); }

void LoopPort::abandon() {
  if (!port_) return;
  for (const auto& [future, request] : requests_) {
    if (request->ticket) request->ticket->cancel();
  }
  requests_.clear();
  Port::retire(std::move(port_));
}

void LoopPort::refuse_if_abandoned() const {
  if (!port_) raise(ErrorCode::closed, "the event loop is closed");
}

bool LoopPort::submit(Core& core, py::handle feeds, py::object future) {
  refuse_if_abandoned();
  core.refuse_inside_own_run();  // the loop that awaits the answer would run inside the run
  std::shared_ptr<Ticket> ticket = core.try_submit(feeds);
  if (!ticket) return false;
  auto request = std::make_unique<Request>(Request{std::move(future), ticket, core.signature()});
  requests_.emplace(request->future.ptr(), request.get());
  port_->notify(*ticket, request.release());
  return true;
}

void LoopPort::notify_space(Core& core, py::object future) {
  refuse_if_abandoned();
  auto request = std::make_unique<Request>(Request{std::move(future), nullptr, nullptr});
  requests_.emplace(request->future.ptr(), request.get());
  port_->notify_space(core.batcher(), request.release());
}

std::shared_ptr<Ticket> LoopPort::ticket_behind(py::handle future) const {
  const auto found = requests_.find(future.ptr());
  return found == requests_.end() ? nullptr : found->second->ticket;
}

void LoopPort::cancel(py::handle future) {
  if (const auto ticket = ticket_behind(future)) ticket->cancel();
}

void LoopPort::expire(py::handle future) {
  if (const auto ticket = ticket_behind(future)) ticket->expire();
}

void LoopPort::drain() {
  if (!port_) return;
  std::vector<std::unique_ptr<Request>> finished;
  for (void* const context : port_->drain()) {
    auto& request = finished.emplace_back(static_cast<Request*>(context));
    requests_.erase(request->future.ptr());
  }
  for (const auto& request : finished) request->resolve();
}

}  // namespace dynbatch::python

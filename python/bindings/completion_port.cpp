#include <dynbatch/completion_port.hpp>

#include <utility>

#include "bound_ticket.hpp"
#include "loop_port.hpp"
#include "port.hpp"
#include "register.hpp"

namespace dynbatch::python {
namespace {

/// A port whose contexts are Python objects: for a thread that calls callbacks.
class ObjectPort {
 public:
  ObjectPort()
      : port_(std::make_unique<Port>(
            [](void* context) noexcept { Py_DECREF(static_cast<PyObject*>(context)); })) {}
  ObjectPort(const ObjectPort&) = delete;
  ObjectPort& operator=(const ObjectPort&) = delete;
  ~ObjectPort() { Port::retire(std::move(port_)); }

  bool notify(const BoundTicket& ticket, py::object context) {
    if (!port_->notify(*ticket.ticket(), context.ptr())) return false;
    context.release();
    return true;
  }
  py::list drain() {
    py::list objects;
    for (void* const context : port_->drain()) {
      objects.append(py::reinterpret_steal<py::object>(static_cast<PyObject*>(context)));
    }
    return objects;
  }
  void wait() {
    const GilRelease release;
    port_->wait();
  }
  void wake() noexcept { port_->wake(); }
  std::size_t in_flight() const noexcept { return port_->in_flight(); }

 private:
  std::unique_ptr<Port> port_;
};

}  // namespace

void register_completion_port(py::module_& module) {
  py::class_<ObjectPort>(module, "CompletionPort", "Announces finished requests to one thread.")
      .def(py::init<>())
      .def("notify", &ObjectPort::notify, py::arg("ticket"), py::arg("context"),
           "Has drain() return context once the request is done; False if it has a port already.")
      .def("wait", &ObjectPort::wait,
           "Blocks, without the GIL, until something is to be drained or wake() is called.")
      .def("wake", &ObjectPort::wake, "Ends one wait().")
      .def("drain", &ObjectPort::drain, "The contexts of what has finished since the last call.")
      .def_property_readonly("in_flight", &ObjectPort::in_flight);

  register_answer(module);
  py::class_<LoopPort>(module, "LoopPort", "Requests of one batcher on one asyncio loop.")
      .def(py::init<std::shared_ptr<Core>, const py::object&>(), py::arg("batcher"),
           py::arg("loop"), "`loop` owns the port, and no other port of this batcher.")
      .def("submit", &LoopPort::submit, py::arg("feeds"),
           "Submits feeds: an Answer to await; None where the queue is full.")
      .def("notify_space", &LoopPort::notify_space,
           "An Answer to await: None when there is room in the queue.")
      .def("drain", &LoopPort::drain, "Wakes the tasks whose requests have finished.")
      .def("start_held", &LoopPort::start_held, "Lets requests of this turn of the loop start.")
      .def("abandon", &LoopPort::abandon, "Gives up what is in flight: the loop is gone.")
      .def("fileno", &LoopPort::fd, "Readable while drain() has something to do.")
      .def_property_readonly("in_flight", &LoopPort::in_flight);
}

}  // namespace dynbatch::python

#include <dynbatch/ticket.hpp>

#include <pybind11/stl.h>

#include <utility>

#include "bound_ticket.hpp"
#include "exceptions.hpp"
#include "register.hpp"
#include "seconds.hpp"
#include "wait_chain.hpp"
#include "waiting.hpp"

namespace dynbatch::python {

BoundTicket::BoundTicket(const std::shared_ptr<Core>& core, std::shared_ptr<Ticket> ticket)
    : ticket_(std::move(ticket)),
      signature_(core->signature()),
      core_(core.get()),
      fork_generation_(python::fork_generation()) {}

void BoundTicket::refuse_endless_wait() const {
  if (python::fork_generation() != fork_generation_) {
    raise(ErrorCode::closed, "the request was made before this process was forked");
  }
  if (PythonExecutor::running_for(core_)) {
    raise(ErrorCode::execution,
          "a function that runs a batch waits for a request of its own model: the wait would "
          "never end");
  }
}

bool BoundTicket::wait(std::optional<double> timeout) {
  if (ticket_->done()) return true;
  refuse_endless_wait();
  if (timeout) return wait_until(*ticket_, Clock::now() + to_duration("timeout", *timeout));
  const WaitLink link(core_, *ticket_);
  link.refuse_endless_wait();
  return wait_until(*ticket_, std::nullopt);
}

py::object BoundTicket::result() {
  if (!result_ && ticket_->code() == ErrorCode::none) result_ = result_dict(ticket_, *signature_);
  if (!result_) raise(ticket_->failure());
  return result_;
}

py::object BoundTicket::exception() {
  if (!exception_) {
    exception_ = ticket_->code() == ErrorCode::none ? py::object(py::none())
                                                    : exception_of(ticket_->failure());
  }
  return exception_;
}

void register_ticket(py::module_& module) {
  py::class_<BoundTicket>(module, "Ticket", "One request on its way. Any thread may use it.")
      .def("done", [](const BoundTicket& self) { return self.ticket()->done(); })
      .def("cancelled",
           [](const BoundTicket& self) {
             return self.ticket()->done() && self.ticket()->code() == ErrorCode::cancelled;
           })
      .def(
          "wait",
          [](BoundTicket& self, py::handle timeout) {
            return self.wait(seconds_of("timeout", timeout));
          },
          py::arg("timeout"),
          "Waits without the GIL, for at most timeout seconds; says whether the request is done.")
      .def("refuse_endless_wait", &BoundTicket::refuse_endless_wait,
           "Raises where a wait for a request that is not done would never end.")
      .def(
          "cancel", [](BoundTicket& self) { return self.ticket()->cancel(); },
          "True if this call ended the request.")
      .def("result", &BoundTicket::result,
           "Outputs by name of a request that is done, or raises why it failed.")
      .def("exception", &BoundTicket::exception,
           "Why a request that is done failed; None if it did not.")
      .def_property_readonly("rows", [](const BoundTicket& self) { return self.ticket()->rows(); });
}

}  // namespace dynbatch::python

// BoundTicket: a ticket as futures hold it, with the result that it gives each time it is asked.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <optional>

#include <dynbatch/ticket.hpp>

#include "core.hpp"
#include "gil.hpp"
#include "python_executor.hpp"

namespace dynbatch::python {

namespace py = pybind11;

class BoundTicket {
 public:
  BoundTicket(const std::shared_ptr<Core>& core, std::shared_ptr<Ticket> ticket);

  /// Raises in a fork, and in a run of the same core, where waiting could never end.
  void refuse_endless_wait() const;
  /// Raises in the same places unless the request is done.
  bool wait(std::optional<double> timeout);
  /// The same object at each call.
  py::object result();
  py::object exception();
  const std::shared_ptr<Ticket>& ticket() const noexcept { return ticket_; }

 private:
  std::shared_ptr<Ticket> ticket_;
  std::shared_ptr<const Signature> signature_;
  // An identity only: a future does not keep its model's memory for inputs alive.
  const Core* core_;
  std::uint32_t fork_generation_;
  py::object result_;
  py::object exception_;
};

}  // namespace dynbatch::python

// Outputs of a finished request as arrays that the caller owns.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <vector>

#include <dynbatch/ticket.hpp>

#include "feeds.hpp"

namespace dynbatch::python {

namespace py = pybind11;

/// Indices into the outputs, in the order wanted; a repeated one gives the same array again.
using OutputIndices = std::vector<std::size_t>;

/// Of a ticket that has succeeded. Arrays hold a copy of the request's own rows; large ones whose
/// memory belongs to this request alone are handed over as they are: they then own the ticket.
py::list result_list(Ticket& ticket, const Signature& signature, const OutputIndices* wanted);
/// The same by output name.
py::dict result_dict(Ticket& ticket, const Signature& signature);
py::dict result_dict(const std::shared_ptr<Ticket>& ticket, const Signature& signature);

}  // namespace dynbatch::python

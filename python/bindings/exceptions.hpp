// Errors of libdynbatch as Python exceptions: one class for each ErrorCode, all below dynbatch.Error.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

#include <dynbatch/error.hpp>

namespace dynbatch::python {

namespace py = pybind11;

/// The exception for a failure. Where Python code failed, its own exception is the cause.
py::object exception_of(const Failure& failure);
[[noreturn]] void raise(const Failure& failure);
[[noreturn]] void raise(ErrorCode code, const std::string& message);

/// In a catch block of what Python calls without pybind11: sets the exception as pybind11 would.
void set_python_error() noexcept;

/// Takes the Python exception that is set, or caught, as the failure of a run.
Failure failure_of(py::object exception);

}  // namespace dynbatch::python

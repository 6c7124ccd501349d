#include <dynbatch/error.hpp>

#include <exception>
#include <memory>
#include <new>
#include <utility>

#include "exceptions.hpp"
#include "gil.hpp"
#include "register.hpp"

namespace dynbatch::python {
namespace {

const char* class_name(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_input: return "InvalidInput";
    case ErrorCode::queue_full: return "QueueFull";
    case ErrorCode::closed: return "Closed";
    case ErrorCode::timeout: return "Timeout";
    case ErrorCode::cancelled: return "Cancelled";
    case ErrorCode::execution: return "ExecutionError";
    case ErrorCode::model: return "ModelError";
    case ErrorCode::invalid_argument: return "InvalidArgument";
    case ErrorCode::none: break;
  }
  return "Error";
}

const char* plain_words(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::queue_full: return "the queue is full";
    case ErrorCode::closed: return "the model is closed";
    case ErrorCode::timeout: return "the request's deadline passed before its answer was there";
    case ErrorCode::cancelled: return "the request was cancelled";
    default: return name_of(code);
  }
}

py::object exception_class(ErrorCode code) {
  return py::module_::import("dynbatch._errors").attr(class_name(code));
}

/// The Python exception that a Python executor has put into the failure; null if there is none.
PyObject* python_cause(const Failure& failure) noexcept {
  // Only references of our own have this deleter; a C++ executor's cause is none of Python's.
  if (std::get_deleter<DropReference>(failure.cause) == nullptr) return nullptr;
  return static_cast<PyObject*>(failure.cause.get());
}

std::string text_of(const py::handle& exception) {
  const std::string type = py::str(py::type::handle_of(exception).attr("__name__"));
  const std::string text = py::str(exception);
  return text.empty() ? type : type + ": " + text;
}

}  // namespace

py::object exception_of(const Failure& failure) {
  const std::string message = failure.message.empty() ? plain_words(failure.code) : failure.message;
  // A message may name a path, whose bytes need not be UTF-8.
  auto text = py::reinterpret_steal<py::str>(PyUnicode_DecodeUTF8(
      message.data(), static_cast<Py_ssize_t>(message.size()), "backslashreplace"));
  if (!text) throw py::error_already_set();
  py::object exception = exception_class(failure.code)(text);
  if (PyObject* const cause = python_cause(failure)) {
    Py_INCREF(cause);
    PyException_SetCause(exception.ptr(), cause);  // takes the reference
  }
  return exception;
}

void raise(const Failure& failure) {
  const py::object exception = exception_of(failure);
  PyErr_SetObject(py::type::handle_of(exception).ptr(), exception.ptr());
  throw py::error_already_set();
}

void raise(ErrorCode code, const std::string& message) { raise(Failure{code, message, nullptr}); }

void set_python_error() noexcept {
  try {
    try {
      throw;
    } catch (const Error& error) {
      raise(error.code(), error.what());
    }
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
}

Failure failure_of(py::object exception) {
  std::string text;
  try {
    text = text_of(exception);
  } catch (py::error_already_set&) {
    text = "an exception whose text cannot be told";
  }
  return {ErrorCode::execution, std::move(text), shared_reference(std::move(exception))};
}

void register_error(py::module_&) {
  py::register_local_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(std::move(pointer));
    } catch (const Error& error) {
      try {
        raise(error.code(), error.what());
      } catch (py::error_already_set& raised) {
        raised.restore();
      }
    }
  });
}

}  // namespace dynbatch::python

// The interpreter lock at the edges of libdynbatch: giving it up, and dropping references to Python
// objects from threads that do not hold it.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>

#include "gil_release.hpp"

namespace dynbatch::python {

namespace py = pybind11;

/// Drops a reference on any thread: at once if it holds the GIL; otherwise some later call of
/// drop_deferred() does. What is left when the interpreter is gone is leaked.
void drop(PyObject* object) noexcept;
/// Drops what has gathered. The caller holds the GIL. One load if there is nothing.
void drop_deferred() noexcept;

/// Deletes a strong reference through drop(); also tells such a shared_ptr from all others.
struct DropReference {
  void operator()(PyObject* object) const noexcept { drop(object); }
};

/// A reference that may be dropped on any thread.
inline std::shared_ptr<PyObject> shared_reference(py::object object) {
  return {object.release().ptr(), DropReference{}};
}

/// How many forks lie between the process that loaded this module and this one.
std::uint32_t fork_generation() noexcept;
void after_fork();
/// Whether the calling thread is the interpreter's main one: the only thread that Python runs signal
/// handlers on.
bool on_main_thread() noexcept;

}  // namespace dynbatch::python

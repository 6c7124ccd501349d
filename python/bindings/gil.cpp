#include "gil.hpp"

#include <atomic>
#include <mutex>
#include <vector>

#include "wait_chain.hpp"

namespace dynbatch::python {
namespace {

// Never destroyed: threads may drop references while static objects die.
struct Deferred {
  std::mutex mutex;
  std::vector<PyObject*> objects;  // under mutex
  std::atomic<bool> any{false};
};

Deferred& deferred() noexcept {
  static auto* const instance = new Deferred;
  return *instance;
}

std::atomic<std::uint32_t> forks{0};
std::atomic<unsigned long> main_thread{0};

unsigned long main_thread_from_python() {
  const auto main = py::module_::import("threading").attr("main_thread")();
  return py::cast<unsigned long>(main.attr("ident"));
}

}  // namespace

void drop(PyObject* object) noexcept {
  if (object == nullptr || Py_IsInitialized() == 0) return;
  if (PyGILState_Check() != 0 && !interpreter_is_finalizing()) {
    Py_DECREF(object);
    return;
  }
  try {
    const std::lock_guard lock(deferred().mutex);
    deferred().objects.push_back(object);
    // release: pairs with drop_deferred: whoever sees the flag finds the object under the lock.
    deferred().any.store(true, std::memory_order_release);
  } catch (...) {
    // No memory for the list: the object leaks.
  }
}

void drop_deferred() noexcept {
  // acquire: pairs with drop.
  if (!deferred().any.load(std::memory_order_acquire)) return;
  std::vector<PyObject*> objects;
  {
    const std::lock_guard lock(deferred().mutex);
    objects.swap(deferred().objects);
    deferred().any.store(false, std::memory_order_relaxed);
  }
  for (PyObject* const object : objects) Py_DECREF(object);
}

std::uint32_t fork_generation() noexcept { return forks.load(std::memory_order_relaxed); }

void after_fork() {
  forks.fetch_add(1, std::memory_order_relaxed);
  WaitLink::forget_all();
  main_thread.store(main_thread_from_python(), std::memory_order_relaxed);
}

bool on_main_thread() noexcept {
  unsigned long main = main_thread.load(std::memory_order_relaxed);
  if (main == 0) {
    try {
      main = main_thread_from_python();
    } catch (...) {
      PyErr_Clear();
      return false;
    }
    main_thread.store(main, std::memory_order_relaxed);
  }
  return PyThread_get_thread_ident() == main;
}

}  // namespace dynbatch::python

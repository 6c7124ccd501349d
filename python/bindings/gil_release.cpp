#include "gil_release.hpp"

#include <chrono>
#include <thread>

namespace dynbatch::python {
namespace {

[[noreturn]] void park_for_good() noexcept {
  for (;;) std::this_thread::sleep_for(std::chrono::hours(24));
}

}  // namespace

bool interpreter_is_finalizing() noexcept {
#if PY_VERSION_HEX >= 0x030d0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

GilRelease::GilRelease() noexcept
    : finalizing_(interpreter_is_finalizing()), state_(PyEval_SaveThread()) {}

GilRelease::~GilRelease() {
  // The one thread that finalises may take the lock back; it was finalising when it let go.
  if (!finalizing_ && interpreter_is_finalizing()) park_for_good();
  try {
    PyEval_RestoreThread(state_);
  } catch (...) {
    // Finalisation began while this thread queued for the lock, and CPython ends such a thread by
    // unwinding its stack. Unwinding must not pass here: frames above would touch Python objects.
    park_for_good();
  }
}

}  // namespace dynbatch::python

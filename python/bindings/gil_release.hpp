// Giving the interpreter lock up for a scope.
#pragma once

#include <pybind11/pybind11.h>

namespace dynbatch::python {

bool interpreter_is_finalizing() noexcept;

/// Gives the GIL up for a scope. A thread that wants it back after the interpreter has begun to
/// finalise parks for good: taking it would end the thread under the feet of its C++ frames.
class GilRelease {
 public:
  GilRelease() noexcept;
  GilRelease(const GilRelease&) = delete;
  GilRelease& operator=(const GilRelease&) = delete;
  ~GilRelease();

 private:
  bool finalizing_;
  PyThreadState* state_;
};

}  // namespace dynbatch::python

// Times: seconds as floats in Python, durations in C++.
#pragma once

#include <chrono>
#include <cmath>
#include <optional>
#include <string>

#include "exceptions.hpp"

namespace dynbatch::python {

using Clock = std::chrono::steady_clock;

inline double to_seconds(std::chrono::nanoseconds duration) noexcept {
  return std::chrono::duration<double>(duration).count();
}

/// Raises InvalidArgument for NaN. What is too long to count ends in 100 years, what is below 0 now.
inline std::chrono::nanoseconds to_duration(const char* argument, double seconds) {
  if (std::isnan(seconds)) {
    raise(ErrorCode::invalid_argument, std::string(argument) + ": expected seconds, got nan");
  }
  constexpr double kCentury = 100.0 * 365 * 24 * 3600;
  const double bounded = std::fmin(std::fmax(seconds, 0.0), kCentury);
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(bounded));
}

/// Seconds, or None, as a caller gives them. Raises InvalidArgument for what is no number.
inline std::optional<double> seconds_of(const char* argument, py::handle seconds) {
  if (seconds.is_none()) return std::nullopt;
  if (!PyBool_Check(seconds.ptr())) {
    const double value = PyFloat_AsDouble(seconds.ptr());
    if (PyErr_Occurred() == nullptr) return value;
    PyErr_Clear();
  }
  raise(ErrorCode::invalid_argument,
        std::string(argument) + ": expected seconds, got " + std::string(py::repr(seconds)));
}

inline std::optional<std::chrono::nanoseconds> to_duration(const char* argument,
                                                           std::optional<double> seconds) {
  if (!seconds) return std::nullopt;
  return to_duration(argument, *seconds);
}

}  // namespace dynbatch::python

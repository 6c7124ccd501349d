// What the tests of ONNX Runtime need from outside: its library, and the models. A test that lacks
// them fails; it is never passed over.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include <dynbatch/onnxruntime_executor.hpp>

#include "cpp/executor/ort_mutexes.hpp"

namespace dynbatch::testing {

inline std::string required_environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') {
    throw std::runtime_error(std::string(name) + " is not set; ctest sets it");
  }
  return value;
}

inline std::string ort_library_path() { return required_environment("DYNBATCH_ORT_LIB"); }

inline std::string existing(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) throw std::runtime_error("not there: " + path.string());
  return path.string();
}

/// A model of tests/models/build.py.
inline std::string small_model(const std::string& name) {
  return existing(std::filesystem::path(required_environment("DYNBATCH_TEST_MODELS")) / "small" /
                  (name + ".onnx"));
}

/// A model of third_party/fetch_models.py, by its path below the models' folder.
inline std::string real_model(const std::string& path) {
  return existing(std::filesystem::path(required_environment("DYNBATCH_TEST_MODELS")) / path);
}

/// The message with which `make` throws; "" if it does not.
template <class Make>
std::string message_of(Make make, ErrorCode expected = ErrorCode::model) {
  try {
    make();
  } catch (const Error& error) {
    if (error.code() != expected) return std::string("code ") + name_of(error.code());
    return error.what();
  }
  return "";
}

}  // namespace dynbatch::testing

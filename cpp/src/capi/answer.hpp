// How the C functions answer: a code, and for a failure the words that aclGetRecentErrMsg() tells.
// Inside, whatever refuses throws; no exception leaves a C function.
#pragma once

#include <stdexcept>
#include <string>

#include <dynbatch/acl.h>

namespace dynbatch::capi {

class Refusal : public std::runtime_error {
 public:
  Refusal(aclError code, const std::string& message) : std::runtime_error(message), code_(code) {}
  aclError code() const noexcept { return code_; }

 private:
  aclError code_;
};

[[noreturn]] void refuse(aclError code, const std::string& message);

/// Refuses with ACL_ERROR_INVALID_PARAM. `message` names the argument, what was expected, and what came.
inline void require(bool holds, const char* message) {
  if (!holds) refuse(ACL_ERROR_INVALID_PARAM, message);
}

/// Keeps the words of a failure for the calling thread, and returns its code.
aclError told(const char* function, const Refusal& refusal) noexcept;
/// The same for the exception that is being handled.
aclError told_current(const char* function) noexcept;
const char* recent_message() noexcept;

/// Runs the body of a function that returns a code.
template <class Call>
aclError answer(const char* function, Call call) noexcept {
  try {
    call();
    return ACL_SUCCESS;
  } catch (...) {
    return told_current(function);
  }
}

/// Runs the body of a function that returns a plain value.
template <class Value, class Call>
Value value_or(const char* function, Value otherwise, Call call) noexcept {
  try {
    return call();
  } catch (...) {
    told_current(function);
    return otherwise;
  }
}

}  // namespace dynbatch::capi

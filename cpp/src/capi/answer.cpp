#include "capi/answer.hpp"

#include <exception>
#include <new>
#include <string>

#include <dynbatch/error.hpp>

namespace dynbatch::capi {
namespace {

std::string& recent() noexcept {
  thread_local std::string message;
  return message;
}

/// What the library throws and no function has put into a code of its own.
aclError code_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument: return ACL_ERROR_INVALID_PARAM;
    case ErrorCode::model: return ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID;
    case ErrorCode::execution: return ACL_ERROR_GE_FAILURE;
    default: return ACL_ERROR_INTERNAL_ERROR;
  }
}

Refusal current() {
  try {
    throw;
  } catch (const Refusal& refusal) {
    return refusal;
  } catch (const std::bad_alloc&) {
    return {ACL_ERROR_BAD_ALLOC, "there is no memory"};
  } catch (const Error& error) {
    return {code_of(error.code()), error.what()};
  } catch (const std::exception& error) {
    return {ACL_ERROR_INTERNAL_ERROR, error.what()};
  } catch (...) {
    return {ACL_ERROR_INTERNAL_ERROR, "an exception of an unknown type"};
  }
}

}  // namespace

void refuse(aclError code, const std::string& message) { throw Refusal(code, message); }

aclError told(const char* function, const Refusal& refusal) noexcept {
  try {
    recent() =
        std::string(function) + ": " + refusal.what() + " (" + std::to_string(refusal.code()) + ")";
  } catch (...) {
    recent().clear();  // no memory for words
  }
  return refusal.code();
}

aclError told_current(const char* function) noexcept {
  try {
    return told(function, current());
  } catch (...) {
    recent().clear();
    return ACL_ERROR_BAD_ALLOC;
  }
}

const char* recent_message() noexcept { return recent().c_str(); }

}  // namespace dynbatch::capi

#include "capi/answer.hpp"

#include <array>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include <dynbatch/error.hpp>

namespace dynbatch::capi {
namespace {

// Nothing destroys it: calls, and readers of the words, may come while static objects die. Longer words are cut.
thread_local std::array<char, 2048> recent{};

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
  std::snprintf(recent.data(), recent.size(), "%s: %s (%d)", function, refusal.what(),
                refusal.code());
  return refusal.code();
}

aclError told_current(const char* function) noexcept {
  try {
    return told(function, current());
  } catch (...) {
    recent[0] = '\0';  // no memory for words
    return ACL_ERROR_BAD_ALLOC;
  }
}

const char* recent_message() noexcept { return recent.data(); }

}  // namespace dynbatch::capi

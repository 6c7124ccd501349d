#include <dynbatch/error.hpp>

namespace dynbatch {

// Out of line: the class's run-time type must be the same object in every library that catches it.
Error::~Error() = default;

const char* name_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::none: return "none";
    case ErrorCode::invalid_input: return "invalid_input";
    case ErrorCode::queue_full: return "queue_full";
    case ErrorCode::closed: return "closed";
    case ErrorCode::timeout: return "timeout";
    case ErrorCode::cancelled: return "cancelled";
    case ErrorCode::execution: return "execution";
    case ErrorCode::model: return "model";
    case ErrorCode::invalid_argument: return "invalid_argument";
  }
  return "unknown";
}

}  // namespace dynbatch

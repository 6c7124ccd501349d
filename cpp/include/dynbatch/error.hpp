// Errors: the codes a request can end with, and the exception that carries one.
//
// Building and configuring throw Error. Submitting never throws: a refusal or a failure travels in
// the ticket of the request, and Ticket::get() turns it into an Error.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <dynbatch/export.hpp>

namespace dynbatch {

enum class ErrorCode : std::uint8_t {
  none = 0,
  invalid_input,     // the request does not fit the model; it was never queued
  queue_full,        // no room, and the caller asked not to wait; it was never queued
  closed,            // the batcher is closed; it was never queued
  timeout,           // the deadline passed before the answer was there
  cancelled,         // the caller, or close(drain = false), gave the request up
  execution,         // the executor failed for this request, also alone
  model,             // the model cannot be loaded or batched as asked
  invalid_argument,  // an option is out of range
};

/// The lower-case name of a code, such as "queue_full"; a static string.
DYNBATCH_EXPORT const char* name_of(ErrorCode code) noexcept;

/// What every failing call of this library throws. Immutable, so it may be read by any thread.
class DYNBATCH_EXPORT Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ~Error() override;

  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

/// Why a run, or one request of it, failed. `cause` is an opaque object of the executor's (the
/// Python executor keeps the exception there); it is dropped with the last ticket that holds it.
struct Failure {
  ErrorCode code = ErrorCode::none;
  std::string message;
  std::shared_ptr<void> cause;

  explicit operator bool() const noexcept { return code != ErrorCode::none; }
};

}  // namespace dynbatch

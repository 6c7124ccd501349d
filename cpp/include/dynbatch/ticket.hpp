// Ticket: the caller's handle to one request's completion.
//
// Move-only; used by one thread at a time, except cancel(), done() and wait_for(), which any thread
// may call. A ticket keeps what it needs alive, so it may outlive its batcher. Dropping a ticket
// does not cancel its request. In the child of a fork a request that was not done has ended with
// ErrorCode::closed.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include <dynbatch/error.hpp>
#include <dynbatch/export.hpp>
#include <dynbatch/tensor.hpp>

namespace dynbatch {

class CompletionPort;
namespace detail {
struct RequestBase;
}

class DYNBATCH_EXPORT Ticket {
 public:
  Ticket() noexcept = default;
  Ticket(Ticket&& other) noexcept;
  Ticket& operator=(Ticket&& other) noexcept;
  ~Ticket();

  /// False: the request was refused and never queued: invalid_input, queue_full, closed, timeout (while
  /// it waited for room), execution (no memory).
  bool accepted() const noexcept { return request_ != nullptr; }
  bool done() const noexcept;
  /// Blocks until the request is done. Returns at once if it was refused.
  void wait() const noexcept;
  /// Blocks for at most `time`; says whether the request is done.
  bool wait_for(std::chrono::nanoseconds time) const noexcept;
  /// Gives the request up. True if this call ended it; false if it was done already.
  bool cancel() noexcept;
  /// Ends the request with ErrorCode::timeout. True if this call ended it.
  bool expire() noexcept;

  /// Of a request that is done: none if it succeeded.
  ErrorCode code() const noexcept;
  /// Of a request that is done: why it failed; empty if it did not.
  Failure failure() const;
  /// Waits, then throws Error if the request failed.
  void get() const;

  /// Rows of the request.
  std::size_t rows() const noexcept;
  std::size_t output_count() const noexcept;
  /// Output `index` of a request that has succeeded: its own rows, in the order they were given.
  OutputView output(std::size_t index) const noexcept;
  /// Whether this request's rows are all that the memory behind output() holds.
  bool owns_whole_block() const noexcept;

  /// Has `port` deliver `context` once the request is done (at once if it is). At most one port a
  /// ticket; false if it has one already, and in the child of a fork. `port` must outlive the request.
  bool notify(CompletionPort& port, void* context) noexcept;

 private:
  friend class Batcher;
  explicit Ticket(detail::RequestBase* request) noexcept : request_(request) {}
  explicit Ticket(Failure refusal);

  detail::RequestBase* request_ = nullptr;
  // Of a refused request; null otherwise, so that the usual path allocates nothing.
  std::unique_ptr<Failure> refusal_;
};

}  // namespace dynbatch

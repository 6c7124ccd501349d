// Request: one caller's rows on their way, and its result.
//
// A request has two owners: the caller (its ticket) and the queue (until its last part is done); the
// second to let go frees it. It ends once: whoever sets kDone, of completion, cancel and expiry, wins.
// What the ticket reads of a result is written before kDone is set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include <dynbatch/error.hpp>
#include <dynbatch/tensor.hpp>
#include <dynbatch/ticket.hpp>

#include "base/platform.hpp"
#include "batch/completion_list.hpp"
#include "batch/shared_inputs.hpp"
#include "memory/output_block.hpp"
#include "queue/staged_key.hpp"

namespace dynbatch {

namespace detail {
struct RequestBase {};
}  // namespace detail

template <class P>
class RequestLedger;

/// Results in memory of the request's own: of a request that was cut into parts, or whose block
/// could not be lent to its reader.
template <class P>
struct OwnOutputs {
  struct Tensor {
    std::unique_ptr<std::byte[]> data;
    std::size_t size_bytes = 0;
    Shape shape;  // whole
  };
  std::vector<Tensor> tensors;   // empty until the first part is there
  std::size_t unread_bytes = 0;  // what statistics count until the request is freed
  typename P::Mutex mutex;       // while parts of one request end on several threads
};

template <class P>
struct alignas(kCacheLine) Request : detail::RequestBase, PortEntry {
  // The low byte is the ErrorCode once kDone is set.
  static constexpr std::uint32_t kCodeMask = 0xff;
  static constexpr std::uint32_t kDone = 1u << 8;
  static constexpr std::uint32_t kWaiting = 1u << 9;  // somebody sleeps on the word
  static constexpr std::uint32_t kPort = 1u << 10;    // `port` is set

  typename P::Word state{0};
  typename P::template atomic<std::uint32_t> references{0};
  typename P::template atomic<std::uint32_t> open_parts{0};
  typename P::template atomic<Failure*> failure{nullptr};  // owned; the first error wins
  RequestLedger<P>* ledger = nullptr;
  std::uint32_t index = 0;  // in the ledger's pool
  std::uint32_t rows = 0;
  OutputBlock<P>* outputs = nullptr;           // a hold on it, if the result lies in a lent block
  std::uint32_t first_row = 0;                 // ... from this row on
  std::unique_ptr<OwnOutputs<P>> own_outputs;  // kept when the request is recycled
  bool is_claiming = false;  // counted by the runtime as not having claimed all its rows
  bool is_cut = false;       // its parts are joined in own_outputs
  typename SharedInputs<P>::Entry* shared = nullptr;
  Nanoseconds submitted_at = 0;  // of sampled requests; 0 otherwise
  CompletionList<P>* port = nullptr;
  Request* next_to_tell = nullptr;  // used by the thread that ends a batch
  std::uint32_t state_to_tell = 0;  // ... with the state before the end
  StagedKey staged;                 // of models whose rows differ in shape

  bool is_done() const noexcept {
    // acquire: pairs with RequestLedger::end: publishes the result.
    return (state.load(std::memory_order_acquire) & kDone) != 0;
  }
  ErrorCode code() const noexcept {
    // acquire: pairs with RequestLedger::end, as above.
    return static_cast<ErrorCode>(state.load(std::memory_order_acquire) & kCodeMask);
  }
};

/// Rows [request_row, request_row + rows) of a request, which stand in one block.
template <class P>
struct Part {
  Request<P>* request = nullptr;
  std::uint32_t request_row = 0;
  std::uint32_t rows = 0;
};

}  // namespace dynbatch

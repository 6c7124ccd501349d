#include <dynbatch/ticket.hpp>

#include <utility>

#include "base/platform.hpp"
#include "batch/own_outputs.hpp"
#include "batch/request.hpp"
#include "batch/request_ledger.hpp"
#include "batch/request_wait.hpp"

namespace dynbatch {
namespace {

using R = Request<StdPlatform>;

R& of(detail::RequestBase* base) noexcept { return *static_cast<R*>(base); }

/// Not done when its process was forked, so that it never will be.
bool is_lost(detail::RequestBase* base) noexcept {
  return of(base).ledger->forked() && !of(base).is_done();
}

}  // namespace

Ticket::Ticket(Failure refusal) : refusal_(std::make_unique<Failure>(std::move(refusal))) {}

Ticket::Ticket(Ticket&& other) noexcept
    : request_(std::exchange(other.request_, nullptr)), refusal_(std::move(other.refusal_)) {}

Ticket& Ticket::operator=(Ticket&& other) noexcept {
  std::swap(request_, other.request_);
  std::swap(refusal_, other.refusal_);
  return *this;
}

Ticket::~Ticket() {
  if (request_ == nullptr || of(request_).ledger->forked()) return;
  of(request_).ledger->release(of(request_));
}

bool Ticket::done() const noexcept {
  return request_ == nullptr || of(request_).is_done() || is_lost(request_);
}

void Ticket::wait() const noexcept {
  if (!done()) wait_for_end<StdPlatform>(of(request_), kNever);
}

bool Ticket::wait_for(std::chrono::nanoseconds time) const noexcept {
  if (done()) return true;
  return wait_for_end<StdPlatform>(of(request_), after(StdPlatform::now(), time.count()));
}

bool Ticket::cancel() noexcept {
  return !done() && of(request_).ledger->give_up(of(request_), ErrorCode::cancelled);
}

bool Ticket::expire() noexcept {
  return !done() && of(request_).ledger->give_up(of(request_), ErrorCode::timeout);
}

ErrorCode Ticket::code() const noexcept {
  if (request_ == nullptr) return refusal_ ? refusal_->code : ErrorCode::none;
  return is_lost(request_) ? ErrorCode::closed : of(request_).code();
}

Failure Ticket::failure() const {
  if (request_ == nullptr) return refusal_ ? *refusal_ : Failure{};
  if (is_lost(request_)) {
    return {.code = ErrorCode::closed,
            .message = "the request was made before this process was forked",
            .cause = nullptr};
  }
  const ErrorCode code = of(request_).code();
  if (code == ErrorCode::none) return {};
  // acquire: pairs with RequestLedger::set_failure: publishes the text.
  const Failure* const failure = of(request_).failure.load(std::memory_order_acquire);
  // A request that its caller gave up may have failed as well; what the caller did counts.
  if (failure != nullptr && failure->code == code) return *failure;
  return {
      .code = code,
      .message = code == ErrorCode::timeout ? "timed out before the answer was there" : "cancelled",
      .cause = nullptr};
}

void Ticket::get() const {
  wait();
  if (const Failure why = failure()) throw Error(why.code, why.message);
}

std::size_t Ticket::rows() const noexcept { return request_ == nullptr ? 0 : of(request_).rows; }

std::size_t Ticket::output_count() const noexcept {
  return request_ == nullptr ? 0 : of(request_).ledger->spec.outputs.size();
}

OutputView Ticket::output(std::size_t index) const noexcept {
  const R& request = of(request_);
  const ModelSpec& spec = request.ledger->spec;
  OutputView view{.dtype = spec.outputs[index].dtype};
  const std::byte* data = nullptr;
  Shape row_shape;
  if (request.outputs != nullptr) {
    data = output_rows(*request.outputs, spec, index, row_shape);
  } else if (request.own_outputs && !request.own_outputs->tensors.empty()) {
    const auto& tensor = request.own_outputs->tensors[index];
    view.data = tensor.data.get();
    view.size_bytes = tensor.size_bytes;
    view.shape = tensor.shape;
    return view;
  } else {
    row_shape = request.ledger->empty_row_shapes[index];  // a request of no rows
  }
  const std::size_t row_bytes = bytes_of_row(row_shape, view.dtype);
  view.data = data == nullptr ? nullptr : data + request.first_row * row_bytes;
  view.size_bytes = row_bytes * request.rows;
  view.shape.push_back(static_cast<std::int64_t>(request.rows));
  for (const std::int64_t dim : row_shape.dims()) view.shape.push_back(dim);
  return view;
}

bool Ticket::owns_whole_block() const noexcept {
  if (request_ == nullptr) return false;
  const R& request = of(request_);
  return request.outputs == nullptr || request.outputs->rows == request.rows;
}

bool Ticket::notify(CompletionPort& port, void* context) noexcept {
  if (request_ == nullptr || of(request_).ledger->forked()) return false;
  return of(request_).ledger->notify(of(request_), port.implementation(), context);
}

}  // namespace dynbatch

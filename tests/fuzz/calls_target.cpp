// Calls: whatever a caller does with a batcher and its tickets in whatever order, nothing hangs, every
// request ends once and right, every notice comes once, and at the end the counters balance.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <dynbatch/batcher.hpp>
#include <dynbatch/completion_port.hpp>

#include "cpp/runtime/custom_executor.hpp"
#include "fuzz/fuzz_bytes.hpp"
#include "fuzz/fuzz_target.hpp"

namespace dynbatch::testing {
namespace {

using std::chrono::nanoseconds;

constexpr float kPoison = -1.0F;

/// y = x + 1, but a poisoned row fails its run, and an odd one is refused by itself.
Failure run(const Batch& batch, RunOutputs& outputs, bool adopts) {
  const float* const x = floats(batch.inputs[0]);
  if (std::find(x, x + batch.rows, kPoison) != x + batch.rows) return failed("poisoned");
  float* y = nullptr;
  if (adopts) {
    y = new float[batch.rows];
    const auto release = [](void* memory) { delete[] static_cast<float*>(memory); };
    outputs.adopt(0, y, Shape{static_cast<std::int64_t>(batch.rows), 1}, release, y);
  } else {
    y = floats(batch.outputs[0]);
  }
  for (std::size_t row = 0; row < batch.rows; ++row) {
    y[row] = x[row] + 1.0F;
    if (x[row] == 13.0F) outputs.fail_row(row, failed("odd"));
  }
  return {};
}

/// One batcher, the tickets of its requests, and what has been asked and told so far.
class Caller {
 public:
  explicit Caller(FuzzBytes bytes) : bytes_(bytes), adopts_(bytes_.one_in(4)) {
    BatchingOptions options{.max_batch_size = 1 + bytes_.below(6), .verify = false};
    options.batching = bytes_.one_in(6) ? Batching::off : Batching::always;
    options.fill = bytes_.one_in(6) ? Fill::yes : Fill::no;
    options.workers = 1 + bytes_.below(2);
    options.queue_capacity = 1 + bytes_.below(12);
    options.caller_runs = !bytes_.one_in(3);
    options.max_queue_delay = draw_delay();
    options.own_workers = !bytes_.one_in(4);
    ModelSpec spec = CustomExecutor::one_float();
    if (adopts_) spec.outputs[0].row_shape = Shape{-1};
    auto executor = make_executor(
        [adopts = adopts_](const Batch& batch, RunOutputs& outputs) {
          return run(batch, outputs, adopts);
        },
        spec);
    batcher_ = std::make_unique<Batcher>(std::move(executor), options);
    if (!options.own_workers) {
      for (std::size_t i = 0; i < *options.workers; ++i) {
        lent_.emplace_back([this] { batcher_->work(); });
      }
      batcher_->wait_for_workers();
    }
  }

  void make_calls() {
    for (int calls = 0; calls < 200 && !bytes_.empty() && batcher_ != nullptr; ++calls) make_call();
  }

  /// Closes what is open, and expects that nothing is left.
  void end() {
    if (batcher_ != nullptr) {
      close();
      drop_batcher();
    }
    for (const Request& request : requests_) expect_right(request);
    requests_.clear();
    drain();
    expect(std::ranges::all_of(told_, [](int times) { return times == 1; }), "each notice once");
  }

 private:
  struct Request {
    Ticket ticket;
    std::vector<float> rows;
    bool gives_up = false;  // it may end without an answer
    bool told = false;      // whether a notice was asked for
  };

  nanoseconds draw_delay() {
    static constexpr std::int64_t kDelays[] = {0, 20'000, 1'000'000, 10'000'000'000};
    return nanoseconds(kDelays[bytes_.below(4)]);
  }
  /// Short where nothing else would end the wait soon.
  std::optional<nanoseconds> draw_timeout() {
    static constexpr std::int64_t kTimes[] = {0, 1'000, 300'000, -5, INT64_MAX};
    const nanoseconds time(kTimes[bytes_.below(5)]);
    const bool endless = time.count() == INT64_MAX;
    if (!endless) return time;
    const bool soon = batcher_->max_queue_delay() <= std::chrono::milliseconds(1);
    return soon ? std::nullopt : std::optional(nanoseconds(300'000));
  }

  bool draw_drain() {
    const bool drain = bytes_.one_in(2);
    cancels_ = cancels_ || !drain;
    return drain;
  }

  void submit(std::size_t way) {
    Request request;
    request.rows.resize(bytes_.below(16) == 15 ? bytes_.below(40) : bytes_.below(4));
    for (float& row : request.rows) {
      row = bytes_.one_in(16) ? kPoison : static_cast<float>(bytes_.below(32));
    }
    const InputView view{request.rows.data(), DataType::float32,
                         Shape{static_cast<std::int64_t>(request.rows.size()), 1}};
    SubmitOptions options;
    options.on_full = bytes_.one_in(2) ? OnFull::wait : OnFull::raise;
    options.timeout = draw_timeout();
    options.asks_again = bytes_.one_in(4);
    request.gives_up = options.timeout.has_value() && (way == 2 || options.on_full == OnFull::wait);
    request.ticket = way == 0   ? batcher_->submit({&view, 1}, options)
                     : way == 1 ? batcher_->start({&view, 1}, options)
                                : batcher_->infer({&view, 1}, options);
    expect(way != 2 || request.ticket.done(), "infer() to return what is done");
    if (!request.ticket.accepted()) {
      expect(request.ticket.done(), "a refusal to be done");
      expect(!request.ticket.failure().message.empty(), "a refusal that says why");
      expect(!request.ticket.notify(port_, nullptr) && !request.ticket.cancel() &&
                 !request.ticket.expire(),
             "nothing to be done with a refusal");
      return;
    }
    if (is_poisoned(request)) ++poisoned_;
    requests_.push_back(std::move(request));
  }

  void use_a_ticket() {
    const std::size_t way = bytes_.below(8);
    if (requests_.empty()) return;
    Request& request = requests_[bytes_.below(requests_.size())];
    Ticket& ticket = request.ticket;
    if (way == 0) {
      const bool ended = ticket.cancel();
      request.gives_up = request.gives_up || ended;
      expect(ticket.done(), "a cancelled request to be done");
      expect(!ended || ticket.code() == ErrorCode::cancelled, "cancelled");
    } else if (way == 1) {
      const bool ended = ticket.expire();
      request.gives_up = request.gives_up || ended;
      expect(!ended || ticket.code() == ErrorCode::timeout, "timeout");
    } else if (way == 2) {
      told_.push_back(0);
      if (!ticket.notify(port_, at(told_.size() - 1))) told_.back() = 1;
    } else if (way == 3) {
      ticket.wait_for(nanoseconds(static_cast<std::int64_t>(bytes_.byte()) * 1000));
    } else if (way == 4) {
      expect_right_if_done(request);
      std::swap(request, requests_.back());
      requests_.pop_back();
    } else if (way == 5) {
      Ticket moved(std::move(ticket));
      expect(!ticket.accepted() && ticket.done(), "nothing in what was moved from");
      ticket = std::move(moved);
    } else if (way == 6) {
      Ticket& same = ticket;
      ticket = std::move(same);
      expect(ticket.accepted(), "a ticket that is moved to itself to stay");
    } else {
      expect_right_if_done(request);
    }
  }

  void make_call() {
    switch (bytes_.below(12)) {
      case 0:
      case 1: return submit(0);
      case 2: return submit(1);
      case 3: return submit(2);
      case 4:
        told_.push_back(0);
        return batcher_->notify_space(port_, at(told_.size() - 1), bytes_.below(40));
      case 5: return drain();
      case 6: return batcher_->set_max_queue_delay(draw_delay());
      case 7:
        if (bytes_.one_in(8)) close();
        return;
      case 8:
        if (!bytes_.one_in(8)) return;
        batcher_->close_for(nanoseconds(bytes_.byte() * 1000), draw_drain());
        return;
      case 9:
        if (bytes_.one_in(16)) drop_batcher();
        return;
      default: return use_a_ticket();
    }
  }

  static bool is_poisoned(const Request& request) {
    return std::ranges::count(request.rows, kPoison) > 0;
  }
  void expect_right_if_done(const Request& request) const {
    if (request.ticket.done()) expect_right(request);
  }
  void expect_right(const Request& request) const {
    const Ticket& ticket = request.ticket;
    expect(ticket.done(), "a request to be done once its batcher is closed");
    const bool poisoned = is_poisoned(request);
    const bool odd = std::ranges::count(request.rows, 13.0F) > 0;
    switch (ticket.code()) {
      case ErrorCode::none: break;
      case ErrorCode::execution:
        // Where several are poisoned, isolation may give up before it has found them all.
        expect(poisoned || odd || poisoned_ > 1, "no failure of others");
        return;
      case ErrorCode::timeout: expect(request.gives_up, "no timeout without one"); return;
      case ErrorCode::cancelled:
        expect(request.gives_up || cancels_, "no cancellation without one");
        return;
      default: expect(false, std::string("a code of a request, not ") + name_of(ticket.code()));
    }
    expect(!poisoned && !odd, "the failure of a bad row");
    const OutputView view = ticket.output(0);
    expect(view.shape[0] == static_cast<std::int64_t>(request.rows.size()), "a row for each");
    for (std::size_t row = 0; row < request.rows.size(); ++row) {
      expect(static_cast<const float*>(view.data)[row] == request.rows[row] + 1.0F,
             "the answer of the request's own row");
    }
  }

  void close() {
    batcher_->close(draw_drain());
    expect(batcher_->closed(), "closed");
    expect_balance();
  }
  void expect_balance() const {
    const Stats stats = batcher_->stats();
    expect(stats.in_flight == 0, "nothing in flight");
    expect(stats.accepted == stats.succeeded + stats.failed + stats.cancelled + stats.timed_out,
           "each request to have ended once");
    expect(stats.runs_under_way == 0, "no run under way");
  }

  void drop_batcher() {
    cancels_ = true;
    if (!lent_.empty()) batcher_->close(false);
    for (std::thread& thread : lent_) thread.join();
    lent_.clear();
    batcher_.reset();
  }

  void drain() {
    std::vector<void*> contexts;
    port_.drain(contexts);
    for (void* context : contexts) {
      const std::size_t index = reinterpret_cast<std::uintptr_t>(context) - 1;
      expect(index < told_.size() && ++told_[index] == 1, "a notice that was asked for, once");
    }
  }
  static void* at(std::size_t index) { return reinterpret_cast<void*>(index + 1); }

  FuzzBytes bytes_;
  bool adopts_;
  bool cancels_ = false;      // whether a close has given requests up
  std::size_t poisoned_ = 0;  // requests
  CompletionPort port_;
  std::vector<int> told_;  // how often each notice came
  std::unique_ptr<Batcher> batcher_;
  std::vector<std::thread> lent_;
  std::vector<Request> requests_;
};

}  // namespace
}  // namespace dynbatch::testing

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  dynbatch::testing::Caller caller(dynbatch::testing::FuzzBytes(data, size));
  caller.make_calls();
  caller.end();
  return 0;
}

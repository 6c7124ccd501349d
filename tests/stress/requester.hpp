// One thread's requests to a stressed batcher, random in size and in all that may go wrong. Every
// answer is checked by its content, some of them twice: at once, and long after.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include <dynbatch/batcher.hpp>

#include "stress/setting.hpp"
#include "stress/stressed_executor.hpp"

namespace dynbatch::testing {

/// How the requests of a thread ended, as their tickets said.
struct Account {
  static constexpr std::size_t kCodes = 16;
  std::uint64_t made = 0;
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
  std::uint64_t dropped = 0;                 // of the accepted, without a look at the end
  std::array<std::uint64_t, kCodes> ends{};  // of the accepted, by ErrorCode
  std::array<std::uint64_t, kCodes> refusals{};
  std::uint64_t wrong = 0;  // answers of another request, or none
  std::uint64_t poison_passed = 0;
  std::uint64_t told_twice = 0;  // announcements of one request at its port
  std::uint64_t answered_rows = 0;

  Account& operator+=(const Account& other) {
    made += other.made;
    accepted += other.accepted;
    refused += other.refused;
    dropped += other.dropped;
    for (std::size_t i = 0; i < kCodes; ++i) {
      ends[i] += other.ends[i];
      refusals[i] += other.refusals[i];
    }
    wrong += other.wrong;
    poison_passed += other.poison_passed;
    told_twice += other.told_twice;
    answered_rows += other.answered_rows;
    return *this;
  }
  std::uint64_t ended(ErrorCode code) const { return ends.at(static_cast<std::size_t>(code)); }
  std::uint64_t refused_with(ErrorCode code) const {
    return refusals.at(static_cast<std::size_t>(code));
  }
};

class Requester {
 public:
  Requester(const Setting& setting, Batcher& batcher, std::uint64_t seed, std::uint64_t index)
      : setting_(setting),
        batcher_(batcher),
        random_(seed * 1000 + index),
        index_(index),
        next_number_(static_cast<std::int64_t>(index + 1) << 40),
        blocking_(setting.waits == Waits::blocking ||
                  (setting.waits == Waits::mixed && index % 2 == 0)),
        depth_(setting.waits == Waits::mixed || setting.waits == Waits::blocking ? 24 : 64) {}

  /// Until they are all made, or the batcher is closed.
  void make(std::uint64_t count) {
    for (std::uint64_t i = 0; i < count && !batcher_.closed(); ++i) {
      make_one();
      if (setting_.gives_up && random_() % 4 == 0) give_up(any_pending());
      if (setting_.waits == Waits::mixed || setting_.waits == Waits::blocking) {
        while (pending_.size() > random_() % depth_) settle_any();
      } else if (pending_.size() >= depth_) {
        while (!pending_.empty()) settle_any();
      }
    }
    while (!pending_.empty()) settle_any();
    for (const Pending& request : held_) check(request);
    held_.clear();
    port_.drain(contexts_);
    account_.told_twice += contexts_.size();
  }

  const Account& account() const noexcept { return account_; }
  /// Requests that have been made or have ended; any thread.
  std::uint64_t progress() const noexcept { return progress_.load(std::memory_order_relaxed); }

 private:
  struct Pending {
    std::vector<Row> rows;
    std::int64_t scale = 1;
    bool poisoned = false;
    std::unique_ptr<int> told;  // how often its port has announced it; null: it has no port
    Ticket ticket;
  };

  void make_one() {
    Pending request = fill();
    const SubmitOptions how{.on_full = random_() % 2 == 0 ? OnFull::wait : OnFull::raise,
                            .timeout = timeout()};
    const std::array<InputView, 2> views = {
        InputView{request.rows.data(), DataType::int64,
                  Shape{static_cast<std::int64_t>(request.rows.size()), 2}},
        InputView{&request.scale, DataType::int64, Shape{}}};
    const std::span<const InputView> inputs(views.data(), setting_.shared ? 2 : 1);
    const bool blocks = setting_.waits == Waits::blocking || (blocking_ && random_() % 4 != 0);
    send(request, inputs, how, blocks);
    if (setting_.notices && request.ticket.code() == ErrorCode::queue_full) {
      wait_for_notice(request.rows.size());
      // Not everybody who was told of room comes for it.
      if (random_() % 4 != 0) send(request, inputs, how, false);
    }
    if (setting_.waits == Waits::announced && request.ticket.accepted()) {
      request.told = std::make_unique<int>(0);
      if (!request.ticket.notify(port_, request.told.get())) ++account_.wrong;
    }
    pending_.push_back(std::move(request));
  }

  void send(Pending& request, std::span<const InputView> inputs, const SubmitOptions& how,
            bool blocks) {
    request.ticket = blocks ? batcher_.infer(inputs, how) : batcher_.submit(inputs, how);
    ++account_.made;
    if (request.ticket.accepted()) {
      ++account_.accepted;
    } else {
      ++account_.refused;
      ++account_.refusals.at(static_cast<std::size_t>(request.ticket.code()));
    }
    beat();
  }

  Pending fill() {
    Pending request;
    if (!spare_.empty()) {
      request.rows = std::move(spare_.back());
      spare_.pop_back();
      request.rows.clear();
    }
    const bool large =
        random_() % 32 == 0 && setting_.batching != Batching::off && !setting_.callers_only;
    const std::size_t rows = large ? random_() % 40 : random_() % 4;
    for (std::size_t row = 0; row < rows; ++row) request.rows.push_back(row_of(next_number_++));
    if (setting_.fails != Fails::no && may_poison() && rows > 0) {
      Row& row = request.rows[random_() % rows];
      row = row_of(row.number | kPoison);
      request.poisoned = true;
      poison_in_flight_ = true;
    }
    request.scale = static_cast<std::int64_t>(1 + random_() % 3);
    return request;
  }

  bool may_poison() {
    if (random_() % 64 != 0) return false;
    return setting_.fails == Fails::anything || (index_ == 0 && !poison_in_flight_);
  }

  std::optional<std::chrono::nanoseconds> timeout() {
    if (!setting_.gives_up || random_() % 4 != 0) return std::nullopt;
    return std::chrono::microseconds(random_() % 200);
  }

  void wait_for_notice(std::size_t rows) {
    CompletionPort port;
    batcher_.notify_space(port, this, rows);
    std::vector<void*> contexts;
    for (port.drain(contexts); contexts.empty(); port.drain(contexts)) port.wait();
    if (contexts != std::vector<void*>{this}) ++account_.told_twice;
  }

  Pending& any_pending() { return pending_[random_() % pending_.size()]; }

  void give_up(Pending& request) {
    if (random_() % 2 == 0)
      request.ticket.cancel();
    else
      request.ticket.expire();
  }

  void settle_any() {
    std::swap(any_pending(), pending_.back());
    Pending request = std::move(pending_.back());
    pending_.pop_back();
    if (request.poisoned && setting_.fails == Fails::poison) {
      request.ticket.wait();  // even of one that was given up the rows are still in flight
      poison_in_flight_ = false;
    }
    if (request.ticket.accepted() && setting_.gives_up && random_() % 16 == 0) {
      ++account_.dropped;
      request.ticket = Ticket();
      wait_until_told(request);
    } else {
      settle(request);
    }
    beat();
    if (spare_.size() < depth_) spare_.push_back(std::move(request.rows));
  }

  void settle(Pending& request) {
    wait_until_told(request);
    request.ticket.wait();
    if (!request.ticket.accepted()) return;
    ++account_.ends.at(static_cast<std::size_t>(request.ticket.code()));
    if (request.ticket.code() != ErrorCode::none) return;
    if (request.poisoned) ++account_.poison_passed;
    account_.answered_rows += request.rows.size();
    check(request);
    if (random_() % 64 != 0) return;
    // Kept while others run: nobody may write into what its ticket holds.
    if (held_.size() >= 8) {
      check(held_.front());
      held_.erase(held_.begin());
    }
    held_.push_back({.rows = request.rows,
                     .scale = request.scale,
                     .poisoned = false,
                     .told = nullptr,
                     .ticket = std::move(request.ticket)});
  }

  void wait_until_told(const Pending& request) {
    if (request.told == nullptr) return;
    while (*request.told == 0) {
      port_.drain(contexts_);
      for (void* const context : contexts_) ++*static_cast<int*>(context);
      if (*request.told == 0 && contexts_.empty()) port_.wait();
    }
    if (*request.told != 1) ++account_.told_twice;
  }

  void check(const Pending& request) {
    const OutputView view = request.ticket.output(0);
    if (view.size_bytes != request.rows.size() * sizeof(Row)) {
      ++account_.wrong;
      return;
    }
    const auto* const rows = static_cast<const Row*>(view.data);
    const std::int64_t scale = setting_.shared ? request.scale : 1;
    for (std::size_t row = 0; row < request.rows.size(); ++row) {
      if (rows[row] != answer_to(request.rows[row], scale)) ++account_.wrong;
    }
  }

  void beat() noexcept { progress_.fetch_add(1, std::memory_order_relaxed); }

  const Setting& setting_;
  Batcher& batcher_;
  std::mt19937_64 random_;
  const std::uint64_t index_;
  std::int64_t next_number_;
  const bool blocking_;
  const std::size_t depth_;
  bool poison_in_flight_ = false;
  Account account_;
  alignas(64) std::atomic<std::uint64_t> progress_{0};
  std::vector<Pending> pending_;
  std::vector<Pending> held_;
  std::vector<std::vector<Row>> spare_;
  CompletionPort port_;
  std::vector<void*> contexts_;
};

}  // namespace dynbatch::testing

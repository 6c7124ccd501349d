// A batcher under stress: threads with random requests against an executor that checks its rows.
//
// At rest the counters equal what tickets and executor have counted on their own, and everything is
// back in its place.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <dynbatch/batcher.hpp>

#include "stress/requester.hpp"
#include "stress/setting.hpp"
#include "stress/stress_run.hpp"
#include "stress/stressed_executor.hpp"

namespace dynbatch::testing {

class StressedBatcher {
 public:
  StressedBatcher(const Setting& setting, std::uint64_t seed)
      : setting_(setting),
        seed_(seed),
        batcher_(std::make_unique<StressedExecutor>(setting_, seed, findings_), options()) {
    for (std::size_t i = 0; i < setting.threads; ++i) {
      requesters_.push_back(std::make_unique<Requester>(setting_, batcher_, seed, i));
    }
    if (setting.own_workers || setting.callers_only) return;
    for (std::size_t i = 0; i < setting.workers; ++i) {
      lent_.emplace_back([this] { batcher_.work(); });
    }
    batcher_.wait_for_workers();
  }

  /// Each thread makes `count` requests; a batcher that closes meanwhile does so after `close_after`.
  void run(std::uint64_t count, std::uint64_t close_after = 0) {
    const auto start = std::chrono::steady_clock::now();
    const Watchdog watchdog([this] { return progress(); }, [this] { return describe(); });
    std::vector<std::thread> threads;
    for (const auto& requester : requesters_) {
      threads.emplace_back([this, &requester, count] {
        requester->make(count);
        ++finished_;
      });
    }
    std::vector<std::thread> others;
    if (setting_.delays) others.emplace_back([this] { change_delays(); });
    if (setting_.observed) others.emplace_back([this] { observe(); });
    if (setting_.closes != Closes::at_rest) {
      wait_for_progress(close_after);
      batcher_.close(setting_.closes == Closes::draining);
    } else if (setting_.callers_only) {
      lead_those_who_are_left();
    }
    for (std::thread& thread : threads) thread.join();
    for (std::thread& thread : others) thread.join();
    batcher_.close(true);
    for (std::thread& thread : lent_) thread.join();
    for (const auto& requester : requesters_) account_ += requester->account();
    requests_of_all_tests += account_.made;
    seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  void expect_rest() const {
    const Stats stats = batcher_.stats();
    EXPECT_EQ(account_.wrong, 0U) << "answers of another request, or none";
    EXPECT_EQ(account_.poison_passed, 0U) << "poisoned requests with an answer";
    EXPECT_EQ(account_.told_twice, 0U) << "announced more than once";
    EXPECT_EQ(findings_.torn_rows, 0U) << "rows changed during a run, or were not all there";
    EXPECT_EQ(findings_.torn_outputs, 0U) << "somebody else wrote into the outputs of a run";
    EXPECT_EQ(findings_.shared_memory, 0U) << "two runs at once in the same memory";
    EXPECT_EQ(findings_.adopted, 0) << "outputs that were not released, or twice";
    expect_requests(stats);
    expect_runs(stats);
  }

  std::string describe() const {
    const Stats stats = batcher_.stats();
    std::string text = setting_.name;
    const auto add = [&](const char* name, std::uint64_t value) {
      if (value > 0) text += std::string(", ") + name + " " + std::to_string(value);
    };
    add("accepted", stats.accepted);
    add("succeeded", stats.succeeded);
    add("failed", stats.failed);
    add("cancelled", stats.cancelled);
    add("timed out", stats.timed_out);
    add("in flight", stats.in_flight);
    add("refused", stats.refused);
    add("batches", stats.batches);
    add("reruns", stats.reruns);
    add("under way", stats.runs_under_way);
    add("on callers", stats.runs_on_callers);
    add("wake-ups", stats.worker_wakeups);
    return text;
  }
  double seconds() const { return seconds_; }
  std::uint64_t made() const { return account_.made; }

 private:
  BatchingOptions options() const {
    BatchingOptions options;
    if (setting_.gears.empty()) options.max_batch_size = setting_.max_batch_size;
    options.gears = setting_.gears;
    options.fill = setting_.gears.empty() ? Fill::no : Fill::yes;
    options.batching = setting_.batching;
    options.verify = false;
    options.workers = setting_.workers;
    options.own_workers = setting_.own_workers;
    options.queue_capacity = setting_.queue_capacity;
    options.examples = {InputView{&example_, DataType::int64, Shape{1, 2}}};
    if (setting_.shared)
      options.examples.push_back(InputView{&kExampleScale, DataType::int64, Shape{}});
    return options;
  }

  std::uint64_t progress() const {
    std::uint64_t sum = 0;
    for (const auto& requester : requesters_) sum += requester->progress();
    return sum;
  }
  bool finished() const { return finished_ == requesters_.size(); }

  /// Or until nobody makes any: without workers a batch that failed waits for the end.
  void wait_for_progress(std::uint64_t wanted) const {
    std::uint64_t seen = 0;
    for (int still = 0; seen < wanted && !(setting_.callers_only && still > 200); ++still) {
      std::this_thread::yield();
      const std::uint64_t now = progress();
      if (now != seen) still = 0;
      seen = now;
    }
  }

  void change_delays() {
    std::mt19937_64 random(seed_);
    while (!finished() && !batcher_.closed()) {
      batcher_.set_max_queue_delay(
          std::chrono::microseconds(random() % 3 == 0 ? 0 : random() % 300));
      for (int i = 0; i < 20; ++i) std::this_thread::yield();
    }
    batcher_.set_max_queue_delay(std::chrono::nanoseconds(0));
  }

  /// Counters only rise, and never tell of more ends than beginnings.
  void observe() const {
    Stats last = batcher_.stats();
    while (!finished()) {
      const Stats now = batcher_.stats();
      EXPECT_GE(now.accepted, last.accepted);
      EXPECT_GE(now.succeeded, last.succeeded);
      EXPECT_GE(now.failed, last.failed);
      EXPECT_GE(now.cancelled, last.cancelled);
      EXPECT_GE(now.timed_out, last.timed_out);
      EXPECT_GE(now.batches, last.batches);
      EXPECT_LE(now.runs_under_way, setting_.workers);
      EXPECT_LE(last.succeeded + last.failed + last.cancelled + last.timed_out, now.accepted);
      last = now;
      std::this_thread::yield();
    }
  }

  /// Without workers a caller runs what is older than its own request, and stops with that. Those who
  /// wait behind the last one are led by calls of this thread. A call that is left itself gives up, and the
  /// next one leads; it has more time, since a caller leads only if it has time for some runs, and on a
  /// crowded machine a run may take long.
  void lead_those_who_are_left() {
    const Row row = row_of(1);
    const InputView view{&row, DataType::int64, Shape{1, 2}};
    constexpr std::chrono::milliseconds kShortest{100};
    std::chrono::milliseconds timeout = kShortest;
    while (!finished()) {
      const Ticket ticket =
          batcher_.infer({&view, 1}, {.on_full = OnFull::raise, .timeout = timeout});
      timeout = ticket.code() == ErrorCode::timeout ? 2 * timeout : kShortest;
      ++account_.made;
      if (ticket.accepted()) {
        ++account_.accepted;
        ++account_.ends.at(static_cast<std::size_t>(ticket.code()));
      } else {
        ++account_.refused;
      }
      if (ticket.code() == ErrorCode::none) ++account_.answered_rows;
    }
  }

  void expect_requests(const Stats& stats) const {
    EXPECT_EQ(stats.in_flight, 0U) << describe();
    EXPECT_EQ(stats.unread_bytes, 0U);
    EXPECT_EQ(stats.accepted, stats.succeeded + stats.failed + stats.cancelled + stats.timed_out)
        << describe();
    EXPECT_EQ(stats.accepted, account_.accepted) << describe();
    EXPECT_EQ(stats.refused, account_.refused) << describe();
    std::uint64_t seen = account_.dropped;
    for (const std::uint64_t count : account_.ends) seen += count;
    EXPECT_EQ(seen, account_.accepted);
    expect_ends("succeeded", stats.succeeded, ErrorCode::none);
    expect_ends("failed", stats.failed, ErrorCode::execution);
    expect_ends("cancelled", stats.cancelled, ErrorCode::cancelled);
    expect_ends("timed out", stats.timed_out, ErrorCode::timeout);
    EXPECT_EQ(account_.refused_with(ErrorCode::invalid_input) +
                  account_.refused_with(ErrorCode::execution),
              0U);
    if (setting_.fails == Fails::no) {
      EXPECT_EQ(stats.failed, 0U);
    }
    if (!setting_.gives_up && setting_.closes == Closes::at_rest && !setting_.callers_only) {
      EXPECT_EQ(stats.timed_out + stats.cancelled, 0U);
    }
    if (setting_.closes == Closes::at_rest) {
      EXPECT_GT(stats.succeeded, 0U);
      EXPECT_EQ(account_.refused_with(ErrorCode::closed), 0U);
    }
  }

  /// The counter is what tickets told, and at most those besides of which nobody looked at the end.
  void expect_ends(const char* name, std::uint64_t counter, ErrorCode code) const {
    EXPECT_GE(counter, account_.ended(code)) << name;
    EXPECT_LE(counter, account_.ended(code) + account_.dropped) << name;
  }

  void expect_runs(const Stats& stats) const {
    EXPECT_EQ(stats.runs_under_way, 0U);
    EXPECT_EQ(stats.failed_runs, findings_.failed_runs);
    EXPECT_EQ(stats.rows, findings_.rows);
    EXPECT_EQ(stats.padded_rows, findings_.padded_rows);
    EXPECT_GE(stats.rows, account_.answered_rows);
    EXPECT_EQ(stats.closed_full + stats.closed_idle + stats.closed_delay + stats.closed_space +
                  stats.closed_drain,
              stats.batches - stats.reruns);
    EXPECT_EQ(stats.runs_on_callers + stats.runs_on_workers, stats.batches);
    if (setting_.fails == Fails::no) {
      EXPECT_EQ(stats.failed_runs + stats.reruns, 0U);
    }
    if (setting_.callers_only) {
      EXPECT_EQ(stats.runs_on_workers, 0U);
      EXPECT_EQ(stats.worker_wakeups, 0U);
    }
    std::uint64_t rows = 0;
    std::uint64_t batches = 0;
    for (std::size_t size = 0; size < stats.batches_by_size.size(); ++size) {
      rows += size * stats.batches_by_size[size];
      batches += stats.batches_by_size[size];
    }
    EXPECT_EQ(rows, stats.rows);
    EXPECT_EQ(batches, stats.batches);
  }

  const Setting setting_;
  const std::uint64_t seed_;
  const Row example_ = row_of(kExampleNumber);
  Findings findings_;
  Account account_;
  std::atomic<std::size_t> finished_{0};
  double seconds_ = 0.0;
  Batcher batcher_;
  std::vector<std::unique_ptr<Requester>> requesters_;
  std::vector<std::thread> lent_;
};

}  // namespace dynbatch::testing

// A batcher under stress: threads with random requests against an executor that checks its rows.
//
// Each row carries a number; the executor re-checks the rows after its run, and each answer is checked
// by its content. At rest the counters balance and everything is back in its place.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <dynbatch/batcher.hpp>

#include "cpp/runtime/custom_executor.hpp"

namespace dynbatch::testing {

inline std::uint64_t base_seed = 0;

inline std::uint32_t scaled(std::uint32_t count) {
  const char* const scale = std::getenv("DYNBATCH_STRESS_SCALE");
  const double factor = scale == nullptr ? 1.0 : std::atof(scale);
  return static_cast<std::uint32_t>(factor * count / DYNBATCH_STRESS_DIVISOR) + 1;
}

struct Setting {
  const char* name;
  std::size_t workers = 1;
  std::size_t threads = 4;
  std::size_t max_batch_size = 8;
  std::size_t queue_capacity = 8;
  std::vector<std::size_t> gears;  // empty: batches run at their own size
  Batching batching = Batching::always;
  bool shared = false;    // requests with one of three keys
  bool delays = false;    // max_queue_delay changes all the time
  bool gives_up = false;  // requests are cancelled, expire, or are dropped
  bool fails = false;     // runs fail
  bool adopts = false;    // the executor brings its outputs
  bool notices = false;   // those who find no room ask to be told of it
  bool own_workers = true;
  int close_in_flight = 0;  // 1: draining, 2: not draining, while requests come in
};

inline void PrintTo(const Setting& setting, std::ostream* out) { *out << setting.name; }

// A row: its number, and a checksum of it. The answer: the number, and the number times the scale.
struct Row {
  std::int64_t number;
  std::int64_t check;
};
constexpr std::int64_t kPoison = 1'000'000'007;
inline std::int64_t check_of(std::int64_t number) { return number * 2654435761 + 17; }

inline ModelSpec spec_of(const Setting& setting) {
  ModelSpec spec;
  spec.inputs = {{.name = "x", .dtype = DataType::int64, .row_shape = Shape{2}}};
  spec.outputs = {
      {.name = "y", .dtype = DataType::int64, .row_shape = Shape{setting.adopts ? -1 : 2}}};
  if (setting.shared) {
    spec.inputs.push_back(
        {.name = "scale", .dtype = DataType::int64, .row_shape = Shape{}, .shared = true});
  }
  return spec;
}

/// Aborts, after printing what `describe` says, if `beats` does not move for 20 s.
class Watchdog {
 public:
  explicit Watchdog(std::function<std::string()> describe)
      : describe_(std::move(describe)), thread_([this] { watch(); }) {}
  ~Watchdog() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  void beat() noexcept { beats_.fetch_add(1, std::memory_order_relaxed); }

 private:
  void watch() {
    std::unique_lock lock(mutex_);
    std::uint64_t seen = 0;
    int still = 0;
    while (!over_) {
      changed_.wait_for(lock, std::chrono::seconds(1));
      const std::uint64_t beats = beats_.load(std::memory_order_relaxed);
      still = beats == seen ? still + 1 : 0;
      seen = beats;
      if (still < 20) continue;
      std::fprintf(stderr, "no progress for 20 s; --seed=%llu\n%s\n",
                   static_cast<unsigned long long>(base_seed), describe_().c_str());
      std::abort();
    }
  }

  std::function<std::string()> describe_;
  std::atomic<std::uint64_t> beats_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::thread thread_;
};

class StressedBatcher {
 public:
  StressedBatcher(const Setting& setting, std::uint64_t seed)
      : setting_(setting), seed_(seed), batcher_(make_executor(), options()) {
    loaded_ = true;
    if (!setting.own_workers) {
      for (std::size_t i = 0; i < setting.workers; ++i) {
        lent_.emplace_back([this] { batcher_.work(); });
      }
      batcher_.wait_for_workers();
    }
  }

  void run() {
    Watchdog watchdog([this] { return describe(); });
    watchdog_ = &watchdog;
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < setting_.threads; ++i) {
      threads.emplace_back([this, i] { make_requests(seed_ * 1000 + i, i % 2 == 0); });
    }
    if (setting_.delays) threads.emplace_back([this] { change_delays(); });
    if (setting_.close_in_flight > 0) {
      while (requests_ < scaled(2000)) std::this_thread::yield();
      batcher_.close(setting_.close_in_flight == 1);
    }
    for (std::thread& thread : threads) thread.join();
    batcher_.close(true);
    for (std::thread& thread : lent_) thread.join();
    watchdog_ = nullptr;
    expect_rest();
  }

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
    return options;
  }

  std::unique_ptr<Executor> make_executor() {
    return std::make_unique<CustomExecutor>(
        [this](const Batch& batch, RunOutputs& outputs) { return run_batch(batch, outputs); },
        spec_of(setting_));
  }

  Failure run_batch(const Batch& batch, RunOutputs& outputs) {
    if (!loaded_) return add(batch, outputs);  // warm-up runs made-up rows
    if (watchdog_ != nullptr) watchdog_.load()->beat();
    thread_local std::mt19937_64 random(seed_ +
                                        std::hash<std::thread::id>()(std::this_thread::get_id()));
    std::vector<Row> before(batch.rows);
    std::memcpy(before.data(), batch.inputs[0], batch.rows * sizeof(Row));
    bool poisoned = false;
    for (const Row& row : before) poisoned = poisoned || row.number == kPoison;
    if (random() % 8 == 0) std::this_thread::yield();
    const Failure failure = add(batch, outputs);
    if (std::memcmp(before.data(), batch.inputs[0], batch.rows * sizeof(Row)) != 0) ++torn_;
    if (setting_.fails && (poisoned || random() % 64 == 0)) return failed("as asked");
    return failure;
  }

  Failure add(const Batch& batch, RunOutputs& outputs) {
    const auto* const x = reinterpret_cast<const Row*>(batch.inputs[0]);
    std::int64_t scale = 1;
    if (setting_.shared) std::memcpy(&scale, batch.inputs[1], sizeof scale);
    auto* y = reinterpret_cast<Row*>(batch.outputs[0]);
    if (setting_.adopts) {
      y = new Row[batch.rows];
      ++adopted_;
      struct Owned {
        Row* rows;
        std::atomic<int>* left;
      };
      outputs.adopt(
          0, y, Shape{static_cast<std::int64_t>(batch.rows), 2},
          [](void* context) {
            auto* const owned = static_cast<Owned*>(context);
            delete[] owned->rows;
            --*owned->left;
            delete owned;
          },
          new Owned{y, &adopted_});
    }
    for (std::size_t row = 0; row < batch.rows; ++row) {
      if (loaded_ && x[row].check != check_of(x[row].number) && setting_.gears.empty()) ++torn_;
      y[row] = {x[row].number, x[row].number * scale};
    }
    return {};
  }

  void make_requests(std::uint64_t seed, bool blocking) {
    std::mt19937_64 random(seed);
    std::vector<Pending> pending;
    const std::uint32_t count = scaled(6000);
    for (std::uint32_t i = 0; i < count && !batcher_.closed(); ++i) {
      Pending request = fill(random);
      const SubmitOptions how{.on_full = random() % 2 == 0 ? OnFull::wait : OnFull::raise,
                              .timeout = timeout(random)};
      const std::array<InputView, 2> views = {
          InputView{request.rows.data(), DataType::int64,
                    Shape{static_cast<std::int64_t>(request.rows.size()), 2}},
          InputView{&request.scale, DataType::int64, Shape{}}};
      const std::span<const InputView> inputs(views.data(), setting_.shared ? 2 : 1);
      request.ticket = blocking && random() % 4 != 0 ? batcher_.infer(inputs, how)
                                                     : batcher_.submit(inputs, how);
      if (setting_.notices && request.ticket.code() == ErrorCode::queue_full) {
        wait_for_notice(request.rows.size());
        // Not everybody who was told of room comes for it.
        if (random() % 4 != 0) request.ticket = batcher_.submit(inputs, how);
      }
      ++requests_;
      pending.push_back(std::move(request));
      if (setting_.gives_up && random() % 4 == 0)
        give_up(pending[random() % pending.size()], random);
      while (pending.size() > random() % 24) {
        std::swap(pending[random() % pending.size()], pending.back());
        if (!(setting_.gives_up && random() % 16 == 0)) settle(pending.back());
        pending.pop_back();
      }
    }
    for (Pending& request : pending) settle(request);
  }

  void wait_for_notice(std::size_t rows) {
    CompletionPort port;
    batcher_.notify_space(port, this, rows);
    std::vector<void*> contexts;
    for (port.drain(contexts); contexts.empty(); port.drain(contexts)) port.wait();
    EXPECT_EQ(contexts, std::vector<void*>{this});
  }

  struct Pending {
    std::vector<Row> rows;
    std::int64_t scale = 1;
    Ticket ticket;
  };

  Pending fill(std::mt19937_64& random) const {
    Pending request;
    const bool large = random() % 32 == 0 && setting_.batching != Batching::off;
    const std::size_t rows = large ? random() % 40 : random() % 4;
    for (std::size_t row = 0; row < rows; ++row) {
      auto number = static_cast<std::int64_t>(random() % 1'000'000);
      if (setting_.fails && random() % 64 == 0) number = kPoison;
      request.rows.push_back({number, check_of(number)});
    }
    request.scale = static_cast<std::int64_t>(1 + random() % 3);
    return request;
  }

  std::optional<std::chrono::nanoseconds> timeout(std::mt19937_64& random) const {
    if (!setting_.gives_up || random() % 4 != 0) return std::nullopt;
    return std::chrono::microseconds(random() % 200);
  }

  static void give_up(Pending& request, std::mt19937_64& random) {
    if (random() % 2 == 0)
      request.ticket.cancel();
    else
      request.ticket.expire();
  }

  void settle(Pending& request) {
    const Ticket& ticket = request.ticket;
    ticket.wait();
    if (Watchdog* const watchdog = watchdog_) watchdog->beat();
    ++ends_[static_cast<std::size_t>(ticket.code())];
    if (ticket.code() != ErrorCode::none) return;
    const OutputView view = ticket.output(0);
    if (view.size_bytes != request.rows.size() * sizeof(Row)) {
      ++wrong_;
      return;
    }
    const auto* const rows = static_cast<const Row*>(view.data);
    for (std::size_t row = 0; row < request.rows.size(); ++row) {
      const std::int64_t number = request.rows[row].number;
      const std::int64_t scale = setting_.shared ? request.scale : 1;
      if (rows[row].number != number || rows[row].check != number * scale) ++wrong_;
    }
  }

  void change_delays() {
    std::mt19937_64 random(seed_);
    while (requests_ < scaled(6000) * setting_.threads && !batcher_.closed()) {
      batcher_.set_max_queue_delay(
          std::chrono::microseconds(random() % 3 == 0 ? 0 : random() % 300));
      for (int i = 0; i < 20; ++i) std::this_thread::yield();
    }
    batcher_.set_max_queue_delay(std::chrono::nanoseconds(0));
  }

  std::string describe() const {
    const Stats stats = batcher_.stats();
    std::string text = std::string(setting_.name) + ": accepted " + std::to_string(stats.accepted);
    text += ", succeeded " + std::to_string(stats.succeeded) + ", failed " +
            std::to_string(stats.failed);
    text += ", cancelled " + std::to_string(stats.cancelled);
    text += ", timed out " + std::to_string(stats.timed_out);
    text += ", in flight " + std::to_string(stats.in_flight);
    text +=
        ", refused " + std::to_string(stats.refused) + ", batches " + std::to_string(stats.batches);
    text += ", under way " + std::to_string(stats.runs_under_way);
    return text + ", wake-ups " + std::to_string(stats.worker_wakeups);
  }

  void expect_rest() {
    const Stats stats = batcher_.stats();
    std::printf("%s\n", describe().c_str());
    EXPECT_EQ(wrong_, 0U) << "answers of another request, or none";
    EXPECT_EQ(torn_, 0U) << "rows changed during a run, or were not all there";
    EXPECT_EQ(stats.accepted, stats.succeeded + stats.failed + stats.cancelled + stats.timed_out)
        << describe();
    EXPECT_EQ(stats.in_flight, 0U) << describe();
    EXPECT_EQ(stats.runs_under_way, 0U);
    EXPECT_EQ(stats.unread_bytes, 0U);
    EXPECT_EQ(adopted_, 0) << "outputs that were not released, or twice";
    EXPECT_EQ(stats.closed_full + stats.closed_idle + stats.closed_delay + stats.closed_space +
                  stats.closed_drain,
              stats.batches - stats.reruns);
    if (!setting_.fails) {
      EXPECT_EQ(stats.failed, 0U);
    }
    if (!setting_.gives_up && setting_.close_in_flight == 0) {
      EXPECT_EQ(ends_[static_cast<std::size_t>(ErrorCode::timeout)], 0U);
      EXPECT_EQ(stats.cancelled, 0U);
    }
    EXPECT_GT(stats.succeeded, 0U);
  }

  const Setting setting_;
  const std::uint64_t seed_;
  std::atomic<bool> loaded_{false};
  std::atomic<Watchdog*> watchdog_{nullptr};
  std::atomic<std::uint64_t> requests_{0};
  std::atomic<std::uint64_t> wrong_{0};
  std::atomic<std::uint64_t> torn_{0};
  std::atomic<int> adopted_{0};
  std::array<std::atomic<std::uint64_t>, 16> ends_{};
  Batcher batcher_;
  std::vector<std::thread> lent_;
};

}  // namespace dynbatch::testing

// A Runtime whose clock and threads belong to the test.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <dynbatch/stats.hpp>

#include "batch/request_wait.hpp"
#include "cpp/runtime/custom_executor.hpp"
#include "cpp/runtime/float_rows.hpp"
#include "runtime/runtime.hpp"

namespace dynbatch::testing {

/// Time moves by advance() alone. The hooks of a thread are called when it reads the clock or parks.
struct HookedPlatform : ManualPlatform {
  static Nanoseconds now() noexcept {
    call(on_now);
    return ManualPlatform::now();
  }
  static void park(const Word& word, std::uint32_t expected, Nanoseconds deadline) noexcept {
    call(on_park);
    ManualPlatform::park(word, expected, deadline);
  }
  inline static thread_local std::function<void()> on_now;
  inline static thread_local std::function<void()> on_park;

 private:
  static void call(const std::function<void()>& hook) {
    if (const std::function<void()> copy = hook) copy();  // a hook may take itself away
  }
};

/// Lists the rows of each run, and computes y = x + 1.
class RunLog {
 public:
  Failure run(const Batch& batch) {
    {
      const std::lock_guard lock(mutex_);
      runs_.emplace_back(floats(batch.inputs[0]), floats(batch.inputs[0]) + batch.rows);
    }
    return add_one(batch);
  }
  std::vector<std::vector<float>> runs() const {
    const std::lock_guard lock(mutex_);
    return runs_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::vector<float>> runs_;
};

template <class P>
class DrivenRuntime {
 public:
  using R = Request<P>;

  /// A hold on a request.
  class Handle {
   public:
    Handle() = default;
    explicit Handle(R* request) : request_(request) {}
    Handle(Handle&& other) noexcept : request_(std::exchange(other.request_, nullptr)) {}
    Handle& operator=(Handle&& other) noexcept {
      std::swap(request_, other.request_);
      return *this;
    }
    ~Handle() {
      if (request_ != nullptr) request_->ledger->release(*request_);
    }
    bool accepted() const { return request_ != nullptr; }
    bool done() const { return request_->is_done(); }
    ErrorCode wait() const {
      wait_for_end(*request_, kNever);
      return request_->code();
    }
    bool cancel() const { return request_->ledger->give_up(*request_, ErrorCode::cancelled); }
    R& request() const { return *request_; }

   private:
    R* request_ = nullptr;
  };

  explicit DrivenRuntime(RuntimeSetup setup, RunFunction run = {},
                         ModelSpec spec = CustomExecutor::one_float())
      : executor_(
            run ? std::move(run)
                : [this](const Batch& batch, RunOutputs&) { return log.run(batch); },
            std::move(spec)),
        runtime_(executor_, std::move(setup), {}) {}
  ~DrivenRuntime() { stop(); }

  RunLog log;

  Runtime<P>* operator->() { return &runtime_; }
  void add_worker() {
    workers_.emplace_back([this] { runtime_.work(); });
    runtime_.wait_for_workers(workers_.size());
  }
  /// Submits rows of the given values.
  Handle submit(const std::vector<float>& values, const SubmitOptions& options = {},
                bool may_lead = false) {
    const InputView view = rows_of(values);
    return Handle(runtime_.submit({&view, 1}, options, may_lead, refusal));
  }
  /// The same from a thread that runs what is due before it returns.
  Handle lead(const std::vector<float>& values) { return submit(values, {}, true); }
  Handle lead(const InputView& view) {
    return Handle(runtime_.submit({&view, 1}, {}, true, refusal));
  }
  Stats stats() const {
    Stats stats;
    runtime_.add_to(stats);
    return stats;
  }
  void stop() {
    runtime_.close(false);
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
  }

  Failure refusal;  // of the last request that was not accepted

 private:
  CustomExecutor executor_;
  Runtime<P> runtime_;
  std::vector<std::thread> workers_;
};

}  // namespace dynbatch::testing

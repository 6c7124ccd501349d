// A Runtime<ModelPlatform> for one schedule: an executor that lets others run in the middle of a batch
// and re-checks its rows, the requests that were sent, and what must hold at rest.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <dynbatch/error.hpp>
#include <dynbatch/options.hpp>

#include "batch/own_outputs.hpp"
#include "batch/request_wait.hpp"
#include "cpp/runtime/custom_executor.hpp"
#include "cpp/runtime/float_rows.hpp"
#include "model/model_platform.hpp"
#include "runtime/runtime.hpp"

namespace dynbatch::testing {

class ModelRuntime {
 public:
  using P = ModelPlatform;
  using R = Request<P>;

  /// One request and what became of it. It is held until it has been checked.
  struct Sent {
    std::vector<float> values;
    R* request = nullptr;  // null: refused
    Failure refusal;
    bool accepted() const noexcept { return request != nullptr; }
    ErrorCode code() const noexcept { return accepted() ? request->code() : refusal.code; }
  };

  ModelRuntime(Schedule& schedule, RuntimeSetup setup, bool shared = false)
      : schedule_(schedule),
        shared_(shared),
        executor_([this](const Batch& batch, RunOutputs&) { return run(batch); }, spec(shared)),
        runtime_(executor_, std::move(setup), {}) {
    // The pool grows here, so that its places are the same ones in all schedules.
    R* const request = ledger().acquire(1);
    ledger().release(*request);
    ledger().release(*request);
  }

  /// Small enough for a search, large enough that blocks fill, are cut into, and come round again.
  static RuntimeSetup setup(std::size_t workers = 1, std::uint32_t blocks = 3,
                            std::uint32_t block_rows = 2) {
    RuntimeSetup setup;
    setup.blocks = blocks;
    setup.block_rows = block_rows;
    setup.workers = workers;
    setup.output_blocks = workers + 2;
    setup.output_row_shapes = {Shape{1}};
    return setup;
  }

  Runtime<P>* operator->() noexcept { return &runtime_; }
  RequestLedger<P>& ledger() noexcept { return runtime_.ledger(); }
  /// Any end of an accepted request that is not success is a fault, unless it is allowed here.
  void allow(ErrorCode code) { allowed_.push_back(code); }
  /// A run with such a row in it fails.
  static constexpr float kPoison = -1.0F;

  /// A run parks, so that others go on meanwhile for nothing.
  void let_runs_take_time(Nanoseconds time = 1) noexcept { run_time_ = time; }
  /// `key`: of models with a shared input; requests of one key may share a batch.
  Sent& submit(std::vector<float> values, const SubmitOptions& options = {}, bool may_lead = false,
               float key = 0.0F) {
    Sent& sent = sent_.emplace_back();
    sent.values = std::move(values);
    const std::array<InputView, 2> views = {rows_of(sent.values),
                                            InputView{&key, DataType::float32, Shape{}}};
    const std::span<const InputView> inputs(views.data(), shared_ ? 2 : 1);
    sent.request = runtime_.submit(inputs, options, may_lead, sent.refusal);
    return sent;
  }
  /// As Batcher::infer does: leads if it may, waits, reads.
  Sent& infer(std::vector<float> values, const SubmitOptions& options = {}) {
    Sent& sent = submit(std::move(values), options, true);
    if (sent.accepted()) {
      wait_for_end(*sent.request, kNever);
      check(sent);
    }
    return sent;
  }
  void cancel(Sent& sent) { ledger().give_up(*sent.request, ErrorCode::cancelled); }
  void expire(Sent& sent) { ledger().give_up(*sent.request, ErrorCode::timeout); }
  /// Reads and lets go, as a caller that drops its ticket.
  void drop(Sent& sent) {
    check(sent);
    ledger().release(*std::exchange(sent.request, nullptr));
  }

  /// Nobody can run: every accepted request has ended, and rightly.
  void check_at_rest() {
    for (Sent& sent : sent_) {
      if (sent.accepted()) drop(sent);
    }
  }
  /// After close(), all threads having left.
  void check_at_end() {
    check_at_rest();
    const std::uint64_t ended =
        ledger().succeeded() + ledger().failed() + ledger().cancelled() + ledger().timed_out();
    schedule_.expect(ledger().accepted() == ended, "each accepted request to end once");
    schedule_.expect(ledger().in_flight() == 0, "nothing in flight");
    schedule_.expect(runtime_.invariants_hold(), "everything back in its place");
  }

 private:
  static ModelSpec spec(bool shared) {
    ModelSpec spec = CustomExecutor::one_float();
    if (shared) {
      spec.inputs.push_back(
          {.name = "key", .dtype = DataType::float32, .row_shape = Shape{}, .shared = true});
    }
    return spec;
  }
  Failure run(const Batch& batch) {
    const std::vector<float> rows(floats(batch.inputs[0]), floats(batch.inputs[0]) + batch.rows);
    schedule_.step();
    schedule_.sleep_until(schedule_.now() + run_time_);
    if (std::find(rows.begin(), rows.end(), kPoison) != rows.end()) return failed("poison");
    for (std::size_t row = 0; row < batch.rows; ++row) {
      schedule_.expect(floats(batch.inputs[0])[row] == rows[row], "rows to stay during their run");
    }
    return add_one(batch);
  }

  void check(const Sent& sent) {
    R& request = *sent.request;
    schedule_.expect(request.is_done(), "every accepted request to be done");
    if (!request.is_done()) return;
    const ErrorCode code = request.code();
    if (code == ErrorCode::execution && sent.values.front() == kPoison) return;
    schedule_.expect(sent.values.front() != kPoison || code != ErrorCode::none, "poison to fail");
    if (code != ErrorCode::none) {
      schedule_.expect(std::find(allowed_.begin(), allowed_.end(), code) != allowed_.end(),
                       "requests to end only as they may");
      return;
    }
    const float* const answer = answer_of(request);
    schedule_.expect(answer != nullptr, "a result");
    for (std::size_t row = 0; answer != nullptr && row < sent.values.size(); ++row)
      schedule_.expect(answer[row] == sent.values[row] + 1.0F, "each request to get its own rows");
  }
  /// Output 0, as Ticket::output() finds it.
  const float* answer_of(const R& request) {
    if (request.outputs != nullptr) return floats(request.outputs->tensors[0]) + request.first_row;
    if (!request.own_outputs || request.own_outputs->tensors.empty()) return nullptr;
    return floats(request.own_outputs->tensors[0].data.get());
  }

  Schedule& schedule_;
  const bool shared_;
  Nanoseconds run_time_ = 0;
  CustomExecutor executor_;
  Runtime<P> runtime_;
  std::deque<Sent> sent_;
  std::vector<ErrorCode> allowed_;
};

/// A runtime with `workers` threads parked in it (or as many as it has permits), which are asked to
/// leave once all is at rest.
inline std::shared_ptr<ModelRuntime> make_runtime(Schedule& schedule, const RuntimeSetup& setup,
                                                  std::size_t workers = SIZE_MAX,
                                                  bool shared = false) {
  auto runtime = std::make_shared<ModelRuntime>(schedule, setup, shared);
  for (std::size_t i = 0; i < std::min(workers, setup.workers); ++i)
    schedule.daemon("worker", [runtime] { (*runtime)->work(); });
  schedule.settle_daemons();
  schedule.at_rest([runtime] { runtime->check_at_rest(); });
  schedule.dismiss([runtime] { (*runtime)->close(true); });
  schedule.at_end([runtime] { runtime->check_at_end(); });
  return runtime;
}

}  // namespace dynbatch::testing

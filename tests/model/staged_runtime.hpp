// A Runtime<ModelPlatform> over a StagedQueue for one schedule: requests of one row each, whose lengths are
// their batch keys, and an executor that lets others run in the middle of a batch.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "batch/own_outputs.hpp"
#include "batch/request_wait.hpp"
#include "cpp/runtime/shaped_executor.hpp"
#include "model/exploration.hpp"
#include "model/model_platform.hpp"
#include "runtime/runtime.hpp"

namespace dynbatch::testing {

struct StagedModelSize {
  std::uint32_t entries = 3;
  std::size_t workers = 1;
  std::size_t runs = 1;  // inside the executor at a time
};

class StagedModel {
 public:
  using P = ModelPlatform;
  using Queue = StagedQueue<P, Part<P>, Former>;
  using R = Request<P>;

  StagedModel(Schedule& schedule, const StagedModelSize& size)
      : schedule_(schedule),
        runs_(size.runs),
        executor_(lines(), [this](ShapedRun& run) { return this->run(run); }),
        runtime_(executor_, staged(size), setup(size)) {
    // The pool grows here, so that its places are the same ones in all schedules.
    R* const request = runtime_.ledger().acquire(1);
    runtime_.ledger().release(*request);
    runtime_.ledger().release(*request);
  }

  Runtime<P, Queue>* operator->() noexcept { return &runtime_; }
  /// A run parks, so that others go on meanwhile for nothing.
  void let_runs_take_time() noexcept { run_time_ = 1; }

  R* submit(std::vector<float> row, OnFull on_full = OnFull::raise, bool may_lead = false) {
    Sent& sent = sent_.emplace_back();
    sent.row = std::move(row);
    const InputView view{sent.row.data(), DataType::float32,
                         Shape{1, static_cast<std::int64_t>(sent.row.size())}};
    Failure refusal;
    sent.request = runtime_.submit({&view, 1}, {.on_full = on_full}, may_lead, refusal);
    schedule_.expect(sent.request != nullptr, "every request to be accepted");
    return sent.request;
  }
  void infer(std::vector<float> row) {
    wait_for_end(*submit(std::move(row), OnFull::raise, true), kNever);
  }

  void check_at_rest() {
    for (Sent& sent : sent_) {
      if (sent.request == nullptr) continue;
      check(sent);
      runtime_.ledger().release(*std::exchange(sent.request, nullptr));
    }
  }
  void check_at_end() {
    check_at_rest();
    schedule_.expect(runtime_.ledger().accepted() == runtime_.ledger().succeeded(),
                     "each request to succeed once");
    schedule_.expect(runtime_.invariants_hold(), "everything back in its place");
  }

 private:
  struct Sent {
    std::vector<float> row;
    R* request = nullptr;
  };

  static RuntimeSetup setup(const StagedModelSize& size) {
    RuntimeSetup setup;
    setup.blocks = size.entries;
    setup.block_rows = 2;
    setup.workers = size.workers;
    setup.output_blocks = size.workers + 2;
    setup.output_row_shapes = {Shape{1}};
    return setup;
  }
  static StagedSetup staged(const StagedModelSize& size) {
    StagedSetup staged;
    staged.stager.plan = {.padded = {false}, .largest = {0}};
    staged.stager.outputs = {OutputLayout{}};
    staged.former.plan = staged.stager.plan;
    staged.former.largest_rows = 2;
    staged.former.staging_bytes = 4096;
    staged.arena_bytes = 8192;
    staged.runs = size.runs;
    return staged;
  }

  Failure run(ShapedRun& run) {
    schedule_.expect(++inside_ <= runs_, "no more runs than there may be");
    const std::size_t elements = run.batch.rows * static_cast<std::size_t>(run.shape(0)[1]);
    const std::vector<float> before(run.input(0), run.input(0) + elements);
    schedule_.step();
    schedule_.sleep_until(schedule_.now() + run_time_);
    schedule_.expect(std::equal(before.begin(), before.end(), run.input(0)),
                     "rows to stay during their run");
    --inside_;
    return twice(run);
  }

  void check(const Sent& sent) {
    const R& request = *sent.request;
    schedule_.expect(request.is_done() && request.code() == ErrorCode::none,
                     "every request to succeed");
    if (!request.is_done() || request.code() != ErrorCode::none) return;
    const std::byte* const bytes = request.outputs != nullptr
                                       ? request.outputs->adopted[0].data
                                       : request.own_outputs->tensors.at(0).data.get();
    const auto* const answer = reinterpret_cast<const float*>(bytes);
    for (std::size_t i = 0; i < sent.row.size(); ++i)
      schedule_.expect(answer[i] == 2.0F * sent.row[i], "each request to get its own row");
  }

  Schedule& schedule_;
  const std::size_t runs_;
  std::size_t inside_ = 0;
  Nanoseconds run_time_ = 0;
  ShapedExecutor executor_;
  Runtime<P, Queue> runtime_;
  std::deque<Sent> sent_;
};

/// With its workers parked in it, which are asked to leave once all is at rest.
inline std::shared_ptr<StagedModel> make_staged(Schedule& schedule, const StagedModelSize& size) {
  auto runtime = std::make_shared<StagedModel>(schedule, size);
  for (std::size_t i = 0; i < size.workers; ++i)
    schedule.daemon("worker", [runtime] { (*runtime)->work(); });
  schedule.settle_daemons();
  schedule.at_rest([runtime] { runtime->check_at_rest(); });
  schedule.dismiss([runtime] { (*runtime)->close(true); });
  schedule.at_end([runtime] { runtime->check_at_end(); });
  return runtime;
}

}  // namespace dynbatch::testing

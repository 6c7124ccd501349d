#include <dynbatch/batcher.hpp>

#include <algorithm>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <dynbatch/compiled_model.hpp>

#include "base/fork_guard.hpp"
#include "base/native_thread.hpp"
#include "base/platform.hpp"
#include "runtime/batching_plan.hpp"
#include "runtime/lone_runs.hpp"
#include "runtime/runtime.hpp"
#include "runtime/shape_plan.hpp"
#include "runtime/shape_warm_up.hpp"
#include "runtime/staged_plan.hpp"
#include "runtime/warm_up.hpp"

namespace dynbatch {
namespace {

using InPlaceRuntime = Runtime<StdPlatform>;
using StagedRuntime = Runtime<StdPlatform, StagedQueue<StdPlatform, Part<StdPlatform>, Former>>;

/// What workers share with the batcher, and keep if it goes first. It has one of the two runtimes.
struct Core {
  std::unique_ptr<Executor> executor;
  WarmUp warm_up;
  std::unique_ptr<InPlaceRuntime> in_place;
  std::unique_ptr<StagedRuntime> staged;

  template <class Visit>
  decltype(auto) with_runtime(Visit&& visit) const {
    return in_place != nullptr ? visit(*in_place) : visit(*staged);
  }
};

bool is_brief(const GearTable& table) {
  return std::ranges::any_of(table.gears, [](const Gear& gear) {
    return gear.seconds > 0.0 && gear.seconds * 1e9 < static_cast<double>(kBriefRun);
  });
}

void make_staged(Core& core, const BatchingOptions& options, const BatchingPlan& plan) {
  const ModelSpec& spec = core.executor->spec();
  ShapePlan shapes = plan_shapes(spec, options);
  ShapeWarmUp found = warm_up_shapes(*core.executor, options, plan, shapes);
  if (core.executor->offers_lone_runs()) core.executor->keep_lone_runs(found.least_lone_work > 0.0);
  RuntimeSetup setup;
  StagedSetup staged = plan_staging(spec, options, plan, found, setup);
  setup.brief_at_load = is_brief(found.common.table);
  core.warm_up = std::move(found.common);
  core.staged =
      std::make_unique<StagedRuntime>(*core.executor, std::move(staged), std::move(setup));
}

void make_in_place(Core& core, const BatchingOptions& options, const BatchingPlan& plan) {
  const ModelSpec& spec = core.executor->spec();
  core.warm_up = warm_up(*core.executor, options, plan);
  WarmUp& found = core.warm_up;
  RuntimeSetup setup = plan_memory(spec, options, plan, found.table, found.report.merges);
  if (core.executor->offers_lone_runs()) {
    setup.lone_limits = lone_limits(found.table, setup.block_rows);
    core.executor->keep_lone_runs(!setup.lone_limits.empty());
  }
  setup.brief_at_load = is_brief(found.table);
  setup.fill_row = found.fill_row;
  setup.output_row_shapes = found.output_row_shapes;
  std::vector<std::size_t> sizes;
  for (const std::size_t gear : plan.gears) {
    if (gear <= setup.block_rows || plan.filled) sizes.push_back(gear);
  }
  std::sort(sizes.begin(), sizes.end());
  core.in_place = std::make_unique<InPlaceRuntime>(*core.executor, std::move(setup), sizes);
}

/// What only models whose rows differ in shape have.
void refuse_shapes(const ModelSpec& spec, const BatchingOptions& options) {
  if (options.set_size > 1 && !options.own_workers) {
    throw Error(ErrorCode::invalid_argument, "set_size: expected 1, got " +
                                                 std::to_string(options.set_size) +
                                                 ", since the batcher makes no threads of its own");
  }
  const char* const given = !options.lengths.empty()       ? "lengths"
                            : !options.image_sizes.empty() ? "image_sizes"
                            : !options.dims.empty()        ? "dims"
                                                           : nullptr;
  if (given == nullptr || !spec.dimensions.empty()) return;
  throw Error(ErrorCode::invalid_argument,
              std::string(given) + ": the model has no free dimension beside the batch");
}

std::shared_ptr<Core> make_core(std::unique_ptr<Executor> executor, BatchingOptions options) {
  if (executor == nullptr)
    throw Error(ErrorCode::invalid_argument, "executor: expected one, got null");
  auto core = std::make_shared<Core>();
  core->executor = std::move(executor);
  const ModelSpec& spec = core->executor->spec();
  if (const OnnxModelDescription* const model = onnx_description(*core->executor))
    options = with_compiled_gears(std::move(options), model->metadata, spec);
  refuse_shapes(spec, options);
  const BatchingPlan plan = plan_batching(spec, options);
  if (!spec.is_staged()) {
    try {
      make_in_place(*core, options, plan);
      if (options.set_size > 1) {
        throw Error(ErrorCode::invalid_argument,
                    "set_size: expected 1, got " + std::to_string(options.set_size) +
                        ", since batches are formed without being gathered");
      }
      return core;
    } catch (const OutputAxisError&) {
      // Outputs with several rows a row, another axis or none: dry runs tell how they are taken apart.
    }
  }
  make_staged(*core, options, plan);
  return core;
}

MemoryPlan plan_of(const InPlaceRuntime& runtime, const GearTable& table) {
  const GearMemory& inputs = runtime.input_memory();
  const GearMemory& outputs = runtime.ledger().output_memory;
  MemoryPlan plan;
  for (const Gear& gear : table.gears) {
    plan.gears.push_back({.batch_size = gear.batch_size,
                          .input_bytes = inputs.layout().touched_bytes(gear.batch_size),
                          .output_bytes = outputs.layout().touched_bytes(gear.batch_size)});
  }
  plan.batch_blocks = inputs.count();
  plan.batch_block_bytes = inputs.layout().block_bytes;
  plan.output_blocks = outputs.count();
  plan.output_block_bytes = outputs.layout().block_bytes;
  plan.total_bytes =
      inputs.total_bytes() + runtime.rerun_memory().total_bytes() + outputs.total_bytes();
  const std::size_t waiting_blocks = inputs.count() - runtime.setup().workers;
  plan.queue_capacity =
      waiting_blocks * (runtime.setup().exclusive ? 1 : runtime.setup().block_rows);
  return plan;
}

/// Requests wait in the arena, and a batch is gathered in about as much memory again, at most, for each permit.
MemoryPlan plan_of(const StagedRuntime& runtime, const GearTable& table) {
  MemoryPlan plan;
  for (const Gear& gear : table.gears) {
    plan.gears.push_back({.batch_size = gear.batch_size,
                          .input_bytes = gear.input_bytes,
                          .output_bytes = gear.output_bytes});
  }
  const RuntimeSetup& setup = runtime.setup();
  plan.batch_blocks = 1 + setup.workers;
  plan.batch_block_bytes = runtime.queue().arena().total_bytes();
  plan.total_bytes = plan.batch_blocks * plan.batch_block_bytes;
  plan.queue_capacity = setup.blocks - setup.workers * setup.block_rows;
  return plan;
}

}  // namespace

/// A call that may run batches on its own thread. If such a run drops the batcher, the core stays
/// until the call is over.
class Batcher::LeadingCall {
 public:
  explicit LeadingCall(const Implementation& of) noexcept : of_(&of), outer_(innermost_) {
    innermost_ = this;
  }
  LeadingCall(const LeadingCall&) = delete;
  LeadingCall& operator=(const LeadingCall&) = delete;
  ~LeadingCall() { innermost_ = outer_; }

  /// Hands the core over to this thread's outermost call of `of`, if there is one.
  static void keep(const Implementation& of, std::shared_ptr<Core>& core) noexcept {
    LeadingCall* outermost = nullptr;
    for (LeadingCall* call = innermost_; call != nullptr; call = call->outer_) {
      if (call->of_ == &of) outermost = call;
    }
    if (outermost != nullptr) outermost->core_ = std::move(core);
  }

 private:
  const Implementation* of_;
  LeadingCall* outer_;
  std::shared_ptr<Core> core_;
  inline static thread_local LeadingCall* innermost_ = nullptr;
};

class Batcher::Implementation {
 public:
  Implementation(std::unique_ptr<Executor> executor, const BatchingOptions& options)
      : core_(make_core(std::move(executor), options)), forks_(fork_generation()) {
    if (!options.own_workers) return;
    try {
      for (std::size_t i = 0;
           i < core_->with_runtime([](const auto& runtime) { return runtime.setup().workers; });
           ++i)
        threads_.push_back(make_native_thread(
            [core = core_] { core->with_runtime([](auto& runtime) { runtime.work(); }); }));
    } catch (...) {
      stop();
      throw;
    }
    core_->with_runtime([this](auto& runtime) { runtime.wait_for_workers(threads_.size()); });
  }

  ~Implementation() { stop(); }

  template <class Visit>
  decltype(auto) with_runtime(Visit&& visit) const {
    return core_->with_runtime(std::forward<Visit>(visit));
  }
  bool runs_on_this_thread() const noexcept {
    return with_runtime([](const auto& runtime) { return runtime.runs_on_this_thread(); });
  }
  RequestLedger<StdPlatform>& ledger() const noexcept {
    return with_runtime([](auto& runtime) -> auto& { return runtime.ledger(); });
  }
  const WarmUp& warm_up() const noexcept { return core_->warm_up; }
  const std::shared_ptr<Core>& core() const noexcept { return core_; }

  /// Refuses a blocking call from inside a run, which would wait for itself.
  bool refuses_reentry(Failure& refusal) const {
    if (!runs_on_this_thread()) return false;
    refusal = {
        .code = ErrorCode::invalid_input,
        .message =
            "a blocking call from inside a run of the same model would wait for itself; use submit",
        .cause = nullptr};
    ledger().refuse();
    return true;
  }

  /// A caller that must be back soon does not lead: it would be held by a run that it cannot leave.
  bool may_lead(const SubmitOptions& options) const noexcept {
    return !options.timeout ||
           options.timeout->count() >=
               4 * with_runtime([](const auto& runtime) { return runtime.average_run_time(); });
  }

 private:
  void stop() noexcept {
    if (fork_generation() != forks_) {
      // The child of a fork has none of the threads, so nothing may be joined, freed or unmapped.
      for (std::thread& thread : threads_) new std::thread(std::move(thread));
      new std::shared_ptr<Core>(std::move(core_));
      return;
    }
    // A run that drops its own batcher cannot wait for the workers, which wait for the run to end.
    // They go on alone; they hold the core.
    const bool inside_a_run = runs_on_this_thread();
    with_runtime([](auto& runtime) { runtime.close(false); });
    for (std::thread& thread : threads_) {
      if (inside_a_run || thread.get_id() == std::this_thread::get_id())
        thread.detach();
      else
        thread.join();
    }
    threads_.clear();
    if (inside_a_run) LeadingCall::keep(*this, core_);
  }

  std::shared_ptr<Core> core_;
  std::uint32_t forks_;
  std::vector<std::thread> threads_;
};

Batcher::Batcher(std::unique_ptr<Executor> executor, const BatchingOptions& options)
    : implementation_(std::make_unique<Implementation>(std::move(executor), options)) {}

Batcher::~Batcher() = default;

Ticket Batcher::submit(std::span<const InputView> inputs, const SubmitOptions& options) noexcept {
  return implementation_->with_runtime([&](auto& runtime) {
    SubmitOptions how = options;
    if (runtime.runs_on_this_thread())
      how.on_full = OnFull::raise;  // a run must not wait for its own end
    Failure refusal;
    if (auto* const request = runtime.submit(inputs, how, false, refusal)) return Ticket(request);
    return Ticket(std::move(refusal));
  });
}

Ticket Batcher::start(std::span<const InputView> inputs, const SubmitOptions& options) noexcept {
  Failure refusal;
  if (implementation_->refuses_reentry(refusal)) return Ticket(std::move(refusal));
  const bool may_lead = implementation_->may_lead(options);
  const LeadingCall call(*implementation_);
  SubmitOptions how = options;
  how.hold = false;  // a caller that waits could not call start_held()
  auto* const request = implementation_->with_runtime(
      [&](auto& runtime) { return runtime.submit(inputs, how, may_lead, refusal); });
  return request != nullptr ? Ticket(request) : Ticket(std::move(refusal));
}

Ticket Batcher::infer(std::span<const InputView> inputs, const SubmitOptions& options) noexcept {
  const Nanoseconds deadline =
      options.timeout ? after(StdPlatform::now(), options.timeout->count()) : kNever;
  Ticket ticket = start(inputs, options);
  if (!options.timeout) {
    ticket.wait();
  } else if (!ticket.wait_for(std::chrono::nanoseconds(deadline - StdPlatform::now()))) {
    ticket.expire();
  }
  return ticket;
}

std::size_t Batcher::brief_rows() const noexcept {
  return implementation_->with_runtime([](auto& runtime) { return runtime.brief_rows(); });
}

void Batcher::start_held() noexcept {
  implementation_->with_runtime([](auto& runtime) { runtime.start_held(); });
}

void Batcher::notify_space(CompletionPort& port, void* context, std::size_t rows) noexcept {
  implementation_->with_runtime([&](auto& runtime) {
    runtime.notify_space(port.implementation(), context,
                         static_cast<std::uint32_t>(std::min<std::size_t>(rows, UINT32_MAX)));
  });
}

void Batcher::work() noexcept {
  const std::shared_ptr<Core> core =
      implementation_->core();  // the batcher may go while this works
  core->with_runtime([](auto& runtime) { runtime.work(); });
}

void Batcher::wait_for_workers() noexcept {
  implementation_->with_runtime(
      [](auto& runtime) { runtime.wait_for_workers(runtime.setup().workers); });
}

void Batcher::close(bool drain) noexcept {
  implementation_->with_runtime([&](auto& runtime) { runtime.close(drain); });
}
bool Batcher::close_for(std::chrono::nanoseconds time, bool drain) noexcept {
  return implementation_->with_runtime(
      [&](auto& runtime) { return runtime.close(drain, after(StdPlatform::now(), time.count())); });
}
bool Batcher::closed() const noexcept {
  return implementation_->with_runtime([](const auto& runtime) { return runtime.closed(); });
}
const ModelSpec& Batcher::spec() const noexcept {
  return implementation_->core()->executor->spec();
}
const GearTable& Batcher::gears() const noexcept { return implementation_->warm_up().table; }
bool Batcher::is_staged() const noexcept { return implementation_->core()->staged != nullptr; }
const LoadReport& Batcher::report() const noexcept { return implementation_->warm_up().report; }

MemoryPlan Batcher::memory_plan() const {
  const Core& core = *implementation_->core();
  return core.in_place ? plan_of(*core.in_place, gears()) : plan_of(*core.staged, gears());
}

Stats Batcher::stats() const {
  Stats stats;
  implementation_->with_runtime([&](const auto& runtime) { runtime.add_to(stats); });
  stats.gear_table = gears();
  return stats;
}

void Batcher::set_max_queue_delay(std::chrono::nanoseconds delay) {
  check_delay(delay);
  implementation_->with_runtime([&](auto& runtime) { runtime.set_max_delay(delay.count()); });
}

std::chrono::nanoseconds Batcher::max_queue_delay() const noexcept {
  return std::chrono::nanoseconds(
      implementation_->with_runtime([](const auto& runtime) { return runtime.max_delay(); }));
}

}  // namespace dynbatch

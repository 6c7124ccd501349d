// Runtime: permits and leaders. It joins the queue, the executor and completion; there is no
// dispatcher thread.
//
// A batch runs on whatever thread holds one of `workers` permits: a blocking caller that finds a free
// permit while no worker is active, or a worker. What happens once a batch (taking, recycling, handing
// out permits, parking) happens under one short lock; a submit takes it only when it looks for a
// permit, opens a block or waits for room. The store-load pairs outside the lock are
//   publish rows, then load permits_      against   store permits_, then scan the blocks
//   publish rows, then load timer_due_    against   store timer_due_, then scan the blocks
//   publish rows, then load hurry_        against   store hurry_, then scan the blocks
// and all of them are seq_cst. So a due row and a free permit never coexist without a thread on its
// way, and a row not yet due has a worker that wakes in time.
//
// Where rows differ in shape, the queue is a StagedQueue, and batches are gathered before they run; all else
// is the same.
//
// Reading order: runtime_submit.hpp, runtime_dispatch.hpp, runtime_work.hpp, runtime_lead.hpp,
// runtime_staged.hpp, runtime_isolate.hpp, runtime_close.hpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <dynbatch/executor.hpp>
#include <dynbatch/options.hpp>
#include <dynbatch/stats.hpp>

#include "base/fork_guard.hpp"
#include "base/platform.hpp"
#include "batch/former.hpp"
#include "batch/policy.hpp"
#include "batch/request.hpp"
#include "batch/request_ledger.hpp"
#include "batch/stager.hpp"
#include "memory/gear_memory.hpp"
#include "memory/lower_gear.hpp"
#include "queue/request_queue.hpp"
#include "queue/staged_queue.hpp"
#include "runtime/batch_statistics.hpp"
#include "runtime/lone_runs.hpp"
#include "runtime/run_outputs.hpp"
#include "runtime/run_tokens.hpp"

namespace dynbatch {

/// What a runtime is made of, all of it settled at load.
struct RuntimeSetup {
  std::uint32_t blocks = 0;
  std::uint32_t block_rows = 0;                  // rows of the largest batch that is formed
  std::uint32_t rotating_blocks = UINT32_MAX;    // that are used while they suffice
  bool exclusive = false;                        // each request is a batch of its own
  bool whole_requests = false;                   // a request may not be cut
  std::vector<std::size_t> fill_gears;           // rising; empty: batches run at their own size
  std::vector<std::vector<std::byte>> fill_row;  // per input: the row that completes a gear
  std::size_t workers = 1;
  std::size_t output_blocks = 2;
  Nanoseconds max_delay = 0;
  Nanoseconds longest_linger = 0;  // how long an idle worker polls before it gives its permit back
  bool callers_run = true;
  bool brief_at_load = false;            // some gear ran in less than kBriefRun
  std::vector<Shape> output_row_shapes;  // as seen at warm-up, for requests of no rows
  std::vector<Nanoseconds> lone_limits;  // see lone_runs.hpp; empty: no batch is alone
};

/// What is settled beside it where rows differ in shape.
struct StagedSetup {
  StagerSetup stager;
  FormerSetup former;
  std::size_t arena_bytes = 0;
  ShapedLoneRuns lone;
  std::size_t runs =
      1;  // batches inside the executor at a time, at most; the others are in the making
};

/// `Queue`: RequestQueue, whose batches are formed by being written, or StagedQueue, whose batches are
/// gathered out of requests of different shapes.
template <class P, class Queue = RequestQueue<P, Part<P>>>
class Runtime {
 public:
  /// `executor` outlives the runtime. Calls its prepare().
  Runtime(Executor& executor, RuntimeSetup setup, const std::vector<std::size_t>& batch_sizes);
  /// The same where rows differ in shape.
  Runtime(Executor& executor, StagedSetup staged, RuntimeSetup setup);
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  /// Closed before, and all its workers have left work().
  ~Runtime();

  /// A request, or null and why it was refused. may_lead: this thread may run batches before it
  /// returns. options.timeout bounds only the wait for room; the caller keeps the deadline.
  Request<P>* submit(std::span<const InputView> inputs, const SubmitOptions& options, bool may_lead,
                     Failure& refusal) noexcept;
  /// What was submitted with options.hold may start.
  void start_held() noexcept;
  void notify_space(CompletionList<P>& port, void* context, std::uint32_t rows) noexcept;

  /// Runs batches on this thread until the runtime has been closed.
  void work() noexcept;
  /// See Batcher::close_for. May be called by any thread, several times.
  bool close(bool drain, Nanoseconds deadline = kNever) noexcept;
  bool closed() const noexcept;
  void set_max_delay(Nanoseconds delay) noexcept;
  /// A moving average of the last runs; 0 before the first.
  Nanoseconds average_run_time() const noexcept;
  /// See Batcher::brief_rows.
  std::uint32_t brief_rows() const noexcept;
  /// Blocks until that many threads are inside work(), or the runtime is closed.
  void wait_for_workers(std::size_t count) noexcept;
  Nanoseconds max_delay() const noexcept { return delay_.load(std::memory_order_relaxed); }

  void add_to(Stats& stats) const;
  const RuntimeSetup& setup() const noexcept { return setup_; }
  const GearMemory& input_memory() const noexcept { return input_memory_; }
  const GearMemory& rerun_memory() const noexcept { return rerun_memory_; }
  const Queue& queue() const noexcept { return queue_; }
  RequestLedger<P>& ledger() const noexcept { return *ledger_; }
  /// Whether the calling thread is inside a run of this runtime.
  bool runs_on_this_thread() const noexcept {
    const Running* at = running_here();
    while (at != nullptr && at->runtime != this) at = at->outer;
    return at != nullptr;
  }
  /// With nothing in flight: every block, permit and output block is back.
  bool invariants_hold() noexcept;

 private:
  using R = Request<P>;
  using Lock = std::unique_lock<typename P::Mutex>;
  static constexpr std::uint32_t kNone = Queue::kNone;
  static constexpr std::size_t kSamples = 8;
  static constexpr Nanoseconds kShortestRun = 5'000;  // that a worker waits for with its permit
  // Batches of a staged queue that failed on callers and wait for a worker; callers lead no more with them.
  static constexpr std::uint32_t kFailedBatches = 64;
  // Batches in a row that must have met no company before one runs with all CPUs: a crowd meets by
  // chance in a single batch now and then, and another one is right behind it.
  static constexpr std::uint32_t kQuietBatches = 4;

  struct Worker {
    typename P::Word word{0};  // 0: parked; written under the lock
    bool parked = false;       // stands in idle_
    bool handed = false;       // woken with a permit
    Worker* next = nullptr;    // in idle_
  };
  /// Words whose sleepers are to be woken once the lock is free. Only addresses: what they belong to
  /// may be gone by then, and a stale wake-up is harmless.
  struct WakeList {
    std::array<const typename P::Word*, 8> words{};
    std::size_t size = 0;
    bool full() const noexcept { return size == words.size(); }
    void add(const typename P::Word& word) noexcept { words[size++] = &word; }
    void wake() const noexcept {
      for (std::size_t i = 0; i < size; ++i) P::wake(*words[i], 1);
    }
  };
  struct SpaceWaiter : PortEntry {
    typename P::Word word{0};  // 0: waits; written under the lock
    std::uint32_t rows = 0;
    typename Queue::Key key = nullptr;
    Claim claim;  // granted, unless closed
    bool closed = false;
    bool accepted = false;  // rows of its request are on their way already
    SpaceWaiter* next = nullptr;
    CompletionList<P>* port = nullptr;  // set: only a notice, on the heap
  };
  /// A batch that holds a permit.
  struct Taken {
    std::uint32_t block = kNone;
    CloseReason reason = CloseReason::idle;
    bool failed_before = false;   // its first run, by a caller, failed
    bool alone = false;           // when it was taken, nothing else ran or waited
    bool shrinks = false;         // the executor may give memory back
    std::uint32_t kept_rows = 0;  // as LowerGear::kept_rows
    Failure failure;
    explicit operator bool() const noexcept { return block != kNone; }
  };
  /// Rows to run: those that `parts` describes, from row `first` of a block on.
  struct RowRange {
    const GearMemory* memory = nullptr;
    std::uint32_t block = 0;
    std::uint32_t first = 0;
    std::uint32_t slot = Batch::kNoSlot;
    BatchKey key = nullptr;
    std::span<Part<P>> parts;
    bool alone = false;
    bool shrinks = false;
  };
  /// A run under way on this thread, and the one of another runtime inside which it was started.
  struct Running {
    const Runtime* runtime = nullptr;
    const Running* outer = nullptr;
  };
  static const Running*& running_here() noexcept {
    return P::template local<const Running*, Runtime>();
  }
  /// What one batch leaves for the statistics.
  struct Record {
    RunRecord run;
    bool ran = false;
    std::size_t given_back_bytes = 0;  // after the run has been counted
    std::array<Nanoseconds, kSamples> waits{};
    std::size_t wait_count = 0;
  };

  // runtime_submit.hpp
  bool submit_slowly(R& request, std::span<const InputView> inputs, const SubmitOptions& options,
                     bool& look, Failure& refusal) noexcept;
  bool claim_slowly(R& request, std::span<const InputView> inputs, const SubmitOptions& options,
                    bool& look, Failure& refusal) noexcept;
  bool claim_or_wait(R& request, std::uint32_t rows, bool first, const SubmitOptions& options,
                     Nanoseconds deadline, std::vector<Claim>& claims, Failure& refusal);
  void unsafe_claim_some(std::uint32_t rows, typename Queue::Key key, bool hold,
                         std::vector<Claim>& claims);
  bool unsafe_claim_all(std::uint32_t rows, typename Queue::Key key, bool hold,
                        std::vector<Claim>& claims);
  std::optional<std::size_t> check(std::span<const InputView> inputs, StagedKey& key,
                                   Failure& refusal) const;
  void set_gear(StagedKey& key) const noexcept;
  void touch(std::span<const InputView> inputs, std::size_t rows) const noexcept;
  typename Queue::Key key_of(const R& request) const noexcept;
  std::string no_room(std::uint32_t rows) const;
  std::string too_many_rows(std::size_t rows) const;
  bool wait_for_room(SpaceWaiter& waiter, Nanoseconds deadline) noexcept;
  void write(const Claim& claim, std::span<const InputView> inputs,
             std::uint32_t request_row) noexcept;
  bool publish(const Claim& claim, R& request, std::uint32_t request_row) noexcept;
  void end_at_once(R& request) noexcept;

  // runtime_dispatch.hpp: who runs what. unsafe_: under the lock.
  void dispatch(bool may_lead, R* own) noexcept;
  Decision decide_now(const typename Queue::BlockState& state, Nanoseconds& now) const noexcept;
  bool unsafe_take(Taken& taken, bool on_worker) noexcept;
  bool unsafe_is_alone() noexcept;
  std::size_t unsafe_ready(Nanoseconds& earliest_due) const noexcept;
  void unsafe_hand_out(WakeList& list) noexcept;
  Worker* unsafe_pop_idle() noexcept;
  void unsafe_remove_idle(Worker& worker) noexcept;
  void unsafe_add_permits(std::int32_t change) noexcept;
  void unsafe_set_timer(Worker* worker, Nanoseconds due) noexcept;
  void unsafe_serve_space() noexcept;
  void unsafe_grant(SpaceWaiter& waiter) noexcept;
  void unsafe_pop_space() noexcept;

  // runtime_work.hpp
  void park_idle(Worker& me, Lock& lock) noexcept;
  void work_with_permit(Taken& taken, Lock& lock) noexcept;
  /// Whether a worker may spin for a little while, with its permit and without the lock.
  bool may_poll() const noexcept {
    // relaxed: written under the lock.
    return setup_.longest_linger > 0 && !has_shared_ && !setup_.exclusive &&
           !closing_.load(std::memory_order_relaxed);
  }
  void let_grow(Lock& lock) noexcept;
  bool linger(Lock& lock) noexcept;

  // runtime_lead.hpp: running a batch and ending its requests.
  void lead(Taken& taken, R* own) noexcept;
  void run_batch(Taken& taken, bool on_caller, Record& record) noexcept;
  Failure execute(const RowRange& range, OutputBlock<P>& outputs, RunRecord& run) noexcept;
  void give_back(const Taken& taken, OutputBlock<P>& outputs, Record& record) noexcept;
  void note_batch(const Taken& taken, const Record& record) noexcept;
  void unsafe_note_batch(const Taken& taken, const Record& record) noexcept;
  void note_run(const RunRecord& run) noexcept;
  void unsafe_add_run(const RunRecord& run) noexcept;
  void complete(std::span<Part<P>> parts, std::uint32_t first, OutputBlock<P>& outputs,
                bool may_lend) noexcept;
  void store_copy(R& request, const Part<P>& part, std::uint32_t row,
                  OutputBlock<P>& outputs) noexcept;
  void fail(std::span<Part<P>> parts, const Failure& failure) noexcept;
  void cancel(std::span<Part<P>> parts) noexcept;
  void end_part(R& request, Tally& tally, R*& to_tell) noexcept;
  void tell_all(R* to_tell, const Tally& tally) noexcept;
  void unsafe_finish(const Taken& taken, const Record& record) noexcept;
  void unsafe_trim_arena(Nanoseconds now) noexcept;

  // runtime_staged.hpp: the same for batches that are gathered.
  void run_staged_batch(Taken& taken, bool on_caller, Record& record) noexcept;
  Failure execute_staged(Staging& staging, const Taken& taken, OutputBlock<P>& outputs,
                         RunRecord& run) noexcept;
  void list_parts(Staging& staging, std::uint32_t batch, std::uint32_t first,
                  std::span<Part<P>> parts) noexcept;
  void note_row_failures(const CollectedOutputs<P>& collected, const Staging& staging) noexcept;
  void complete_staged(std::span<Part<P>> parts, Staging& staging, OutputBlock<P>& outputs,
                       bool may_lend) noexcept;
  void store_staged(R& request, const Part<P>& part, Staging& staging, std::size_t index,
                    OutputBlock<P>& outputs) noexcept;
  Failure rerun_staged(const Taken& taken, std::uint32_t first, std::span<Part<P>> parts,
                       OutputBlock<P>& outputs) noexcept;
  Staging& acquire_staging() noexcept;
  void release_staging(Staging& staging) noexcept;
  void answer_no_rows(R& request) noexcept;

  // runtime_isolate.hpp: finding what makes a batch fail.
  void isolate(const Taken& taken, OutputBlock<P>& outputs) noexcept;
  Failure rerun(std::uint32_t block, std::uint32_t first, std::span<Part<P>> parts,
                OutputBlock<P>& outputs) noexcept;
  std::uint32_t acquire_rerun_block() noexcept;
  void release_rerun_block(std::uint32_t block) noexcept;
  void copy_rows(std::uint32_t block, std::uint32_t first, std::size_t rows,
                 std::uint32_t rerun_block) const noexcept;

  // runtime_close.hpp
  void cancel_queued(Lock& lock) noexcept;
  void unsafe_refuse_space() noexcept;
  bool unsafe_in_flight() const noexcept;
  bool unsafe_at_rest() const noexcept;
  bool unsafe_all_is_back() const noexcept;
  /// In the child of a fork, whose lock may be held for ever by a thread that is not there.
  bool forked() const noexcept { return fork_generation() != forks_; }
  bool fills() const noexcept { return !setup_.fill_gears.empty(); }
  void unsafe_note_rest() noexcept;

  Executor& executor_;
  const RuntimeSetup setup_;
  const bool has_shared_;
  const bool callers_run_;
  const std::uint32_t forks_;
  std::unique_ptr<RequestLedger<P>> ledger_;
  GearMemory input_memory_;
  GearMemory rerun_memory_;  // where batches must be filled; else without blocks
  // Where rows differ in shape; else null and empty. One staging a permit.
  std::unique_ptr<Stager> stager_;
  std::vector<std::unique_ptr<Staging>> stagings_;
  std::unique_ptr<RunTokens<P>> run_tokens_;  // null: as many as permits
  Queue queue_;
  // [block]: rows whose memory may be resident. Written under the lock, or by whoever has taken the block.
  std::vector<std::uint32_t> touched_rows_;

  // Written under the lock, read by publishers without it.
  alignas(kCacheLine) typename P::template atomic<std::uint32_t> permits_;  // free ones
  typename P::template atomic<Nanoseconds> timer_due_{
      kNever};                                      // when a parked worker wakes by itself
  typename P::template atomic<bool> hurry_{false};  // rows are due whatever the delay says
  typename P::template atomic<bool> closing_{false};
  typename P::template atomic<bool> cancelling_{false};
  typename P::template atomic<Nanoseconds> delay_;
  typename P::template atomic<std::uint32_t> brief_rows_{0};

  alignas(kCacheLine) mutable typename P::Mutex mutex_;
  // Under the lock, all that follows.
  Worker* idle_ = nullptr;            // parked workers, the latest first
  Worker* timekeeper_ = nullptr;      // the idle worker that wakes at timer_due_
  std::uint32_t active_workers_ = 0;  // that hold a permit or are on their way with one
  std::uint32_t on_their_way_ = 0;
  std::uint32_t present_workers_ = 0;  // inside work()
  std::vector<Taken> failed_;          // batches that failed on a caller, for a worker to isolate
  std::vector<std::uint32_t> free_rerun_blocks_;
  std::vector<Staging*> free_stagings_;
  SpaceWaiter* space_first_ = nullptr;
  SpaceWaiter* space_last_ = nullptr;
  std::uint32_t claiming_ = 0;        // requests of several rows that have not claimed all of them
  std::uint32_t leading_ = 0;         // batches taken and not yet recycled
  std::uint32_t runs_under_way_ = 0;  // of them, those not in failed_
  std::uint32_t quiet_batches_ =
      kQuietBatches;  // the last ones, that met no company; counts so far
  LoneRuns lone_runs_;
  bool stopping_ = false;
  LowerGear lower_gear_;
  const ShapedLoneRuns shaped_lone_;  // where batches are staged
  LowerGear lower_arena_;             // by the bytes that wait, where batches are staged
  bool shrinks_next_ = true;  // the next batch tells the executor; warm-up has run the largest gear
  BatchStatistics statistics_;
  typename P::Word rest_word_{0};  // changes when the runtime may have come to rest
};

}  // namespace dynbatch

#include "runtime/runtime_close.hpp"
#include "runtime/runtime_dispatch.hpp"
#include "runtime/runtime_isolate.hpp"
#include "runtime/runtime_lead.hpp"
#include "runtime/runtime_staged.hpp"
#include "runtime/runtime_submit.hpp"
#include "runtime/runtime_work.hpp"

// Batcher: batches the requests of many threads in front of one executor.
//
// All methods may be called from any thread. A blocking infer() that finds a free permit runs on the
// calling thread at once; everything else runs on worker threads. Each accepted request is completed
// exactly once: with outputs, an error, a cancellation or a timeout.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include <dynbatch/completion_port.hpp>
#include <dynbatch/executor.hpp>
#include <dynbatch/export.hpp>
#include <dynbatch/gear.hpp>
#include <dynbatch/options.hpp>
#include <dynbatch/stats.hpp>
#include <dynbatch/tensor.hpp>
#include <dynbatch/ticket.hpp>

namespace dynbatch {

/// What was found out about the model while it was loaded.
struct LoadReport {
  bool probed = false;            // the probe ran to its end
  bool rows_independent = false;  // each row's answer is the same in company and alone
  bool bit_equal = false;         // ... to the last bit
  double difference = 0.0;        // largest |together - alone| / max|alone| seen
  bool merges = false;            // whether requests share batches
  std::string warning;            // why they do not, where that may surprise; else empty
};

class DYNBATCH_EXPORT Batcher {
 public:
  /// Prepares gear memory, runs each gear, checks row independence, starts the workers. Takes as
  /// long as these runs do. Gears that were compiled into an ONNX model (compiled_model.hpp) stand where options
  /// say nothing. Throws Error(model) or Error(invalid_argument).
  explicit Batcher(std::unique_ptr<Executor> executor, const BatchingOptions& options = {});
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;
  /// Closes without draining. No other thread may be inside a call meanwhile, except work(); a run of
  /// the batcher itself may drop it.
  ~Batcher();

  /// Copies the rows of `inputs` (one view per input, in the order of spec().inputs) into the queue
  /// and returns. A refused request gives a ticket with accepted() == false.
  Ticket submit(std::span<const InputView> inputs, const SubmitOptions& options = {}) noexcept;
  /// Like submit, and may run the batch on this thread before it returns: the first half of infer().
  Ticket start(std::span<const InputView> inputs, const SubmitOptions& options = {}) noexcept;
  /// Submits and waits; the ticket is done. After options.timeout it ends with ErrorCode::timeout.
  Ticket infer(std::span<const InputView> inputs,
               const SubmitOptions& options = {.on_full = OnFull::wait,
                                               .timeout = std::nullopt}) noexcept;
  /// Rows that a start() now would run at once, alone, on this thread, and in under 100 us, as at least
  /// 28 of the last 32 runs did; 0 if it would not. A hint: others may come meanwhile.
  std::size_t brief_rows() const noexcept;
  /// Lets requests that were submitted with SubmitOptions::hold start.
  void start_held() noexcept;
  /// Has `port` deliver `context` once when there is room for `rows` rows again, or nothing is in
  /// flight; at once if that is so now or the batcher is closed. Callers that wait for room are served
  /// in the order they came. Room that was announced may be taken by somebody else: submit, and ask
  /// again if it is refused.
  void notify_space(CompletionPort& port, void* context, std::size_t rows = 1) noexcept;

  /// Lends the calling thread as a worker until the batcher is closed (own_workers == false). While no
  /// thread is here, a request larger than the queue waits for room until another caller leads, or
  /// close().
  void work() noexcept;
  /// Blocks until `workers` threads are inside work(), or the batcher is closed. Before that a close() that drains would find
  /// nobody to run what waits, and cancel it (own_workers == false).
  void wait_for_workers() noexcept;
  /// Refuses new requests. drain: waits for the accepted ones. Otherwise cancels those that wait and
  /// asks the running batches to end early. Returns when no run is inside the executor.
  void close(bool drain = true) noexcept;
  /// The same, but returns false after `time` if that is not over; call again to wait on.
  bool close_for(std::chrono::nanoseconds time, bool drain = true) noexcept;
  bool closed() const noexcept;

  const ModelSpec& spec() const noexcept;
  const GearTable& gears() const noexcept;
  /// Whether batches are gathered before they run: the spec says so (ModelSpec::is_staged()), or dry runs have
  /// shown outputs that must be taken apart.
  bool is_staged() const noexcept;
  const LoadReport& report() const noexcept;
  MemoryPlan memory_plan() const;
  Stats stats() const;
  void set_max_queue_delay(std::chrono::nanoseconds delay);
  std::chrono::nanoseconds max_queue_delay() const noexcept;

 private:
  class Implementation;
  class LeadingCall;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace dynbatch

// Core: one batcher as the Python package sees it. Model, futures' tickets and arrays that a function
// got hold it; the last of them frees it.
//
// All methods are called with the GIL held; those that block let go of it.
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>

#include <dynbatch/batcher.hpp>
#include <dynbatch/executor.hpp>
#include <dynbatch/options.hpp>
#include <dynbatch/stats.hpp>

#include "feeds.hpp"
#include "results.hpp"
#include "seconds.hpp"

namespace dynbatch::python {

namespace py = pybind11;

class LoopPort;

class Core {
 public:
  /// Loads: warms up, probes, starts workers. `examples`: feeds for that, or none.
  static std::shared_ptr<Core> make(std::unique_ptr<Executor> executor, BatchingOptions options,
                                    const py::object& examples);
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;
  ~Core();

  /// Feeds that wait for their answer; the batch may run on this thread. Raises what went wrong.
  Ticket infer(py::handle feeds, OnFull on_full, std::optional<double> timeout);
  /// Feeds whose answer is waited for elsewhere.
  std::shared_ptr<Ticket> submit(py::handle feeds, OnFull on_full);
  /// The same, but not accepted where the queue is full; the caller is to ask again. `hold`: see
  /// SubmitOptions.
  Ticket try_submit(py::handle feeds, bool hold = false);

  void work();
  void wait_for_workers();
  void close(bool drain);
  bool closed() const noexcept;
  /// Whether a request has more rows than the queue can hold at once: it then runs in pieces, and
  /// only a thread that waits for room can submit it.
  bool exceeds_queue(py::handle feeds) const;
  /// The feeds by name, as arrays that pass without a copy: for those who ask more than once.
  py::dict arrays(py::handle feeds) const;
  /// Raises where waiting for this batcher could never end: in its own runs.
  void refuse_inside_own_run() const;
  /// Raises Closed in a fork of the process that loaded.
  void refuse_in_child() const;

  /// The port of a loop's thread, which has set it; null where there is none.
  LoopPort* loop_port(PyObject* loop) const noexcept {
    const auto found = loop_ports_.find(loop);
    return found == loop_ports_.end() ? nullptr : found->second;
  }
  void set_loop_port(PyObject* loop, LoopPort* port) {
    if (port == nullptr) {
      loop_ports_.erase(loop);
    } else {
      loop_ports_[loop] = port;
    }
  }

  /// Batches that may run at once; 0 while the batcher is still being made.
  std::size_t workers() const noexcept { return workers_; }
  Batcher& batcher() noexcept { return *batcher_; }
  const Batcher& batcher() const noexcept { return *batcher_; }
  const std::shared_ptr<const Signature>& signature() const noexcept { return signature_; }
  /// The batcher's, and with them the feeds that never came so far.
  Stats stats() const;
  /// Calls that ran their rows without giving the GIL up.
  std::uint64_t runs_with_gil() const noexcept { return runs_with_gil_; }
  std::uint64_t copied_arrays() const noexcept {
    return copied_arrays_.load(std::memory_order_relaxed);
  }

 private:
  explicit Core(const ModelSpec& spec);
  void note_caller() noexcept;
  bool keeps_gil(const Feeds& feeds, const SubmitOptions& options, bool may_run) noexcept;
  Ticket start(const Feeds& feeds, const SubmitOptions& options, bool may_run);
  Ticket start_short(const Feeds& feeds, const SubmitOptions& options);
  Ticket waited_for(Ticket ticket, std::optional<Clock::time_point> deadline) const;
  Ticket start_when_there_is_space(const Feeds& feeds, SubmitOptions options, bool may_run);
  void wait_endlessly(Ticket& ticket) const;
  Feeds converted(py::handle feeds);
  bool exceeds_queue(const Feeds& feeds) const noexcept;
  /// As the first batched input has them, checked or not.
  std::size_t rows_of(const Feeds& feeds) const noexcept;

  std::shared_ptr<const Signature> signature_;
  std::uint32_t fork_generation_;
  std::atomic<std::uint64_t> copied_arrays_{0};
  std::atomic<std::uint64_t> refused_feeds_{0};
  std::unique_ptr<Batcher> batcher_;
  std::size_t workers_ = 0;
  static constexpr std::size_t kHeadBytes = 256;
  std::size_t queue_rows_ = 0;          // that the queue can hold at once
  std::size_t queue_bytes_ = SIZE_MAX;  // likewise, where rows differ in shape
  std::unordered_map<PyObject*, LoopPort*> loop_ports_;
  // Who called last, and how often without anybody in between.
  unsigned long last_caller_ = 0;
  std::uint32_t calls_in_a_row_ = 0;
  std::uint64_t runs_with_gil_ = 0;
};

}  // namespace dynbatch::python

// A batcher over the synthetic executor whose runs can be held at a gate.
#pragma once

#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <dynbatch/batcher.hpp>
#include <dynbatch/synthetic_executor.hpp>

#include "cpp/runtime/custom_executor.hpp"
#include "cpp/runtime/float_rows.hpp"

namespace dynbatch::testing {

/// y = 2 x + 1, one float a row; one worker, and batching "always", unless asked otherwise.
struct HeldBatcher {
  explicit HeldBatcher(BatchingOptions options, SyntheticOptions synthetic = {})
      : batcher(make(std::move(synthetic)), always(std::move(options))) {}
  ~HeldBatcher() { gate.open(); }

  std::unique_ptr<Executor> make(SyntheticOptions synthetic) {
    synthetic.row_elements = 1;
    synthetic.on_run = [this](const Batch& batch) {
      {
        const std::lock_guard lock(mutex);
        threads.push_back(std::this_thread::get_id());
        sizes.push_back(batch.rows);
      }
      gate.pass();
    };
    return make_synthetic_executor(std::move(synthetic));
  }
  static BatchingOptions always(BatchingOptions options) {
    if (options.batching == Batching::automatic) options.batching = Batching::always;
    if (!options.workers) options.workers = 1;
    return options;
  }
  Ticket submit(const std::vector<float>& rows, const SubmitOptions& options = {}) {
    const InputView view = rows_of(rows);
    return batcher.submit({&view, 1}, options);
  }
  Ticket infer(const std::vector<float>& rows,
               const SubmitOptions& options = {.on_full = OnFull::wait}) {
    const InputView view = rows_of(rows);
    return batcher.infer({&view, 1}, options);
  }
  /// A request whose run stands at the closed gate.
  Ticket occupy() {
    gate.close();
    Ticket ticket = submit({0.0F});
    gate.wait_for(1);
    return ticket;
  }

  Gate gate;
  std::mutex mutex;
  std::vector<std::thread::id> threads;
  std::vector<std::size_t> sizes;
  Batcher batcher;
};

}  // namespace dynbatch::testing

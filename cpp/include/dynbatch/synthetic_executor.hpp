// The executor with a deterministic answer and cost: for tests, simulation and overhead figures.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

#include <dynbatch/executor.hpp>
#include <dynbatch/export.hpp>

namespace dynbatch {

struct SyntheticOptions {
  /// Float32 elements of a row of the one input "x" and the one output "y".
  std::size_t row_elements = 16;
  /// Busy time of a run: fixed + per_row * rows. 0: none.
  std::chrono::nanoseconds fixed{0};
  std::chrono::nanoseconds per_row{0};
  /// y = 2 x + 1 if true; otherwise the output is left as it is (the null executor).
  bool computes = true;
  /// Above 0: runs only this batch size.
  std::size_t fixed_batch = 0;
  /// A row whose first element equals this fails its whole run; NaN: none does.
  float poison = __builtin_nanf("");
  bool runs_on_callers = true;
  /// Called at the start of every run, on the running thread; may block.
  std::function<void(const Batch&)> on_run;
};

DYNBATCH_EXPORT std::unique_ptr<Executor> make_synthetic_executor(SyntheticOptions options = {});

}  // namespace dynbatch

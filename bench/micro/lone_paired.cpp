// One blocking caller and nobody else: what dynbatch adds to a run, call by call. The model is the
// smallest of the test models, a matrix product of 64 by 64.
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>

#include <dynbatch/batcher.hpp>
#include <dynbatch/onnxruntime_executor.hpp>

#include "bare_executor.hpp"
#include "model_path.hpp"
#include "paired.hpp"
#include "rows.hpp"
#include "timed_calls.hpp"

namespace dynbatch::bench {
void measure_all(const PairedOptions& options) {
  const std::string path = model_path("one_gemm");
  BareExecutor bare(make_onnxruntime_executor(path));
  BatchingOptions batching;
  batching.workers = 1;
  Batcher batcher(make_onnxruntime_executor(path), batching);
  SourceRows rows(batcher.spec().inputs[0].row_bytes());

  const auto infer = [&] {
    const InputView view = row_view(rows.next(), rows.row_bytes());
    Ticket ticket = batcher.infer({&view, 1});
    if (ticket.code() != ErrorCode::none) ticket.get();  // throws
    return ticket;
  };
  const std::byte* const row = rows.row(0);
  bare.set_row(row);
  bare.run();
  SourceRows checked = SourceRows(rows.row_bytes(), 1);
  const InputView view = row_view(checked.row(0), checked.row_bytes());
  const Ticket ticket = batcher.infer({&view, 1});
  if (stamp_of(ticket.output(0).data) != stamp_of(bare.output().data()))
    throw std::runtime_error("infer and a bare run differ in their answer to the same row");
  measure("one Gemm 64 by 64",
          {{"infer", [&](double s) { return time_calls(s, infer); }},
           {"bare run", [&](double s) { return time_calls(s, [&] { bare.run(); }); }}},
          options);
}

}  // namespace dynbatch::bench

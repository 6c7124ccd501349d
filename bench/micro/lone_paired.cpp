// One blocking caller and nobody else: what dynbatch adds to a run, call by call. The model is the
// smallest of the test models, a matrix product of 64 by 64.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <dynbatch/batcher.hpp>
#include <dynbatch/onnxruntime_executor.hpp>

#include "bare_executor.hpp"
#include "closed_loop.hpp"
#include "model_path.hpp"
#include "paired.hpp"
#include "rows.hpp"

namespace dynbatch::bench {
namespace {

constexpr std::size_t kMostSamples = std::size_t{1} << 22;

/// Calls for that long, each of them timed.
template <class Call>
Figures time_calls(double seconds, Call&& call) {
  std::vector<std::uint32_t> samples;
  samples.reserve(kMostSamples);
  Nanoseconds before = StdPlatform::now();
  const Nanoseconds end = before + static_cast<Nanoseconds>(1e9 * seconds);
  while (before < end && samples.size() < kMostSamples) {
    call();
    const Nanoseconds now = StdPlatform::now();
    samples.push_back(static_cast<std::uint32_t>(std::min<Nanoseconds>(now - before, UINT32_MAX)));
    before = StdPlatform::now();
  }
  return quantiles_us(samples);
}

}  // namespace

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

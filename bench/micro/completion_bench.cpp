// Completion: ending the requests of a batch and telling their callers. Figures are per request.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <vector>

#include <dynbatch/completion_port.hpp>

#include "base/platform.hpp"
#include "batch/completion_list.hpp"
#include "batch/request.hpp"
#include "batch/request_ledger.hpp"
#include "memory/gear_memory.hpp"

namespace dynbatch::bench {
namespace {

using Ledger = RequestLedger<StdPlatform>;
using R = Request<StdPlatform>;
constexpr std::size_t kBatch = 32;

std::unique_ptr<Ledger> make_ledger() {
  ModelSpec spec{.inputs = {{.name = "x", .row_shape = {16}}},
                 .outputs = {{.name = "y", .row_shape = {16}}}};
  BlockLayout outputs(spec.outputs, kBatch);
  return std::make_unique<Ledger>(std::move(spec), std::vector<Shape>{{16}}, std::move(outputs), 4,
                                  1);
}

/// A request's life without rows: acquired, accepted, ended, let go by both owners.
void end_without_waiter(benchmark::State& state) {
  auto ledger = make_ledger();
  R* requests[kBatch];
  for (auto _ : state) {
    for (R*& request : requests) {
      request = ledger->acquire(1);
      ledger->accept();
    }
    Tally tally;
    for (R* const request : requests) {
      const std::uint32_t before = ledger->end(*request, ErrorCode::none, tally);
      ledger->tell(*request, before);
      ledger->release(*request);
    }
    ledger->add(tally);
    for (R* const request : requests) ledger->release(*request);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
  Ledger::abandon(std::move(ledger));
}
BENCHMARK(end_without_waiter)->UseRealTime();

/// A batch reaches an event loop: one chain, one write to the descriptor, one drain.
void batch_through_port(benchmark::State& state) {
  CompletionPort port;
  std::vector<PortEntry> entries(kBatch);
  std::vector<void*> contexts;
  for (PortEntry& entry : entries) {
    entry.context = &entry;
    entry.release = [](PortEntry*) noexcept {};
  }
  for (auto _ : state) {
    for (std::size_t i = 0; i + 1 < kBatch; ++i) entries[i].next_entry = &entries[i + 1];
    port.implementation().add(&entries.front(), &entries.back());
    contexts.clear();
    port.drain(contexts);
    benchmark::DoNotOptimize(contexts.data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}
BENCHMARK(batch_through_port)->UseRealTime();

}  // namespace
}  // namespace dynbatch::bench

// dynbatch, in front of the null executor, behind the interface that closed_loop.hpp asks for.
#pragma once

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <dynbatch/batcher.hpp>

#include "echo_executor.hpp"
#include "rows.hpp"

namespace dynbatch::bench {

class DynbatchBatcher {
 public:
  DynbatchBatcher(std::size_t row_bytes, std::size_t max_batch)
      : row_bytes_(row_bytes),
        batcher_(std::make_unique<EchoExecutor>(row_bytes, counts_), options(max_batch)) {}

  RunTotals totals() const noexcept { return counts_.totals(); }

  class Producer {
   public:
    Producer(DynbatchBatcher& batcher, std::size_t outstanding)
        : batcher_(batcher.batcher_), row_bytes_(batcher.row_bytes_), tickets_(outstanding) {}
    void submit(std::size_t slot, const std::byte* row) {
      const InputView view = row_view(row, row_bytes_);
      tickets_[slot] = batcher_.submit({&view, 1}, {.on_full = OnFull::wait});
    }
    float answer(std::size_t slot) {
      Ticket ticket = std::move(tickets_[slot]);
      ticket.wait();
      if (ticket.code() != ErrorCode::none)
        throw std::runtime_error("a request failed: " + ticket.failure().message);
      return stamp_of(ticket.output(0).data);
    }

   private:
    Batcher& batcher_;
    const std::size_t row_bytes_;
    std::vector<Ticket> tickets_;
  };

 private:
  static BatchingOptions options(std::size_t max_batch) {
    BatchingOptions options;
    options.batching = Batching::always;
    options.max_batch_size = max_batch;
    options.workers = 1;
    return options;
  }

  const std::size_t row_bytes_;
  RunCounts counts_;
  Batcher batcher_;
};

}  // namespace dynbatch::bench

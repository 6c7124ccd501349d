// A closed loop of producers over any of the batchers: each keeps a window of requests outstanding,
// waits for the oldest, checks its answer and submits the next in its place.
//
// A batcher has a Producer(batcher, outstanding), with submit(slot, row) and answer(slot), which waits
// and returns the stamp of the row that was answered; and totals(), of all its runs so far.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/platform.hpp"
#include "echo_executor.hpp"
#include "paired.hpp"
#include "rows.hpp"

namespace dynbatch::bench {

struct Load {
  std::size_t row_bytes = 0;
  std::size_t producers = 1;
  std::size_t outstanding = 1;  // requests of each producer
  bool times_requests = false;
};

/// Quantiles of what was sampled, in microseconds; the last is the worst.
inline Figures quantiles_us(std::vector<std::uint32_t>& samples_ns) {
  if (samples_ns.empty()) throw std::runtime_error("no request was timed: a block was too short");
  std::sort(samples_ns.begin(), samples_ns.end());
  const auto at = [&](double share) {
    const auto index = static_cast<std::size_t>(share * static_cast<double>(samples_ns.size()));
    return 1e-3 * samples_ns[std::min(index, samples_ns.size() - 1)];
  };
  return {{"p50_us", at(0.5)},
          {"p99_us", at(0.99)},
          {"p999_us", at(0.999)},
          {"worst_us", at(1.0)},
          {"samples", static_cast<double>(samples_ns.size())}};
}

class ClosedLoop {
 public:
  explicit ClosedLoop(const Load& load) : load_(load) {
    for (std::size_t i = 0; i < load.producers; ++i)
      sources_.emplace_back(load.row_bytes, load.outstanding, 1 + i * load.outstanding);
  }

  /// One block: as long as asked for, and until each producer has had three answers on average.
  template <class Batcher>
  Figures measure(Batcher& batcher, double seconds) {
    stage_.store(kWarmUp, std::memory_order_relaxed);
    std::vector<Tally> tallies(load_.producers);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < load_.producers; ++i)
      threads.emplace_back([&, i] { guarded_produce(batcher, sources_[i], tallies[i]); });
    const auto sum = [&] {
      std::uint64_t answered = 0;
      for (const Tally& tally : tallies) answered += tally.answered.load(std::memory_order_relaxed);
      return static_cast<double>(answered);
    };
    // relaxed, here and below: set before the thread that set it is joined.
    const auto failed = [&] { return failed_.load(std::memory_order_relaxed); };
    for (const Tally& tally : tallies) {
      // Each window has been through once. relaxed: a figure.
      while (!failed() && tally.answered.load(std::memory_order_relaxed) < 2 * load_.outstanding)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    // relaxed, all: the span is that between two readings, whatever a producer sees late.
    stage_.store(kMeasured, std::memory_order_relaxed);
    const Nanoseconds start = StdPlatform::now();
    const double cpu_before = own_cpu_seconds();
    const double before = sum();
    const RunTotals runs_before = batcher.totals();
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    while (!failed() && sum() - before < static_cast<double>(3 * load_.producers))
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const double span = 1e-9 * static_cast<double>(StdPlatform::now() - start);
    const double answered = sum() - before;
    const double cpu = own_cpu_seconds() - cpu_before;
    const RunTotals runs = batcher.totals();
    stage_.store(kOver, std::memory_order_relaxed);
    for (std::thread& thread : threads) thread.join();
    for (const Tally& tally : tallies)
      if (!tally.fault.empty()) throw std::runtime_error(tally.fault);
    Figures figures{{"rows_per_second", answered / span},
                    {"cpu_us_per_row", 1e6 * cpu / std::max(answered, 1.0)}};
    if (runs.batches > runs_before.batches) {
      figures.emplace_back("rows_per_batch",
                           static_cast<double>(runs.rows - runs_before.rows) /
                               static_cast<double>(runs.batches - runs_before.batches));
    }
    if (load_.times_requests) {
      std::vector<std::uint32_t> samples;
      for (const Tally& tally : tallies)
        samples.insert(samples.end(), tally.samples_ns.begin(), tally.samples_ns.end());
      const Figures quantiles = quantiles_us(samples);
      figures.insert(figures.end(), quantiles.begin(), quantiles.end());
    }
    return figures;
  }

 private:
  enum Stage : std::uint32_t { kWarmUp, kMeasured, kOver };
  // Later samples are left out, so that none allocates.
  static constexpr std::size_t kMostSamples = std::size_t{1} << 20;
  struct alignas(kCacheLine) Tally {
    StdPlatform::atomic<std::uint64_t> answered{0};
    std::vector<std::uint32_t> samples_ns;
    std::string fault;
  };

  template <class Batcher>
  void guarded_produce(Batcher& batcher, const SourceRows& rows, Tally& tally) {
    try {
      produce(batcher, rows, tally);
    } catch (const std::exception& error) {
      tally.fault = error.what();
      failed_.store(true, std::memory_order_relaxed);
    }
  }

  template <class Batcher>
  void produce(Batcher& batcher, const SourceRows& rows, Tally& tally) {
    typename Batcher::Producer producer(batcher, load_.outstanding);
    std::vector<Nanoseconds> submitted_at(load_.outstanding, 0);
    if (load_.times_requests) tally.samples_ns.reserve(kMostSamples);
    const auto submit = [&](std::size_t slot) {
      if (load_.times_requests) submitted_at[slot] = StdPlatform::now();
      producer.submit(slot, rows.row(slot));
    };
    const auto answer = [&](std::size_t slot) {
      const float got = producer.answer(slot);
      const float expected = stamp_of(rows.row(slot));
      if (got == expected || !tally.fault.empty()) return;
      // The loop goes on to its end, since its requests are still on their way.
      tally.fault = "wrong answer: expected the row that begins with " + std::to_string(expected) +
                    ", got " + std::to_string(got);
      failed_.store(true, std::memory_order_relaxed);
    };
    for (std::size_t slot = 0; slot < load_.outstanding; ++slot) submit(slot);
    std::uint64_t answered = 0;
    std::size_t slot = 0;
    for (;;) {
      const std::uint32_t stage = stage_.load(std::memory_order_relaxed);
      if (stage == kOver) break;
      answer(slot);
      if (load_.times_requests && stage == kMeasured && tally.samples_ns.size() < kMostSamples) {
        tally.samples_ns.push_back(static_cast<std::uint32_t>(
            std::min<Nanoseconds>(StdPlatform::now() - submitted_at[slot], UINT32_MAX)));
      }
      tally.answered.store(++answered, std::memory_order_relaxed);
      submit(slot);
      slot = slot + 1 == load_.outstanding ? 0 : slot + 1;
    }
    for (std::size_t i = 0; i < load_.outstanding; ++i) {
      answer(slot);
      slot = slot + 1 == load_.outstanding ? 0 : slot + 1;
    }
  }

  const Load load_;
  std::vector<SourceRows> sources_;
  StdPlatform::atomic<std::uint32_t> stage_{kWarmUp};
  StdPlatform::atomic<bool> failed_{false};  // nobody waits for more answers
};

}  // namespace dynbatch::bench

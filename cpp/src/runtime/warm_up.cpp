#include "runtime/warm_up.hpp"

#include <algorithm>

#include <dynbatch/error.hpp>

#include "runtime/probe_report.hpp"
#include "runtime/row_probe.hpp"
#include "runtime/sample_rows.hpp"

namespace dynbatch {
namespace {

constexpr std::size_t kTimedRuns = 3;

// Where batches must have the size of a gear: the smallest that gives a row company enough.
std::size_t gear_for_probe(const BatchingPlan& plan) noexcept {
  std::size_t best = plan.largest;
  for (const std::size_t gear : plan.gears) {
    if (gear >= SampleRows::kSamples) best = std::min(best, gear);
  }
  return best;
}

}  // namespace

Failure time_gears(TrialRun& trial, GearTable& table) {
  std::vector<std::vector<Nanoseconds>> times(table.gears.size());
  for (std::size_t round = 0; round <= kTimedRuns; ++round) {
    for (std::size_t i = 0; i < table.gears.size(); ++i) {
      Nanoseconds elapsed = 0;
      if (Failure failure = trial.run(table.gears[i].batch_size, &elapsed)) return failure;
      if (round > 0) times[i].push_back(elapsed);  // the first run of a size also sets memory up
    }
  }
  for (std::size_t i = 0; i < times.size(); ++i) {
    std::sort(times[i].begin(), times[i].end());
    table.gears[i].seconds = static_cast<double>(times[i][kTimedRuns / 2]) * 1e-9;
  }
  return {};
}

Failure time_lone_runs(TrialRun& trial, GearTable& table, std::size_t largest) {
  for (Gear& gear : table.gears) {
    if (gear.batch_size > largest) continue;
    std::vector<double> gains;
    for (std::size_t round = 0; round <= kTimedRuns; ++round) {
      Nanoseconds shared = 0;
      Nanoseconds alone = 0;
      if (Failure failure = trial.run(gear.batch_size, &shared)) return failure;
      // Twice: the first finds threads asleep, which a caller that comes now and then pays for as well, but
      // then such runs are put off (LoneRuns).
      for (int run = 0; run < 2; ++run) {
        if (Failure failure = trial.run(gear.batch_size, &alone, true)) return failure;
      }
      if (round > 0) gains.push_back(static_cast<double>(shared) / static_cast<double>(alone));
    }
    std::sort(gains.begin(), gains.end());
    gear.seconds_alone = gear.seconds / gains[kTimedRuns / 2];
  }
  return {};
}

WarmUp warm_up(Executor& executor, const BatchingOptions& options, const BatchingPlan& plan) {
  const ModelSpec& spec = executor.spec();
  WarmUp result;
  TrialRun trial(executor, std::max(plan.largest, SampleRows::kSamples));
  const SampleRows samples(spec, options.examples);
  ProbeResult probe;
  if (options.batching != Batching::off && options.verify) {
    probe = probe_rows(trial, samples, spec, plan.filled ? gear_for_probe(plan) : 0);
    conclude(result.report, probe, options, samples.made_up());
  } else {
    result.report.merges = options.batching != Batching::off;
  }
  samples.write_shared(trial);
  for (std::size_t row = 0; row < plan.largest; ++row) samples.write_row(trial, row, row);

  for (const std::size_t gear : plan.gears) {
    result.table.gears.push_back({.batch_size = gear,
                                  .input_bytes = bytes_of(spec.inputs, gear),
                                  .output_bytes = bytes_of(spec.outputs, gear)});
  }
  result.table.filled = plan.filled;
  Failure failure = time_gears(trial, result.table);
  if (failure.code == ErrorCode::model) throw OutputAxisError(failure.message);
  if (failure && (plan.filled || options.batching == Batching::always)) {
    throw Error(ErrorCode::model,
                "the model failed at warm-up: " + failure.message +
                    (samples.made_up() ? "; pass example feeds (verify=feeds)" : ""));
  }
  for (std::size_t i = 0; i < spec.outputs.size(); ++i) {
    Shape row_shape = spec.outputs[i].row_shape;
    if (!failure) row_shape = Shape(trial.output(i, 1).shape.dims().subspan(1));
    Shape known;
    for (const std::int64_t dim : row_shape.dims()) known.push_back(std::max<std::int64_t>(dim, 0));
    result.output_row_shapes.push_back(known);
  }
  result.fill_row = samples.first_row();
  const bool by_time = options.batching == Batching::automatic && !failure && !plan.filled;
  result.table.cap = !result.report.merges ? 1
                     : by_time             ? measured_cap(result.table)
                                           : plan.largest;
  if (!failure && executor.offers_lone_runs()) {
    const std::size_t largest = result.report.merges ? result.table.cap : plan.largest;
    if (time_lone_runs(trial, result.table, largest)) {
      // What cannot run with all CPUs runs without: it did so just now.
      for (Gear& gear : result.table.gears) gear.seconds_alone.reset();
    }
  }
  return result;
}

}  // namespace dynbatch

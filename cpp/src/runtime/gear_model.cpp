#include <dynbatch/gear_model.hpp>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "batch/input_check.hpp"
#include "runtime/batching_plan.hpp"
#include "runtime/sample_rows.hpp"
#include "runtime/trial_run.hpp"
#include "runtime/warm_up.hpp"

namespace dynbatch {

class GearModel::Implementation {
 public:
  Implementation(std::unique_ptr<Executor> executor, const std::vector<std::size_t>& gears)
      : executor_(checked(std::move(executor), gears)),
        trial_(*executor_, *std::max_element(gears.begin(), gears.end())) {
    const ModelSpec& spec = executor_->spec();
    if (executor_->offers_lone_runs()) executor_->keep_lone_runs(false);  // all runs are alike
    for (const std::size_t gear : gears) {
      table_.gears.push_back({.batch_size = gear,
                              .input_bytes = bytes_of(spec.inputs, gear),
                              .output_bytes = bytes_of(spec.outputs, gear)});
    }
    chosen_ = table_.cap = table_.largest();
    table_.filled = true;
    std::vector<std::size_t> sizes = gears;
    std::sort(sizes.begin(), sizes.end());
    executor_->prepare(trial_.prepared(std::move(sizes)));
    const SampleRows samples(spec, {});
    samples.write_shared(trial_);
    for (std::size_t row = 0; row < chosen_; ++row) samples.write_row(trial_, row, row);
    // A model that refuses made-up values is still good for real ones; its gears are then not timed.
    static_cast<void>(time_gears(trial_, table_));
  }

  void choose(std::size_t batch_size) {
    if (table_.exact(batch_size) != nullptr) {
      chosen_ = batch_size;
      return;
    }
    std::string known;
    for (const Gear& gear : table_.gears)
      known += (known.empty() ? "" : ", ") + std::to_string(gear.batch_size);
    throw Error(ErrorCode::invalid_argument, "batch_size: expected one of the gears " + known +
                                                 "; got " + std::to_string(batch_size));
  }

  std::vector<OutputView> execute(std::span<const InputView> inputs) {
    const ModelSpec& spec = executor_->spec();
    Failure failure;
    const std::optional<std::size_t> rows = check_inputs(spec, inputs, failure);
    if (!rows) throw Error(failure.code, failure.message);
    if (*rows != chosen_) {
      throw Error(ErrorCode::invalid_input, "expected " + std::to_string(chosen_) +
                                                " rows, the chosen gear; got " +
                                                std::to_string(*rows));
    }
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const std::size_t bytes = spec.inputs[i].row_bytes() * (spec.inputs[i].shared ? 1 : chosen_);
      if (bytes > 0) std::memcpy(trial_.input_row(i, 0), inputs[i].data, bytes);
    }
    failure = trial_.run(chosen_);
    if (failure) throw Error(ErrorCode::execution, failure.message);
    std::vector<OutputView> outputs;
    for (std::size_t i = 0; i < spec.outputs.size(); ++i)
      outputs.push_back(trial_.output(i, chosen_));
    return outputs;
  }

  MemoryPlan memory_plan() const {
    MemoryPlan plan;
    for (const Gear& gear : table_.gears) {
      plan.gears.push_back({.batch_size = gear.batch_size,
                            .input_bytes = gear.input_bytes,
                            .output_bytes = gear.output_bytes});
    }
    plan.batch_blocks = 1;
    plan.batch_block_bytes = trial_.inputs().total_bytes();
    plan.output_blocks = 1;
    plan.output_block_bytes = trial_.outputs().total_bytes();
    plan.total_bytes = plan.batch_block_bytes + plan.output_block_bytes;
    return plan;
  }

  const ModelSpec& spec() const noexcept { return executor_->spec(); }
  const GearTable& table() const noexcept { return table_; }
  std::size_t chosen() const noexcept { return chosen_; }

 private:
  static std::unique_ptr<Executor> checked(std::unique_ptr<Executor> executor,
                                           const std::vector<std::size_t>& gears) {
    if (executor == nullptr)
      throw Error(ErrorCode::invalid_argument, "executor: expected one, got null");
    if (executor->spec().is_staged()) {
      throw Error(ErrorCode::model,
                  "rows differ in shape, and a GearModel has one shape for all rows: bind free "
                  "dimensions (dimensions=), or use load()");
    }
    check_gears(gears);
    check_shapes(executor->spec());
    const std::size_t fixed = executor->spec().fixed_batch;
    if (fixed > 0 && (gears.size() != 1 || gears.front() != fixed)) {
      throw Error(ErrorCode::invalid_argument,
                  "gears: the batch is fixed to " + std::to_string(fixed) +
                      " (by the model, or by dimensions that bind it), the only gear");
    }
    return executor;
  }

  std::unique_ptr<Executor> executor_;
  TrialRun trial_;
  GearTable table_;
  std::size_t chosen_ = 0;
};

GearModel::GearModel(std::unique_ptr<Executor> executor, const std::vector<std::size_t>& gears)
    : implementation_(std::make_unique<Implementation>(std::move(executor), gears)) {}
GearModel::~GearModel() = default;

void GearModel::set_dynamic_batch_size(std::size_t batch_size) {
  implementation_->choose(batch_size);
}
std::size_t GearModel::dynamic_batch_size() const noexcept { return implementation_->chosen(); }
std::vector<OutputView> GearModel::execute(std::span<const InputView> inputs) {
  return implementation_->execute(inputs);
}
const ModelSpec& GearModel::spec() const noexcept { return implementation_->spec(); }
const GearTable& GearModel::gears() const noexcept { return implementation_->table(); }
MemoryPlan GearModel::memory_plan() const { return implementation_->memory_plan(); }

}  // namespace dynbatch

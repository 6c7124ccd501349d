#include "runtime/trial_run.hpp"

#include <algorithm>
#include <utility>

#include "batch/own_outputs.hpp"
#include "runtime/run_outputs.hpp"

namespace dynbatch {

TrialRun::TrialRun(Executor& executor, std::size_t rows)
    : executor_(executor),
      inputs_(BlockLayout(executor.spec().inputs, rows), 1),
      outputs_(BlockLayout(executor.spec().outputs, rows), 1) {
  const ModelSpec& spec = executor.spec();
  for (const TensorSpec& input : spec.inputs) {
    shared_.emplace_back(input.shared ? std::max<std::size_t>(input.row_bytes(), 1) : 0);
  }
  block_.tensors = outputs_.slots().front();
  block_.adopted.resize(spec.outputs.size());
  block_.inputs.resize(spec.inputs.size());
}

TrialRun::~TrialRun() {
  for (AdoptedOutput& output : block_.adopted) output.clear();
}

std::byte* TrialRun::input_row(std::size_t input, std::size_t row) noexcept {
  return shared_[input].empty() ? inputs_.row(0, input, row) : shared_[input].data();
}

Failure TrialRun::run(std::size_t rows, Nanoseconds* elapsed, bool alone) noexcept {
  for (std::size_t i = 0; i < block_.inputs.size(); ++i) block_.inputs[i] = input_row(i, 0);
  for (AdoptedOutput& output : block_.adopted) output.clear();
  CollectedOutputs<StdPlatform> collected(executor_.spec(), block_, rows);
  const std::uint32_t slot = has_slots_ ? 0 : Batch::kNoSlot;
  const Batch batch{.rows = rows,
                    .inputs = block_.inputs,
                    .outputs = block_.tensors,
                    .input_slot = slot,
                    .output_slot = slot,
                    .alone = alone};
  const Nanoseconds start = StdPlatform::now();
  Failure failure = executor_.run(batch, collected);
  if (elapsed != nullptr) *elapsed = StdPlatform::now() - start;
  if (!failure) {
    failure = collected.check();
    if (failure) failure.code = ErrorCode::model;  // not the rows are at fault
  }
  if (!failure && !collected.row_failures().empty())
    failure = collected.row_failures().front().second;
  return failure;
}

OutputView TrialRun::output(std::size_t index, std::size_t rows) const noexcept {
  const ModelSpec& spec = executor_.spec();
  Shape row_shape;
  OutputView view{.dtype = spec.outputs[index].dtype};
  view.data = output_rows(block_, spec, index, row_shape);
  view.size_bytes = bytes_of_row(row_shape, view.dtype) * rows;
  view.shape.push_back(static_cast<std::int64_t>(rows));
  for (const std::int64_t dim : row_shape.dims()) view.shape.push_back(dim);
  return view;
}

PreparedMemory TrialRun::prepared(std::vector<std::size_t> batch_sizes) {
  has_slots_ = true;
  return {.input_slots = inputs_.slots(),
          .output_slots = outputs_.slots(),
          .batch_sizes = std::move(batch_sizes)};
}

}  // namespace dynbatch

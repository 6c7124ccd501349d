// An executor run by hand, on prepared memory, one row at a time: what a lone request is held against.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include <dynbatch/executor.hpp>

#include "echo_executor.hpp"

namespace dynbatch::bench {

/// Of a model with one input and one output. Used by one thread.
class BareExecutor {
 public:
  explicit BareExecutor(std::unique_ptr<Executor> executor) : executor_(std::move(executor)) {
    const ModelSpec& spec = executor_->spec();
    input_.resize(spec.inputs[0].row_bytes());
    output_.resize(spec.outputs[0].row_bytes());
    executor_->prepare(
        {.input_slots = {{input_.data()}}, .output_slots = {{output_.data()}}, .batch_sizes = {1}});
    inputs_ = {input_.data()};
    outputs_ = {output_.data()};
  }
  void set_row(const std::byte* row) noexcept { std::memcpy(input_.data(), row, input_.size()); }
  void run() {
    const Batch batch{
        .rows = 1, .inputs = inputs_, .outputs = outputs_, .input_slot = 0, .output_slot = 0};
    NoOutputs none;
    const Failure failure = executor_->run(batch, none);
    if (failure) throw std::runtime_error(failure.message);
  }
  std::span<const std::byte> output() const noexcept { return output_; }

 private:
  std::unique_ptr<Executor> executor_;
  std::vector<std::byte> input_;
  std::vector<std::byte> output_;
  std::vector<const std::byte*> inputs_;
  std::vector<std::byte*> outputs_;
};

}  // namespace dynbatch::bench

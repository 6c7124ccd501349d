// What an executor hands over during one run: adopted outputs, and failures of single rows.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <dynbatch/executor.hpp>

#include "memory/output_block.hpp"

namespace dynbatch {

template <class P>
class CollectedOutputs final : public RunOutputs {
 public:
  CollectedOutputs(const ModelSpec& spec, OutputBlock<P>& block, std::size_t rows) noexcept
      : spec_(spec), block_(block), rows_(rows) {}

  void adopt(std::size_t index, const void* data, const Shape& shape,
             void (*release)(void* context), void* context) noexcept override {
    block_.adopted[index].clear();
    block_.adopted[index] = {.data = static_cast<const std::byte*>(data),
                             .shape = shape,
                             .release = release != nullptr ? release : [](void*) {},
                             .context = context};
  }
  void fail_row(std::size_t row, Failure failure) noexcept override {
    row_failures_.emplace_back(row, std::move(failure));
  }

  /// Whether every output is there with one row for each of the batch.
  Failure check() const {
    for (std::size_t i = 0; i < spec_.outputs.size(); ++i) {
      const AdoptedOutput& adopted = block_.adopted[i];
      if (adopted.release == nullptr) {
        if (block_.tensors[i] != nullptr || spec_.outputs[i].has_known_shape()) continue;
        return failure(i, "was not delivered by the executor");
      }
      if (adopted.shape.rank() == 0 || !adopted.shape.valid() ||
          adopted.shape[0] != static_cast<std::int64_t>(rows_)) {
        return failure(i, "has shape " + to_string(adopted.shape) +
                              ", expected a leading dimension of " + std::to_string(rows_));
      }
    }
    return {};
  }
  /// Whether every output was handed over, of whatever shape.
  Failure check_delivered() const {
    for (std::size_t i = 0; i < spec_.outputs.size(); ++i) {
      if (block_.adopted[i].release == nullptr)
        return failure(i, "was not delivered by the executor");
    }
    return {};
  }
  const std::vector<std::pair<std::size_t, Failure>>& row_failures() const noexcept {
    return row_failures_;
  }

 private:
  Failure failure(std::size_t index, const std::string& what) const {
    return {.code = ErrorCode::execution,
            .message = "output '" + spec_.outputs[index].name + "' " + what,
            .cause = nullptr};
  }

  const ModelSpec& spec_;
  OutputBlock<P>& block_;
  std::size_t rows_;
  std::vector<std::pair<std::size_t, Failure>> row_failures_;  // empty, without memory, as a rule
};

}  // namespace dynbatch

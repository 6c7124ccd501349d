// RunOutputs that keeps what a run hands over, for tests of executors.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include <dynbatch/executor.hpp>

namespace dynbatch::testing {

struct AdoptedOutput {
  const void* data = nullptr;
  Shape shape;
  void (*release)(void*) = nullptr;
  void* context = nullptr;

  template <class Element>
  std::vector<Element> elements() const {
    std::size_t count = 1;
    for (const std::int64_t dim : shape.dims()) count *= static_cast<std::size_t>(dim);
    const auto* first = static_cast<const Element*>(data);
    return {first, first + count};
  }
};

class KeptOutputs final : public RunOutputs {
 public:
  ~KeptOutputs() override { release_all(); }

  void adopt(std::size_t index, const void* data, const Shape& shape, void (*release)(void*),
             void* context) noexcept override {
    adopted[index] = {data, shape, release, context};
  }
  void fail_row(std::size_t row, Failure failure) noexcept override {
    failed_rows.emplace_back(row, std::move(failure));
  }
  void release_all() {
    for (auto& [index, output] : adopted) output.release(output.context);
    adopted.clear();
  }

  std::map<std::size_t, AdoptedOutput> adopted;
  std::vector<std::pair<std::size_t, Failure>> failed_rows;
};

/// Runs a batch over memory of the caller's; null outputs are adopted.
inline Failure run(Executor& executor, std::size_t rows, const std::vector<const void*>& inputs,
                   const std::vector<void*>& outputs, RunOutputs& kept) {
  std::vector<const std::byte*> in;
  for (const void* input : inputs) in.push_back(static_cast<const std::byte*>(input));
  std::vector<std::byte*> out;
  for (void* output : outputs) out.push_back(static_cast<std::byte*>(output));
  Batch batch;
  batch.rows = rows;
  batch.inputs = in;
  batch.outputs = out;
  return executor.run(batch, kept);
}

}  // namespace dynbatch::testing

// The gear calls: what choosing a gear and running it on the caller's memory add to ONNX Runtime's own Run,
// whose values were made before. Two gears take turns. The model is the smallest of the test models, a matrix
// product of 64 by 64.
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include <dynbatch/gear_model.hpp>

#include "bare_run.hpp"
#include "model_path.hpp"
#include "paired.hpp"

namespace dynbatch::bench {
namespace {

CompiledModel gears() {
  CompiledModel told;
  for (const std::int64_t gear : kGears) told.gears.push_back({{gear}, {}, 0.0});
  return told;
}

/// The calls of a program that forms its own batches.
class GearCalls {
 public:
  explicit GearCalls(const std::string& path) : model_(path, gears()) {}
  void run(std::size_t gear) {
    const void* const inputs[] = {memory.input.data()};
    void* const outputs[] = {memory.output.data()};
    if (const Failure failure = model_.run(gear, inputs, outputs))
      throw std::runtime_error(failure.message);
  }
  void set_and_run(std::size_t gear) {
    model_.set_dynamic_batch_size(static_cast<std::size_t>(kGears[gear]));
    run(model_.chosen_gear());
  }

  Memory memory;

 private:
  GearModel model_;
};

}  // namespace

void measure_all(const PairedOptions& options) {
  const std::string path = model_path("one_gemm");
  BareRun bare(path);
  GearCalls calls(path);
  const auto set_and_run = [&](std::size_t gear) { calls.set_and_run(gear); };
  check_answers(bare, calls.memory, set_and_run);
  measure("one Gemm 64 by 64, gears 1 and 4",
          {{"set and run", gears_in_turn(set_and_run)},
           {"run", gears_in_turn([&](std::size_t gear) { calls.run(gear); })},
           {"values and Run", gears_in_turn([&](std::size_t gear) { bare.make_and_run(gear); })},
           {"bare Run", gears_in_turn([&](std::size_t gear) { bare.run(gear); })}},
          options);
}

}  // namespace dynbatch::bench

// The gear calls: what choosing a gear and running it on the caller's memory add to ONNX Runtime's own Run,
// whose values were made before. Two gears take turns. The model is the smallest of the test models, a matrix
// product of 64 by 64.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include <dynbatch/gear_model.hpp>

#include "bare_run.hpp"
#include "model_path.hpp"
#include "paired.hpp"
#include "timed_calls.hpp"

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
  for (std::size_t gear = 0; gear < kGears.size(); ++gear) {
    bare.run(gear);
    calls.set_and_run(gear);
    if (bare.memory.output != calls.memory.output)
      throw std::runtime_error("a gear and a bare Run differ in their answer to the same rows");
  }
  const auto in_turn = [](auto call) {
    return [call](double seconds) {
      std::size_t turn = 0;
      return time_calls(seconds, [&] { call(++turn % kGears.size()); });
    };
  };
  measure("one Gemm 64 by 64, gears 1 and 4",
          {{"set and run", in_turn([&](std::size_t gear) { calls.set_and_run(gear); })},
           {"run", in_turn([&](std::size_t gear) { calls.run(gear); })},
           {"values and Run", in_turn([&](std::size_t gear) { bare.make_and_run(gear); })},
           {"bare Run", in_turn([&](std::size_t gear) { bare.run(gear); })}},
          options);
}

}  // namespace dynbatch::bench

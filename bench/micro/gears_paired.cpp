// The gear calls: what choosing a gear and running it on the caller's memory add to ONNX Runtime's own Run,
// whose values were made before. Two gears take turns. The model is the smallest of the test models, a matrix
// product of 64 by 64.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include <dynbatch/gear_model.hpp>

#include "executor/ort_handles.hpp"
#include "executor/ort_session.hpp"
#include "executor/ort_values.hpp"
#include "model_path.hpp"
#include "paired.hpp"
#include "timed_calls.hpp"

namespace dynbatch::bench {
namespace {

constexpr std::array<std::int64_t, 2> kGears{1, 4};
constexpr std::int64_t kRowElements = 64;
constexpr const char* kInput = "x";
constexpr const char* kOutput = "y";

struct Memory {
  Memory() : input(kGears[1] * kRowElements), output(input.size()) {
    for (std::size_t i = 0; i < input.size(); ++i) input[i] = static_cast<float>(i % 17) / 17.0F;
  }
  std::vector<float> input;
  std::vector<float> output;
};

const std::byte* bytes_of(const std::vector<float>& values) {
  return reinterpret_cast<const std::byte*>(values.data());
}

/// A session and its Run.
class BareRun {
 public:
  explicit BareRun(const std::string& path)
      : session_(open_session(library_, {.path = path, .data = nullptr, .size = 0},
                              OnnxRuntimeOptions())) {
    for (std::size_t gear = 0; gear < kGears.size(); ++gear) {
      inputs_[gear] = value_of(gear, memory.input);
      outputs_[gear] = value_of(gear, memory.output);
    }
  }
  void run(std::size_t gear) { run(inputs_[gear].get(), outputs_[gear].get()); }
  /// As whoever gets other memory each time has to.
  void make_and_run(std::size_t gear) {
    const auto input = value_of(gear, memory.input);
    const auto output = value_of(gear, memory.output);
    run(input.get(), output.get());
  }

  Memory memory;

 private:
  using Value = ort::Handle<ort::Value>;

  Value value_of(std::size_t gear, const std::vector<float>& values) const {
    const std::array<std::int64_t, 2> dims{kGears[gear], kRowElements};
    const auto size = static_cast<std::size_t>(dims[0] * dims[1]) * sizeof(float);
    return ort::make_handle<ort::Value>(
        library_.api, library_.api.ReleaseValue, "cannot make a value", [&](ort::Value** made) {
          return make_value(library_, DataType::float32, dims, size, bytes_of(values), made);
        });
  }
  void run(ort::Value* input, ort::Value* output) {
    ort::check(library_.api,
               library_.api.Run(session_.get(), nullptr, &kInput, &input, 1, &kOutput, 1, &output),
               "bare run");
  }

  const OrtLibrary& library_ = use_ort_library({});
  ort::Handle<ort::Session> session_;
  std::array<Value, kGears.size()> inputs_;
  std::array<Value, kGears.size()> outputs_;
};

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

// ONNX Runtime's own Run of a matrix product of 64 by 64, the smallest of the test models, in two gears: what
// calls that stand on it are held against.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <dynbatch/onnxruntime_executor.hpp>

#include "executor/ort_handles.hpp"
#include "executor/ort_session.hpp"
#include "executor/ort_values.hpp"
#include "paired.hpp"
#include "timed_calls.hpp"

namespace dynbatch::bench {

inline constexpr std::array<std::int64_t, 2> kGears{1, 4};
inline constexpr std::int64_t kRowElements = 64;
inline constexpr const char* kInput = "x";
inline constexpr const char* kOutput = "y";

struct Memory {
  Memory() : input(kGears[1] * kRowElements), output(input.size()) {
    for (std::size_t i = 0; i < input.size(); ++i) input[i] = static_cast<float>(i % 17) / 17.0F;
  }
  std::vector<float> input;
  std::vector<float> output;
};

inline const std::byte* bytes_of(const std::vector<float>& values) {
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

/// Throws unless `call`, which runs a gear on that memory, answers each gear as the bare Run does.
template <class Call>
void check_answers(BareRun& bare, const Memory& memory, Call call) {
  for (std::size_t gear = 0; gear < kGears.size(); ++gear) {
    bare.run(gear);
    call(gear);
    if (bare.memory.output != memory.output)
      throw std::runtime_error("a gear and a bare Run differ in their answer to the same rows");
  }
}

/// A contender's block: calls with another gear each time.
template <class Call>
std::function<Figures(double seconds)> gears_in_turn(Call call) {
  return [call](double seconds) {
    std::size_t turn = 0;
    return time_calls(seconds, [&] { call(++turn % kGears.size()); });
  };
}

}  // namespace dynbatch::bench

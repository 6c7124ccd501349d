#include "runtime/sample_rows.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <string>

#include <dynbatch/error.hpp>

#include "batch/input_check.hpp"

namespace dynbatch {
namespace {

// The upper half of a float32 is its bfloat16.
std::uint16_t to_bfloat16(float value) noexcept {
  return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16);
}

// For the small normal numbers drawn here: rounds towards zero, and flushes what is below 2^-14.
std::uint16_t to_float16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint32_t>((bits >> 16) & 0x8000);
  const std::int32_t exponent = static_cast<std::int32_t>((bits >> 23) & 0xff) - 127 + 15;
  if (exponent <= 0) return static_cast<std::uint16_t>(sign);
  return static_cast<std::uint16_t>(sign | static_cast<std::uint32_t>(exponent) << 10 |
                                    ((bits >> 13) & 0x3ff));
}

// Elements of a tensor that are drawn; those behind repeat them. A prime, so that rows do not all start alike.
constexpr std::size_t kMostDrawn = (std::size_t{1} << 20) - 3;

template <class T>
void put(std::byte* to, T value) noexcept {
  std::memcpy(to, &value, sizeof value);
}

}  // namespace

void make_up(std::vector<std::byte>& bytes, DataType dtype, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::bernoulli_distribution coin;
  const std::size_t size = size_of(dtype);
  const std::size_t drawn = std::min(bytes.size(), kMostDrawn * size);
  for (std::size_t at = 0; at + size <= drawn; at += size) {
    std::byte* const to = bytes.data() + at;
    switch (dtype) {
      case DataType::float32: put(to, normal(random)); break;
      case DataType::float64: put(to, static_cast<double>(normal(random))); break;
      case DataType::float16: put(to, to_float16(normal(random))); break;
      case DataType::bfloat16: put(to, to_bfloat16(normal(random))); break;
      default:
        std::memset(to, 0, size);
        put(to, static_cast<std::uint8_t>(coin(random) ? 1 : 0));  // little-endian
    }
  }
  for (std::size_t at = drawn; at < bytes.size(); at += drawn)
    std::memcpy(bytes.data() + at, bytes.data(), std::min(drawn, bytes.size() - at));
}

SampleRows::SampleRows(const ModelSpec& spec, const std::vector<InputView>& examples)
    : spec_(spec), made_up_(examples.empty()) {
  std::size_t count = kSamples;
  if (!made_up_) {
    Failure failure;
    const std::optional<std::size_t> rows = check_inputs(spec, examples, failure);
    if (!rows) throw Error(ErrorCode::invalid_argument, "examples: " + failure.message);
    if (*rows == 0)
      throw Error(ErrorCode::invalid_argument, "examples: expected at least 1 row, got 0");
    count = std::min(*rows, kSamples);
  }
  std::mt19937 random(kSampleSeed);
  for (std::size_t sample = 0; sample < count; ++sample) {
    auto& row = rows_.emplace_back(spec.inputs.size());
    for (std::size_t i = 0; i < spec.inputs.size(); ++i) {
      row[i].resize(spec.inputs[i].row_bytes());
      if (made_up_) {
        make_up(row[i], spec.inputs[i].dtype, random);
      } else if (!row[i].empty()) {
        const std::size_t offset = spec.inputs[i].shared ? 0 : sample * row[i].size();
        std::memcpy(row[i].data(), static_cast<const std::byte*>(examples[i].data) + offset,
                    row[i].size());
      }
    }
  }
}

void SampleRows::write_row(TrialRun& trial, std::size_t row, std::size_t sample) const noexcept {
  const auto& values = rows_[sample % rows_.size()];
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (spec_.inputs[i].shared || values[i].empty()) continue;
    std::memcpy(trial.input_row(i, row), values[i].data(), values[i].size());
  }
}

void SampleRows::write_shared(TrialRun& trial) const noexcept {
  for (std::size_t i = 0; i < spec_.inputs.size(); ++i) {
    const auto& value = rows_.front()[i];
    if (spec_.inputs[i].shared && !value.empty())
      std::memcpy(trial.input_row(i, 0), value.data(), value.size());
  }
}

std::vector<std::vector<std::byte>> SampleRows::first_row() const {
  std::vector<std::vector<std::byte>> row = rows_.front();
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (spec_.inputs[i].shared) row[i].clear();
  }
  return row;
}

}  // namespace dynbatch

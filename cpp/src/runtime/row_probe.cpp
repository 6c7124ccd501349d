#include "runtime/row_probe.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "base/platform.hpp"

namespace dynbatch {
namespace {

constexpr Nanoseconds kBudget = 2'000'000'000;

template <class T>
double read_as(const std::byte* from) noexcept {
  T value{};
  std::memcpy(&value, from, sizeof value);
  return static_cast<double>(value);
}

double from_float16(std::uint16_t bits) noexcept {
  const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
  const int exponent = (bits >> 10) & 0x1f;
  const double fraction = bits & 0x3ff;
  if (exponent == 0x1f)
    return fraction != 0.0 ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  return sign *
         (exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(fraction + 1024.0, exponent - 25));
}

double number_at(const std::byte* from, DataType dtype) noexcept {
  switch (dtype) {
    case DataType::float32: return read_as<float>(from);
    case DataType::float64: return read_as<double>(from);
    case DataType::int8: return read_as<std::int8_t>(from);
    case DataType::uint8:
    case DataType::boolean: return read_as<std::uint8_t>(from);
    case DataType::int16: return read_as<std::int16_t>(from);
    case DataType::uint16: return read_as<std::uint16_t>(from);
    case DataType::int32: return read_as<std::int32_t>(from);
    case DataType::uint32: return read_as<std::uint32_t>(from);
    case DataType::int64: return read_as<std::int64_t>(from);
    case DataType::uint64: return read_as<std::uint64_t>(from);
    case DataType::float16: {
      std::uint16_t bits = 0;
      std::memcpy(&bits, from, sizeof bits);
      return from_float16(bits);
    }
    case DataType::bfloat16: {
      std::uint16_t bits = 0;
      std::memcpy(&bits, from, sizeof bits);
      return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
    }
  }
  return 0.0;
}

RowOutputs row_of(const TrialRun& trial, const ModelSpec& spec, std::size_t row, std::size_t rows) {
  RowOutputs outputs;
  for (std::size_t i = 0; i < spec.outputs.size(); ++i) {
    const OutputView view = trial.output(i, rows);
    const std::size_t bytes = view.size_bytes / rows;
    const auto* const data = static_cast<const std::byte*>(view.data) + row * bytes;
    outputs.bytes.emplace_back(data, data + bytes);
    outputs.shapes.emplace_back(view.shape.dims().subspan(1));
  }
  return outputs;
}

}  // namespace

void compare(const RowOutputs& alone, const RowOutputs& together, const ModelSpec& spec,
             ProbeResult& result) {
  for (std::size_t i = 0; i < spec.outputs.size(); ++i) {
    if (!(alone.shapes[i] == together.shapes[i])) {
      result.difference = std::numeric_limits<double>::infinity();
      result.bit_equal = false;
      continue;
    }
    if (alone.bytes[i] == together.bytes[i]) continue;
    result.bit_equal = false;
    result.difference = std::max(result.difference,
                                 largest_difference(alone.bytes[i].data(), together.bytes[i].data(),
                                                    alone.bytes[i].size(), spec.outputs[i].dtype));
  }
}

double largest_difference(const std::byte* a, const std::byte* b, std::size_t bytes,
                          DataType dtype) noexcept {
  const std::size_t size = size_of(dtype);
  double scale = 0.0;
  double difference = 0.0;
  for (std::size_t at = 0; at + size <= bytes; at += size) {
    const double x = number_at(a + at, dtype);
    const double y = number_at(b + at, dtype);
    if (std::isfinite(x)) scale = std::max(scale, std::abs(x));
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    const double apart = std::abs(x - y);
    difference = std::isfinite(apart) ? std::max(difference, apart)
                                      : std::numeric_limits<double>::infinity();
  }
  if (difference == 0.0) return 0.0;
  return scale > 0.0 ? difference / scale : std::numeric_limits<double>::infinity();
}

ProbeResult probe_rows(TrialRun& trial, const SampleRows& samples, const ModelSpec& spec,
                       std::size_t fixed) {
  constexpr std::size_t kRows = SampleRows::kSamples;
  ProbeResult result;
  const Nanoseconds end = StdPlatform::now() + kBudget;
  // Rows `order` first; a fixed batch is completed with sample 0.
  const auto run = [&](const std::vector<std::size_t>& order) {
    if (StdPlatform::now() > end) {
      result.obstacle = "the probe took more than 2 s";
      return false;
    }
    const std::size_t rows = fixed > 0 ? fixed : order.size();
    for (std::size_t row = 0; row < rows; ++row)
      samples.write_row(trial, row, row < order.size() ? order[row] : 0);
    const Failure failure = trial.run(rows);
    if (failure.code == ErrorCode::model) throw OutputAxisError(failure.message);
    if (failure) result.obstacle = failure.message;
    return !failure;
  };
  const std::size_t company = fixed > 0 ? std::min(fixed, kRows) : kRows;
  samples.write_shared(trial);
  std::vector<RowOutputs> alone;
  for (std::size_t sample = 0; sample < company; ++sample) {
    if (!run({sample})) return result;
    alone.push_back(row_of(trial, spec, 0, fixed > 0 ? fixed : 1));
  }
  std::vector<std::vector<std::size_t>> orders{{0, 1, 2}, {2, 1}};
  if (fixed == 2) orders = {{0, 1}, {1, 0}};
  if (fixed == 1) orders.clear();  // no row ever has company
  for (const std::vector<std::size_t>& order : orders) {
    if (!run(order)) return result;
    for (std::size_t row = 0; row < order.size(); ++row) {
      compare(alone[order[row]], row_of(trial, spec, row, fixed > 0 ? fixed : order.size()), spec,
              result);
    }
  }
  result.ran = true;
  return result;
}

}  // namespace dynbatch

// Source rows for benchmarks: distinct ones, as those of many callers are, so that a copy finds
// neither the same line in its cache each time nor more memory than callers would keep in use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include <dynbatch/tensor.hpp>

namespace dynbatch::bench {

/// Rows of float32. Each begins with a stamp of its own: `first_stamp` and the numbers after it.
class SourceRows {
 public:
  explicit SourceRows(std::size_t row_bytes, std::size_t count = 64, std::size_t first_stamp = 1)
      : row_bytes_(row_bytes) {
    const std::size_t elements = row_bytes / sizeof(float);
    rows_.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      rows_.push_back(std::make_unique_for_overwrite<float[]>(elements));
      float* const row = rows_.back().get();
      const std::size_t stamp = first_stamp + i;
      for (std::size_t at = 0; at < elements; ++at)
        row[at] = static_cast<float>((37 * stamp + at) % 200) / 100.0F - 1.0F;
      row[0] = static_cast<float>(stamp);
    }
  }
  std::size_t row_bytes() const noexcept { return row_bytes_; }
  const std::byte* row(std::size_t index) const noexcept {
    return reinterpret_cast<const std::byte*>(rows_[index].get());
  }
  const std::byte* next() noexcept {
    const std::byte* const found = row(at_);
    at_ = at_ + 1 == rows_.size() ? 0 : at_ + 1;
    return found;
  }

 private:
  std::size_t row_bytes_;
  std::size_t at_ = 0;
  std::vector<std::unique_ptr<float[]>> rows_;
};

inline float stamp_of(const void* row) noexcept {
  float stamp = 0.0F;
  std::memcpy(&stamp, row, sizeof(stamp));
  return stamp;
}

/// One row of float32.
inline InputView row_view(const std::byte* row, std::size_t row_bytes) {
  return {.data = row,
          .dtype = DataType::float32,
          .shape = Shape({1, static_cast<std::int64_t>(row_bytes / sizeof(float))})};
}

}  // namespace dynbatch::bench

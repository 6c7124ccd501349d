// Source rows for benchmarks: distinct ones, as those of many callers are, so that a copy finds
// neither the same line in its cache each time nor more memory than callers would keep in use.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace dynbatch::bench {

class SourceRows {
 public:
  explicit SourceRows(std::size_t row_bytes) : row_bytes_(row_bytes) {
    rows_.reserve(kRows);
    for (std::size_t i = 0; i < kRows; ++i) {
      rows_.push_back(std::make_unique<std::byte[]>(row_bytes));
      for (std::size_t at = 0; at < row_bytes; ++at) rows_[i][at] = static_cast<std::byte>(i + at);
    }
  }
  std::size_t row_bytes() const noexcept { return row_bytes_; }
  const std::byte* next() noexcept { return rows_[at_++ % kRows].get(); }

 private:
  static constexpr std::size_t kRows = 64;
  std::size_t row_bytes_;
  std::size_t at_ = 0;
  std::vector<std::unique_ptr<std::byte[]>> rows_;
};

}  // namespace dynbatch::bench

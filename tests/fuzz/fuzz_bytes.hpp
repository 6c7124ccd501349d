// FuzzBytes: reads a fuzz input as numbers and choices. Past its end everything reads as zero, so
// every string of bytes is an input and a mutation of it stays close to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

namespace dynbatch::testing {

class FuzzBytes {
 public:
  FuzzBytes(const std::uint8_t* data, std::size_t size) : bytes_(data, size) {}

  bool empty() const noexcept { return bytes_.empty(); }

  std::uint8_t byte() noexcept {
    if (bytes_.empty()) return 0;
    const std::uint8_t value = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return value;
  }
  /// True for one byte in `in`; past the end false.
  bool one_in(unsigned in) noexcept { return byte() % in == in - 1; }
  /// 0 to count - 1.
  std::size_t below(std::size_t count) noexcept { return byte() % count; }
  std::uint64_t word() noexcept {
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | byte();
    return value;
  }
  /// Mostly small; otherwise near a power of two, where sizes overflow, or anything.
  std::int64_t dimension() noexcept {
    const std::uint8_t kind = byte();
    if (kind < 224) return kind % 5;
    if (kind < 232) return -1;
    if (kind < 248) {
      const std::uint64_t power = std::uint64_t{1} << (byte() % 64);
      return static_cast<std::int64_t>(power + byte() % 3 - 1);
    }
    return static_cast<std::int64_t>(word());
  }
  /// As dimension(), without a sign.
  std::size_t size() noexcept { return static_cast<std::size_t>(dimension()); }
  double real() noexcept {
    const std::uint64_t bits = word();
    double value = 0.0;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
  /// One of few names, so that they meet.
  std::string name() {
    static constexpr const char* kNames[] = {"x", "y", "batch", "height", "?", ""};
    return kNames[below(std::size(kNames))];
  }
  std::span<const std::uint8_t> rest() noexcept {
    const auto all = bytes_;
    bytes_ = {};
    return all;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

}  // namespace dynbatch::testing

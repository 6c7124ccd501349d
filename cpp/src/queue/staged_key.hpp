// StagedKey: what the staged queue must know of a request: the sizes of its free dimensions, what it must
// share with others to run together, and its bytes. It lies in the request.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <dynbatch/tensor.hpp>

namespace dynbatch {

struct StagedKey {
  using Sizes = std::array<std::int64_t, ModelSpec::kMaxDimensions>;

  Sizes sizes{};            // of the free dimensions
  Sizes equal{};            // those that a batch has in common; 0 for padded ones
  std::uint64_t ranks = 0;  // of ragged inputs, four bits each: batch inputs tell all items alike
  std::uint32_t most_rows =
      0;  // of a batch, where its gear has a batch size of its own; 0: no such
  const void* shared =
      nullptr;  // its shared inputs, kept once for all requests that have the same ones
  std::size_t row_bytes = 0;   // of one row in all inputs that callers give
  std::size_t head_bytes = 0;  // of a payload, beside its rows

  std::size_t payload_bytes(std::size_t rows) const noexcept {
    return head_bytes + rows * row_bytes;
  }
  bool may_join(const StagedKey& other) const noexcept {
    return shared == other.shared && equal == other.equal && ranks == other.ranks;
  }
  /// Of what may_join() compares (FNV-1a over words).
  std::uint64_t hash() const noexcept {
    std::uint64_t hash = 0xcbf29ce484222325u;
    const auto mix = [&hash](std::uint64_t word) { hash = (hash ^ word) * 0x100000001b3u; };
    for (const std::int64_t size : equal) mix(static_cast<std::uint64_t>(size));
    mix(ranks);
    mix(reinterpret_cast<std::uintptr_t>(shared));
    return hash ^ (hash >> 32);
  }
};

}  // namespace dynbatch

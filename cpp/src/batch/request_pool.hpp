// RequestPool: recycled requests, so that a request costs no allocation after warm-up.
//
// A lock-free stack of indices with a tag against reuse. It grows under a lock by chunks, each twice as
// large as the one before, so that a small pool is small and an index finds its chunk by arithmetic.
// Any thread may call anything.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "base/mutant.hpp"
#include "base/platform.hpp"

namespace dynbatch {

template <class P, class T>
class RequestPool {
 public:
  /// An object, with its `index` set; null only if memory is exhausted.
  T* acquire() noexcept {
    for (;;) {
      // acquire: pairs with release: publishes the next index that was written there.
      std::uint64_t head = head_.load(std::memory_order_acquire);
      while (index_of(head) != kEmpty) {
        // relaxed: of use only if the exchange finds the tag unchanged.
        const std::uint32_t next = node(index_of(head)).next.load(std::memory_order_relaxed);
        // acquire: pairs with release: publishes what the last owner left.
        if (head_.compare_exchange_weak(head, tagged(head, next), std::memory_order_acquire,
                                        std::memory_order_acquire)) {
          return &node(index_of(head)).value;
        }
      }
      if (!grow()) return nullptr;
    }
  }

  /// Takes the object back; false once the pool is closed. The pool is not touched after that, so
  /// whoever counts the objects that come back late may free it.
  bool release(T& object) noexcept { return push(object.index, object.index); }

  /// Ends the pool: later releases return false. Returns how many objects are still out.
  std::size_t close() noexcept {
    // seq_cst: pairs with push: one point in time divides the releases before from those after.
    std::uint64_t head = head_.load(std::memory_order_seq_cst);
    while (!head_.compare_exchange_weak(head, tagged(head, kClosed), std::memory_order_seq_cst,
                                        std::memory_order_seq_cst)) {
    }
    std::size_t free = 0;
    for (std::uint32_t index = index_of(head); index != kEmpty; ++free) {
      index = node(index).next.load(std::memory_order_relaxed);  // relaxed: the chain is ours
    }
    return size() - free;
  }

  std::size_t size() const noexcept {
    const std::lock_guard lock(mutex_);
    return first_of(chunk_count_);
  }

 private:
  static constexpr std::uint32_t kEmpty = UINT32_MAX;
  static constexpr std::uint32_t kClosed = UINT32_MAX - 1;
  static constexpr std::size_t kFirstChunk = 64;
  static constexpr std::size_t kMaxChunks = 16;  // four million requests

  struct Node {
    T value;
    typename P::template atomic<std::uint32_t> next{kEmpty};
  };
  static std::uint32_t index_of(std::uint64_t head) noexcept {
    return static_cast<std::uint32_t>(head);
  }
  static std::uint64_t tagged(std::uint64_t old, std::uint32_t index) noexcept {
    return ((old >> 32) + (DYNBATCH_MUTANT(pool_without_tag) ? 0 : 1)) << 32 | index;
  }
  /// The index of a chunk's first object.
  static std::size_t first_of(std::size_t chunk) noexcept {
    return kFirstChunk * ((std::size_t{1} << chunk) - 1);
  }
  Node& node(std::uint32_t index) const noexcept {
    const auto chunk = static_cast<std::size_t>(std::bit_width(index / kFirstChunk + 1) - 1);
    // A chunk is stored before any index into it is pushed.
    return chunks_[chunk][index - first_of(chunk)];
  }

  bool push(std::uint32_t first, std::uint32_t last) noexcept {
    // acquire: pairs with close: after it, the object is counted by somebody else.
    std::uint64_t head = head_.load(std::memory_order_acquire);
    do {
      if (index_of(head) == kClosed) return false;
      node(last).next.store(index_of(head), std::memory_order_relaxed);  // relaxed: pushed below
      // release: pairs with acquire: publishes the objects and their chain.
    } while (!head_.compare_exchange_weak(
        head, tagged(head, first),
        DYNBATCH_MUTANT(relaxed_pool) ? std::memory_order_relaxed : std::memory_order_release,
        std::memory_order_acquire));
    return true;
  }

  bool grow() noexcept {
    const std::lock_guard lock(mutex_);
    // relaxed: another thread may have grown the pool meanwhile; a hint.
    if (index_of(head_.load(std::memory_order_relaxed)) != kEmpty) return true;
    if (chunk_count_ == kMaxChunks) return false;
    const auto base = static_cast<std::uint32_t>(first_of(chunk_count_));
    const auto end = static_cast<std::uint32_t>(first_of(chunk_count_ + 1));
    std::unique_ptr<Node[]> chunk(new (std::nothrow) Node[end - base]);
    if (!chunk) return false;
    for (std::uint32_t index = base; index < end; ++index) {
      chunk[index - base].value.index = index;
      // relaxed: pushed below.
      chunk[index - base].next.store(index + 1 < end ? index + 1 : kEmpty,
                                     std::memory_order_relaxed);
    }
    chunks_[chunk_count_++] = std::move(chunk);
    push(base, end - 1);
    return true;
  }

  alignas(kCacheLine) typename P::template atomic<std::uint64_t> head_{kEmpty};
  alignas(kCacheLine) mutable typename P::Mutex mutex_;
  std::size_t chunk_count_ = 0;  // under mutex_
  std::array<std::unique_ptr<Node[]>, kMaxChunks> chunks_;
};

}  // namespace dynbatch

// The lock-free list behind a CompletionPort: any thread adds, one thread takes all.
#pragma once

#include <cstdint>

#include <dynbatch/completion_port.hpp>

#include "base/eventfd.hpp"
#include "base/platform.hpp"

namespace dynbatch {

/// Something to announce at a port. `release` is called once, by the thread that takes it.
struct PortEntry {
  PortEntry* next_entry = nullptr;
  void* context = nullptr;
  void (*release)(PortEntry* entry) noexcept = nullptr;
};

struct CompletionPort::Implementation {
  static constexpr std::uint32_t kGoing = 1u << 31;

  StdPlatform::atomic<PortEntry*> head{nullptr};
  // Threads inside add(), and kGoing once the port is about to be destroyed.
  StdPlatform::Word adders{0};
  EventFd event;

  Implementation() = default;
  Implementation(const Implementation&) = delete;
  Implementation& operator=(const Implementation&) = delete;
  /// What is added may be drained before its adder has signalled; that adder is waited for.
  ~Implementation() {
    // acquire: pairs with add: the port is no longer used after what is seen here.
    std::uint32_t left = adders.fetch_or(kGoing, std::memory_order_acquire) | kGoing;
    while (left != kGoing) {
      StdPlatform::park(adders, left, kNever);
      // acquire: pairs with add, as above.
      left = adders.load(std::memory_order_acquire);
    }
  }

  /// Adds the chain from `first` to `last`, newest first; the reader is woken if the list was empty.
  void add(PortEntry* first, PortEntry* last) noexcept {
    // relaxed: published by the exchange below, without which nobody may destroy the port.
    adders.fetch_add(1, std::memory_order_relaxed);
    // relaxed: the exchange below checks it.
    PortEntry* old = head.load(std::memory_order_relaxed);
    do {
      last->next_entry = old;
      // release: pairs with drain: publishes the entries and what they announce.
    } while (!head.compare_exchange_weak(old, first, std::memory_order_release,
                                         std::memory_order_relaxed));
    if (old == nullptr) event.signal();
    // release: pairs with the destructor: the port may be gone after this, so only its address is
    // used; a stale wake-up is harmless.
    if ((adders.fetch_sub(1, std::memory_order_release) & kGoing) != 0) {
      StdPlatform::wake(adders, 1);
    }
  }
};

}  // namespace dynbatch

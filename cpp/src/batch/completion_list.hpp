// The lock-free list behind a CompletionPort: any thread adds, one thread takes all.
#pragma once

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
  StdPlatform::atomic<PortEntry*> head{nullptr};
  EventFd event;

  /// Adds the chain from `first` to `last`, newest first; the reader is woken if the list was empty.
  void add(PortEntry* first, PortEntry* last) noexcept {
    // relaxed: the exchange below checks it.
    PortEntry* old = head.load(std::memory_order_relaxed);
    do {
      last->next_entry = old;
      // release: pairs with drain: publishes the entries and what they announce.
    } while (!head.compare_exchange_weak(old, first, std::memory_order_release,
                                         std::memory_order_relaxed));
    if (old == nullptr) event.signal();
  }
};

}  // namespace dynbatch

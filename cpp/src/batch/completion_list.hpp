// The lock-free list behind a CompletionPort: any thread adds, one thread takes all.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <dynbatch/completion_port.hpp>

#include "base/mutant.hpp"
#include "base/platform.hpp"

namespace dynbatch {

/// Something to announce at a port. `release` is called once, by the thread that takes it.
struct PortEntry {
  PortEntry* next_entry = nullptr;
  void* context = nullptr;
  void (*release)(PortEntry* entry) noexcept = nullptr;
};

template <class P>
class CompletionList {
 public:
  CompletionList() = default;
  CompletionList(const CompletionList&) = delete;
  CompletionList& operator=(const CompletionList&) = delete;
  /// What is added may be drained before its adder has signalled; that adder is waited for.
  ~CompletionList();

  /// Adds the chain from `first` to `last`, newest first; the reader is woken if the list was empty.
  void add(PortEntry* first, PortEntry* last) noexcept;
  /// See CompletionPort::drain.
  void drain(std::vector<void*>& contexts);
  /// Readable from the first entry until the drain.
  typename P::Event& event() noexcept { return event_; }

 private:
  static constexpr std::uint32_t kGoing = 1u << 31;

  PortEntry* take_all() noexcept {
    // acquire: pairs with add: publishes the entries and what they announce.
    return head_.exchange(nullptr, std::memory_order_acquire);
  }

  typename P::template atomic<PortEntry*> head_{nullptr};
  // Threads inside add(), and kGoing once the list is about to be destroyed.
  typename P::Word adders_{0};
  typename P::Event event_;
};

/// The list of a port as it is used; model tests have one of their own platform.
struct CompletionPort::Implementation : CompletionList<StdPlatform> {};

template <class P>
CompletionList<P>::~CompletionList() {
  if (DYNBATCH_MUTANT(forgets_adders)) return;
  // acquire: pairs with add: the list is no longer used after what is seen here.
  std::uint32_t left = adders_.fetch_or(kGoing, std::memory_order_acquire) | kGoing;
  while (left != kGoing) {
    P::park(adders_, left, kNever);
    // acquire: pairs with add, as above.
    left = adders_.load(std::memory_order_acquire);
  }
}

template <class P>
void CompletionList<P>::add(PortEntry* first, PortEntry* last) noexcept {
  // relaxed: published by the exchange below, without which nobody may destroy the list.
  adders_.fetch_add(1, std::memory_order_relaxed);
  // relaxed: the exchange below checks it.
  PortEntry* old = head_.load(std::memory_order_relaxed);
  do {
    last->next_entry = old;
    // release: pairs with take_all: publishes the entries and what they announce.
  } while (!head_.compare_exchange_weak(old, first, std::memory_order_release,
                                        std::memory_order_relaxed));
  if (old == nullptr) event_.signal();
  // release: pairs with the destructor: the list may be gone after this, so only its address is
  // used; a stale wake-up is harmless.
  if ((adders_.fetch_sub(1, std::memory_order_release) & kGoing) != 0) P::wake(adders_, 1);
}

template <class P>
void CompletionList<P>::drain(std::vector<void*>& contexts) {
  contexts.clear();
  PortEntry* entry = nullptr;
  if (DYNBATCH_MUTANT(clears_after_taking)) entry = take_all();
  event_.clear();  // before the list is taken: what comes later signals again
  if (!DYNBATCH_MUTANT(clears_after_taking)) entry = take_all();
  while (entry != nullptr) {
    PortEntry* const next = entry->next_entry;
    contexts.push_back(entry->context);
    entry->release(entry);
    entry = next;
  }
  std::reverse(contexts.begin(), contexts.end());
}

}  // namespace dynbatch

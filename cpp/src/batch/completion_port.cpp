#include <dynbatch/completion_port.hpp>

#include <algorithm>

#include "batch/completion_list.hpp"

namespace dynbatch {

CompletionPort::CompletionPort() : implementation_(std::make_unique<Implementation>()) {}

CompletionPort::~CompletionPort() = default;

int CompletionPort::fd() const noexcept { return implementation_->event.fd(); }

void CompletionPort::wait() noexcept { implementation_->event.wait(); }

void CompletionPort::wake() noexcept { implementation_->event.signal(); }

void CompletionPort::drain(std::vector<void*>& contexts) {
  contexts.clear();
  implementation_->event.clear();  // before the list is taken: what comes later signals again
  // acquire: pairs with add: publishes the entries and what they announce.
  PortEntry* entry = implementation_->head.exchange(nullptr, std::memory_order_acquire);
  while (entry != nullptr) {
    PortEntry* const next = entry->next_entry;
    contexts.push_back(entry->context);
    entry->release(entry);
    entry = next;
  }
  std::reverse(contexts.begin(), contexts.end());
}

}  // namespace dynbatch

// Shared inputs: the bytes of inputs without a batch axis, kept once for all requests that have the
// same ones. The address of an entry is the batch key of its requests.
//
// Thread-safe by its own lock, which models without shared inputs never touch.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <vector>

#include <dynbatch/tensor.hpp>

#include "base/platform.hpp"

namespace dynbatch {

template <class P>
class SharedInputs {
 public:
  struct Entry {
    std::vector<std::vector<std::byte>> tensors;  // by input; empty for batched ones
    std::size_t references = 0;                   // under the lock
  };

  /// The entry with the bytes of `inputs`, made if there is none; held until release(). Throws
  /// std::bad_alloc.
  Entry* acquire(const std::vector<TensorSpec>& specs, std::span<const InputView> inputs) {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = entries_.size(); i-- > 0;) {  // the newest key is the likeliest
      if (!equal(*entries_[i], specs, inputs)) continue;
      ++entries_[i]->references;
      return entries_[i].get();
    }
    auto entry = std::make_unique<Entry>();
    entry->tensors.resize(specs.size());
    for (std::size_t i = 0; i < specs.size(); ++i) {
      if (!specs[i].shared) continue;
      const auto* const bytes = static_cast<const std::byte*>(inputs[i].data);
      // 64 bytes at least, so that an empty tensor has an address too.
      entry->tensors[i].resize(specs[i].row_bytes() < 64 ? 64 : specs[i].row_bytes());
      if (specs[i].row_bytes() > 0)
        std::memcpy(entry->tensors[i].data(), bytes, specs[i].row_bytes());
    }
    entry->references = 1;
    entries_.push_back(std::move(entry));
    return entries_.back().get();
  }

  void release(Entry* entry) noexcept {
    const std::lock_guard lock(mutex_);
    if (--entry->references > 0) return;
    std::erase_if(entries_, [entry](const auto& held) { return held.get() == entry; });
  }

  std::size_t size() const noexcept {
    const std::lock_guard lock(mutex_);
    return entries_.size();
  }

 private:
  static bool equal(const Entry& entry, const std::vector<TensorSpec>& specs,
                    std::span<const InputView> inputs) noexcept {
    for (std::size_t i = 0; i < specs.size(); ++i) {
      if (specs[i].shared && specs[i].row_bytes() > 0 &&
          std::memcmp(entry.tensors[i].data(), inputs[i].data, specs[i].row_bytes()) != 0) {
        return false;
      }
    }
    return true;
  }

  mutable typename P::Mutex mutex_;
  std::vector<std::unique_ptr<Entry>> entries_;  // under mutex_; as many as keys are in flight
};

}  // namespace dynbatch

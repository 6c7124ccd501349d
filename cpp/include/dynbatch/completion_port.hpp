// CompletionPort: where finished requests are announced to an event loop or a callback thread.
//
// Any thread delivers, one thread at a time drains. Finished requests gather in a lock-free list;
// the file descriptor becomes readable when the list turns from empty to filled, so a whole batch
// costs the loop one wake-up.
#pragma once

#include <memory>
#include <vector>

#include <dynbatch/export.hpp>

namespace dynbatch {

class DYNBATCH_EXPORT CompletionPort {
 public:
  /// Throws Error(model) if the system has no descriptor to give.
  CompletionPort();
  CompletionPort(const CompletionPort&) = delete;
  CompletionPort& operator=(const CompletionPort&) = delete;
  /// Nothing may be in flight towards the port any more: all of it has been drained.
  ~CompletionPort();

  /// Readable while something is to be drained; for epoll, select or an asyncio loop.
  int fd() const noexcept;
  /// Blocks until something is to be drained or wake() is called.
  void wait() noexcept;
  /// Ends one wait(); any thread.
  void wake() noexcept;
  /// Moves the contexts of what has finished since the last call to `contexts`, in the order of
  /// completion; clears the descriptor.
  void drain(std::vector<void*>& contexts);

  struct Implementation;
  Implementation& implementation() noexcept { return *implementation_; }

 private:
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace dynbatch

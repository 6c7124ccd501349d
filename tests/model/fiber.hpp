// Fiber: a thread of control of a model test, on a stack of its own, inside one real thread.
//
// Switching is explicit and costs less than a microsecond. A fiber that is left for good is never
// unwound: its stack may be used again, and what lived there leaks.
#pragma once

#include <pthread.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace dynbatch::testing {

class Fiber {
 public:
  using Entry = void (*)(void* argument);

  /// The thread of control that is here already.
  Fiber() noexcept {
    pthread_attr_t attributes;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &stack_, &stack_bytes_);
    pthread_attr_destroy(&attributes);
  }
  /// One that start() begins.
  explicit Fiber(std::size_t stack_bytes) : stack_bytes_(stack_bytes), owned_(true) {
    stack_ = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack_ == MAP_FAILED) std::abort();
  }
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  ~Fiber() {
    if (owned_) munmap(stack_, stack_bytes_);
  }

  /// Has the next switch to this fiber call entry(argument), which must not return.
  void start(Entry entry, void* argument) noexcept {
    entry_ = entry;
    argument_ = argument;
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(stack_, stack_bytes_);
#endif
    getcontext(&context_);
    context_.uc_stack.ss_sp = stack_;
    context_.uc_stack.ss_size = stack_bytes_;
    context_.uc_link = nullptr;
    const auto self = reinterpret_cast<std::uintptr_t>(this);
    makecontext(&context_, reinterpret_cast<void (*)()>(&Fiber::enter), 2,
                static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
  }

  /// Goes on with `to`; returns when somebody switches back. `for_good`: nobody will.
  void switch_to(Fiber& to, bool for_good = false) noexcept {
    begin_switch(to, for_good);
    swapcontext(&context_, &to.context_);
    end_switch();
  }

 private:
  static void enter(unsigned high, unsigned low) noexcept {
    auto* const self =
        reinterpret_cast<Fiber*>(static_cast<std::uintptr_t>(high) << 32 | std::uintptr_t{low});
    self->fake_stack_ = nullptr;
    self->end_switch();
    self->entry_(self->argument_);
    std::abort();
  }
#if defined(__SANITIZE_ADDRESS__)
  void begin_switch(const Fiber& to, bool for_good) noexcept {
    __sanitizer_start_switch_fiber(for_good ? nullptr : &fake_stack_, to.stack_, to.stack_bytes_);
  }
  void end_switch() noexcept { __sanitizer_finish_switch_fiber(fake_stack_, nullptr, nullptr); }
#else
  void begin_switch(const Fiber&, bool) noexcept {}
  void end_switch() noexcept {}
#endif

  ucontext_t context_{};
  void* stack_ = nullptr;
  std::size_t stack_bytes_ = 0;
  bool owned_ = false;
  Entry entry_ = nullptr;
  void* argument_ = nullptr;
  void* fake_stack_ = nullptr;  // AddressSanitizer's, of a fiber that waits
};

}  // namespace dynbatch::testing

#include "base/fork_guard.hpp"

#include <pthread.h>

#include <atomic>

namespace dynbatch {
namespace {

std::atomic<std::uint32_t> generation{0};

}  // namespace

std::uint32_t fork_generation() noexcept {
  static const bool installed = [] {
    pthread_atfork(nullptr, nullptr, [] { generation.fetch_add(1, std::memory_order_relaxed); });
    return true;
  }();
  static_cast<void>(installed);
  return generation.load(std::memory_order_relaxed);
}

}  // namespace dynbatch

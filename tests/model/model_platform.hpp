// ModelPlatform: StdPlatform's interface, for the threads of a Schedule. Each operation is a step at
// which other threads may go on. Outside of a schedule's threads it is plain memory.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "base/platform.hpp"
#include "model/schedule.hpp"

namespace dynbatch::testing {

template <class T>
class ModelAtomic {
 public:
  ModelAtomic(T value = T{}) noexcept {
    cell_.bits = to_bits(value);
    if (Schedule* const schedule = Schedule::current()) cell_.place = schedule->new_place();
  }
  ModelAtomic(const ModelAtomic&) = delete;
  ModelAtomic& operator=(const ModelAtomic&) = delete;
  ~ModelAtomic() {
    if (Schedule* const schedule = Schedule::current()) schedule->end_cell(cell_);
  }

  T load(std::memory_order) const noexcept {
    Schedule* const schedule = Schedule::current();
    return from_bits(schedule == nullptr ? cell_.bits : schedule->load(cell_));
  }
  void store(T value, std::memory_order order) noexcept {
    if (Schedule* const schedule = Schedule::current())
      schedule->store(cell_, to_bits(value), order == std::memory_order_seq_cst);
    else
      cell_.bits = to_bits(value);
  }
  T exchange(T value, std::memory_order order) noexcept {
    return update(order, [value](T) { return value; });
  }
  T fetch_add(T by, std::memory_order order) noexcept {
    return update(order, [by](T old) { return static_cast<T>(old + by); });
  }
  T fetch_sub(T by, std::memory_order order) noexcept {
    return update(order, [by](T old) { return static_cast<T>(old - by); });
  }
  T fetch_or(T bits, std::memory_order order) noexcept {
    return update(order, [bits](T old) { return static_cast<T>(old | bits); });
  }
  T fetch_and(T bits, std::memory_order order) noexcept {
    return update(order, [bits](T old) { return static_cast<T>(old & bits); });
  }
  bool compare_exchange_strong(T& expected, T desired, std::memory_order order,
                               std::memory_order) noexcept {
    const bool seq_cst = order == std::memory_order_seq_cst;
    Schedule* const schedule = Schedule::current();
    const std::uint64_t old =
        schedule == nullptr ? cell_.bits : schedule->begin_update(cell_, seq_cst);
    if (old != to_bits(expected)) {
      expected = from_bits(old);
      return false;
    }
    if (schedule == nullptr)
      cell_.bits = to_bits(desired);
    else
      schedule->end_update(cell_, to_bits(desired), seq_cst);
    return true;
  }
  /// Never fails for no reason: a retry adds nothing but steps.
  bool compare_exchange_weak(T& expected, T desired, std::memory_order order,
                             std::memory_order failure) noexcept {
    return compare_exchange_strong(expected, desired, order, failure);
  }

  const Cell& cell() const noexcept { return cell_; }

 private:
  static_assert(sizeof(T) <= sizeof(std::uint64_t) && std::is_trivially_copyable_v<T>);
  // Statistics: nothing is decided by them, and nothing is published.
  static constexpr bool kCounts = std::is_same_v<T, std::uint64_t>;

  template <class Change>
  T update(std::memory_order order, Change&& change) noexcept {
    Schedule* const schedule = Schedule::current();
    if (schedule == nullptr || (kCounts && order == std::memory_order_relaxed)) {
      const T old = from_bits(cell_.bits);
      cell_.bits = to_bits(change(old));
      return old;
    }
    const bool seq_cst = order == std::memory_order_seq_cst;
    const T old = from_bits(schedule->begin_update(cell_, seq_cst));
    schedule->end_update(cell_, to_bits(change(old)), seq_cst);
    return old;
  }
  static std::uint64_t to_bits(T value) noexcept {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    return bits;
  }
  static T from_bits(std::uint64_t bits) noexcept {
    T value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }

  Cell cell_;
};

class ModelMutex {
 public:
  ModelMutex() noexcept {
    if (Schedule* const schedule = Schedule::current()) schedule->new_mutex(state_);
  }
  ModelMutex(const ModelMutex&) = delete;
  ModelMutex& operator=(const ModelMutex&) = delete;
  ~ModelMutex() {
    if (Schedule* const schedule = Schedule::current()) schedule->end_place(state_.place);
  }
  void lock() noexcept {
    if (Schedule* const schedule = Schedule::current()) schedule->lock(state_);
  }
  void unlock() noexcept {
    if (Schedule* const schedule = Schedule::current()) schedule->unlock(state_);
  }

 private:
  ModelMutexState state_;
};

/// A descriptor, each call to which is one system call.
class ModelEvent {
 public:
  void signal() noexcept;
  void clear() noexcept { raised_.exchange(0, std::memory_order_seq_cst); }
  void wait() noexcept;

 private:
  ModelAtomic<std::uint32_t> raised_{0};
};

struct ModelPlatform {
  template <class T>
  using atomic = ModelAtomic<T>;
  using Mutex = ModelMutex;
  using Word = ModelAtomic<std::uint32_t>;
  using Event = ModelEvent;

  template <class T, class Tag>
  static T& local() noexcept {
    static constexpr char kTag{};
    return Schedule::current()->locals().template get<T>(&kTag);
  }
  static void pause() noexcept { Schedule::current()->pause(); }
  static void park(const Word& word, std::uint32_t expected, Nanoseconds deadline) noexcept {
    Schedule::current()->park(word.cell(), expected, deadline);
  }
  static void wake(const Word& word, int count) noexcept {
    Schedule::current()->wake(word.cell(), count);
  }
  static Nanoseconds now() noexcept { return Schedule::current()->now(); }
};

inline void ModelEvent::signal() noexcept {
  raised_.exchange(1, std::memory_order_seq_cst);
  ModelPlatform::wake(raised_, INT32_MAX);
}

inline void ModelEvent::wait() noexcept {
  while (raised_.load(std::memory_order_acquire) == 0) ModelPlatform::park(raised_, 0, kNever);
}

}  // namespace dynbatch::testing

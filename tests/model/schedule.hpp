// Schedule: one deterministic run of a few threads, which share a real thread and change at the steps
// of ModelPlatform only: atomic operations, locks, parks. Whatever could go either way is asked of
// Choices, so that all schedules up to a bound can be gone through.
//
// Free choices: which thread goes on when one has parked, waits for a lock or has ended. Each of these
// costs one of the bound: a switch away from a thread that could go on; time that passes up to the next
// deadline while somebody could run; a store that stays unseen; a park that ends for no reason, at once
// or when another thread cannot go on.
//
// Memory is that of a machine with store buffers (TSO), with read-modify-writes that are weaker than
// seq_cst buffered, too. A store weaker than seq_cst is seen at once, or not before its thread's next
// seq_cst write, lock, unlock, park or wake, or until another thread writes the same place. So
// store-load pairs that need seq_cst are found. What is not modelled: loads among each other, and
// stores among each other, keep their order, and plain memory is always seen. ThreadSanitizer judges
// those.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/platform.hpp"
#include "model/choices.hpp"
#include "model/fiber.hpp"
#include "model/footprints.hpp"
#include "model/model_thread.hpp"

namespace dynbatch::testing {

/// A lock of the model.
struct ModelMutexState {
  const ModelThread* owner = nullptr;
  Footprints::PlaceId place = Footprints::kNoPlace;
  std::uint64_t bit = 0;  // in sets of locks; 0 if there are too many
};

class Schedule {
 public:
  using Body = std::function<void()>;

  Schedule(Choices& choices, Footprints& footprints);
  Schedule(const Schedule&) = delete;
  Schedule& operator=(const Schedule&) = delete;
  ~Schedule();
  /// The one under way; null outside.
  static Schedule* current() noexcept { return current_; }

  // What is to be run; said once, before run().
  /// A thread that must come to its end.
  void thread(std::string name, Body body) { add(std::move(name), std::move(body), false); }
  /// One that may be parked when everything is at rest.
  void daemon(std::string name, Body body) { add(std::move(name), std::move(body), true); }
  /// The daemons that there are now have parked by themselves before the search begins.
  void settle_daemons() noexcept { settled_ = threads_.size(); }
  /// A check, once nobody can run any more.
  void at_rest(Body check) { at_rest_ = std::move(check); }
  /// Has the daemons leave; run after at_rest as a thread of its own, without choices.
  void dismiss(Body body) { dismiss_ = std::move(body); }
  /// A check, after the last thread has ended.
  void at_end(Body check) { at_end_ = std::move(check); }
  /// No deadline comes: whoever needs one to go on is stuck.
  void stop_clock() noexcept { clock_stands_ = true; }

  void run();
  /// The schedule is a counterexample. Does not return to a thread of the model.
  void fail(const std::string& why);
  void expect(bool condition, const char* what) {
    if (!condition) fail(std::string("expected ") + what);
  }
  bool failed() const noexcept { return !failure_.empty(); }
  /// Why it failed, and what each thread was doing.
  const std::string& failure() const noexcept { return failure_; }
  std::uint64_t steps() const noexcept { return step_; }
  std::string choices() const { return choices_.text(); }

  // For ModelPlatform.
  Footprints::PlaceId new_place() noexcept;
  /// What was there is gone: any later access but a wake-up is a fault.
  void end_place(Footprints::PlaceId place) noexcept;
  void end_cell(const Cell& cell) noexcept;
  void new_mutex(ModelMutexState& mutex) noexcept;
  std::uint64_t load(const Cell& cell);
  void store(Cell& cell, std::uint64_t bits, bool seq_cst);
  /// The value of which end_update() writes the successor, with nobody in between.
  std::uint64_t begin_update(Cell& cell, bool seq_cst);
  void end_update(Cell& cell, std::uint64_t bits, bool seq_cst);
  void lock(ModelMutexState& mutex);
  void unlock(ModelMutexState& mutex);
  void park(const Cell& word, std::uint64_t expected, Nanoseconds deadline);
  void wake(const Cell& word, int count);
  /// Lets others go on; time passes if there is nobody else, or at the cost of one.
  void pause();
  /// Parks until then: a thread that comes at a time.
  void sleep_until(Nanoseconds time) {
    const Cell nothing;
    while (now_ < time) park(nothing, 0, time);
  }
  /// A place at which others may go on, in what the test itself does.
  void step() {
    if (me_ != nullptr) point(true);
  }
  Nanoseconds now() const noexcept { return now_; }
  Locals& locals() noexcept { return me_ == nullptr ? locals_ : me_->locals; }

 private:
  using State = ModelThread::State;
  enum class Phase : std::uint8_t { built, settled, explored, checked, dismissed, over };

  void add(std::string name, Body body, bool daemon);
  void run_daemons_alone();
  static void enter(void* thread);

  void touch(Footprints::PlaceId place);
  bool matters(Footprints::PlaceId place, bool writes) noexcept;
  void point(bool matters);
  void block();
  void go_on_with(ModelThread& thread, bool for_good = false);
  void back_to_main(bool for_good);
  void carry_out(const Option& option);
  void add_others(std::uint8_t cost);
  void add_time(std::uint8_t cost, bool with_me);
  Nanoseconds next_deadline() const noexcept;
  void add_spurious();
  bool wakes_at_once();
  void pass_time(Nanoseconds to) noexcept;

  bool stays_unseen(bool matters);
  void drain();
  void drain_others(const Cell& cell) noexcept;
  void run_until_quiet(ModelThread& first);
  std::string describe() const;

  static Schedule* current_;

  Choices& choices_;
  Footprints& footprints_;
  std::vector<std::unique_ptr<ModelThread>> threads_;
  Body at_rest_;
  Body dismiss_;
  Body at_end_;
  Phase phase_ = Phase::built;
  ModelThread* me_ = nullptr;  // null: the test itself
  std::uint64_t step_ = 0;
  Nanoseconds now_ = 1'000;
  bool clock_stands_ = false;
  std::size_t settled_ = 0;  // of the first so many threads, those that are daemons
  std::uint32_t places_ = 0;
  std::vector<bool> gone_;  // by place
  std::uint32_t mutexes_ = 0;
  std::vector<Option> options_;  // of the choice at hand
  Locals locals_;                // of the test itself
  std::string failure_;
};

}  // namespace dynbatch::testing

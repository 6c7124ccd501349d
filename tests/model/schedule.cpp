#include "model/schedule.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace dynbatch::testing {
namespace {

constexpr std::size_t kStackBytes = std::size_t{256} << 10;
// A schedule of a sound protocol takes some hundred steps.
constexpr std::uint64_t kMostSteps = 20'000;
constexpr Nanoseconds kPause = 1'000;

Fiber& main_fiber() {
  static Fiber fiber;
  return fiber;
}

/// Stacks are kept from schedule to schedule.
Fiber& pooled_fiber(std::size_t index) {
  static std::vector<std::unique_ptr<Fiber>> pool;
  while (pool.size() <= index) pool.push_back(std::make_unique<Fiber>(kStackBytes));
  return *pool[index];
}

}  // namespace

Schedule* Schedule::current_ = nullptr;

Schedule::Schedule(Choices& choices, Footprints& footprints)
    : choices_(choices), footprints_(footprints) {
  current_ = this;
}

Schedule::~Schedule() {
  if (failed()) {
    // Threads stand in the middle of what they did, so what they share is left as it is.
    new auto(std::move(threads_));
    new auto(std::move(at_rest_));
    new auto(std::move(dismiss_));
    new auto(std::move(at_end_));
  }
  phase_ = Phase::over;
  threads_.clear();
  at_rest_ = dismiss_ = at_end_ = Body();
  current_ = nullptr;
}

void Schedule::add(std::string name, Body body, bool daemon) {
  auto thread = std::make_unique<ModelThread>();
  thread->index = static_cast<unsigned>(threads_.size());
  thread->name = std::move(name);
  thread->body = std::move(body);
  thread->daemon = daemon;
  pooled_fiber(thread->index).start(&Schedule::enter, thread.get());
  threads_.push_back(std::move(thread));
}

void Schedule::enter(void* thread) {
  auto& me = *static_cast<ModelThread*>(thread);
  me.body();
  current_->drain();
  me.state = State::finished;
  current_->block();
}

void Schedule::run() {
  run_daemons_alone();
  phase_ = Phase::explored;
  options_.clear();
  for (const auto& thread : threads_) {
    if (thread->state != State::runnable) continue;
    options_.push_back(
        {.kind = Option::Kind::run, .thread = static_cast<std::uint8_t>(thread->index)});
  }
  run_until_quiet(*threads_[choices_.choose(++step_, options_).thread]);
  if (failed()) return;
  const auto is_stuck = [](const auto& thread) {
    return thread->state != State::finished && !(thread->daemon && thread->state == State::parked);
  };
  if (std::any_of(threads_.begin(), threads_.end(), is_stuck)) fail("every thread is blocked");
  phase_ = Phase::checked;
  if (!failed() && at_rest_) at_rest_();
  if (failed()) return;
  if (dismiss_) {
    phase_ = Phase::dismissed;
    add("dismiss", std::move(dismiss_), false);
    run_until_quiet(*threads_.back());
    if (failed()) return;
    for (const auto& thread : threads_) {
      if (thread->state != State::finished) return fail(thread->name + " does not leave");
    }
    phase_ = Phase::checked;
  }
  if (at_end_) at_end_();
}

void Schedule::run_daemons_alone() {
  phase_ = Phase::settled;
  for (std::size_t i = 0; i < settled_; ++i) {
    if (threads_[i]->daemon && !failed()) run_until_quiet(*threads_[i]);
  }
}

void Schedule::run_until_quiet(ModelThread& first) {
  me_ = &first;
  main_fiber().switch_to(pooled_fiber(first.index));
  me_ = nullptr;
}

void Schedule::fail(const std::string& why) {
  if (failed()) return;
  failure_ = why + "\n" + describe();
  if (me_ != nullptr) back_to_main(true);
}

std::string Schedule::describe() const {
  static constexpr const char* kStates[] = {"could go on", "is parked", "waits for a lock",
                                            "ended"};
  std::string text;
  for (const auto& thread : threads_) {
    text += "  thread " + std::to_string(thread->index) + " (" + thread->name + ") " +
            kStates[static_cast<std::size_t>(thread->state)];
    if (thread->deadline != kNever) text += " until " + std::to_string(thread->deadline);
    if (!thread->unseen.empty())
      text += ", " + std::to_string(thread->unseen.size()) + " stores unseen";
    text += thread.get() == me_ ? ", at work\n" : "\n";
  }
  return text + "  step " + std::to_string(step_) + ", time " + std::to_string(now_) + "\n";
}

// --- who goes on ---------------------------------------------------------------------------------

void Schedule::go_on_with(ModelThread& thread, bool for_good) {
  if (&thread == me_) return;
  Fiber& mine = pooled_fiber(me_->index);
  me_ = &thread;
  mine.switch_to(pooled_fiber(thread.index), for_good);
}

void Schedule::back_to_main(bool for_good) {
  pooled_fiber(me_->index).switch_to(main_fiber(), for_good);
}

void Schedule::carry_out(const Option& option) {
  if (option.kind == Option::Kind::pass_time || option.kind == Option::Kind::pass_time_and_run)
    pass_time(next_deadline());
  if (option.kind == Option::Kind::run || option.kind == Option::Kind::pass_time_and_run)
    go_on_with(*threads_[option.thread], me_->state == State::finished);
  if (option.kind == Option::Kind::wake) {
    ModelThread& woken = *threads_[option.thread];
    woken.state = State::runnable;
    woken.deadline = kNever;
    go_on_with(woken, me_->state == State::finished);
  }
}

void Schedule::add_others(std::uint8_t cost) {
  const unsigned mine = me_->index;
  for (unsigned i = 1; i < threads_.size(); ++i) {
    const unsigned other = (mine + i) % static_cast<unsigned>(threads_.size());
    if (threads_[other]->state == State::runnable) {
      options_.push_back(
          {.kind = Option::Kind::run, .thread = static_cast<std::uint8_t>(other), .cost = cost});
    }
  }
}

void Schedule::add_time(std::uint8_t cost, bool with_me) {
  const Nanoseconds deadline = next_deadline();
  if (deadline == kNever) return;
  if (with_me) options_.push_back({.kind = Option::Kind::pass_time, .cost = cost});
  for (unsigned i = 0; i < threads_.size(); ++i) {
    if (threads_[i]->state == State::parked && threads_[i]->deadline == deadline) {
      options_.push_back({.kind = Option::Kind::pass_time_and_run,
                          .thread = static_cast<std::uint8_t>(i),
                          .cost = cost});
    }
  }
}

/// Parked threads that go on although nobody has woken them.
void Schedule::add_spurious() {
  for (unsigned i = 0; i < threads_.size(); ++i) {
    if (threads_[i]->state == State::parked && threads_[i]->may_wake_alone) {
      options_.push_back(
          {.kind = Option::Kind::wake, .thread = static_cast<std::uint8_t>(i), .cost = 1});
    }
  }
}

Nanoseconds Schedule::next_deadline() const noexcept {
  Nanoseconds next = kNever;
  if (clock_stands_) return next;
  for (const auto& thread : threads_) {
    if (thread->state == State::parked) next = std::min(next, thread->deadline);
  }
  return next;
}

void Schedule::pass_time(Nanoseconds to) noexcept {
  now_ = std::max(now_, to);
  if (clock_stands_) return;
  for (const auto& thread : threads_) {
    if (thread->state != State::parked || thread->deadline > now_) continue;
    thread->state = State::runnable;
    thread->deadline = kNever;
  }
}

/// The calling thread could go on. Another may, if that could make a difference.
void Schedule::point(bool matters) {
  ++step_;
  if (step_ > kMostSteps) fail("does not come to an end");
  if (phase_ != Phase::explored || choices_.exhausted() || !(matters || choices_.replaying()))
    return;
  options_.assign(1, Option{});
  add_others(1);
  add_time(1, true);
  if (options_.size() > 1) carry_out(choices_.choose(step_, options_));
}

/// The calling thread cannot go on, or has ended.
void Schedule::block() {
  ++step_;
  options_.clear();
  if (phase_ != Phase::settled) add_others(0);
  add_time(options_.empty() ? 0 : 1, false);
  if (options_.empty()) {
    back_to_main(me_->state == State::finished);
    return;
  }
  if (phase_ == Phase::explored) add_spurious();
  const bool chooses = phase_ == Phase::explored && options_.size() > 1;
  carry_out(chooses ? choices_.choose(step_, options_) : options_.front());
}

void Schedule::pause() {
  if (me_ == nullptr) return;
  drain();
  ++step_;
  if (step_ > kMostSteps) fail("does not come to an end");
  options_.clear();
  add_others(0);
  std::erase_if(options_, [&](const Option& option) { return threads_[option.thread]->pausing; });
  if (options_.empty()) return pass_time(now_ + kPause);
  options_.push_back({.kind = Option::Kind::pass_time, .cost = 1});
  const bool chooses = phase_ == Phase::explored;
  const Option option = chooses ? choices_.choose(step_, options_) : options_.front();
  if (option.kind == Option::Kind::pass_time) return pass_time(now_ + kPause);
  me_->pausing = true;
  ModelThread& me = *me_;
  carry_out(option);
  me.pausing = false;
}

// --- locks and parking ---------------------------------------------------------------------------

void Schedule::lock(ModelMutexState& mutex) {
  if (me_ == nullptr) {
    if (mutex.owner != nullptr) fail(mutex.owner->name + " ended with a lock held");
    return;
  }
  drain();
  point(matters(mutex.place, true));
  touch(mutex.place);
  while (mutex.owner != nullptr) {
    me_->state = State::locked_out;
    me_->waits_for = &mutex;
    block();
  }
  mutex.owner = me_;
  me_->locks |= mutex.bit;
}

void Schedule::unlock(ModelMutexState& mutex) {
  if (me_ == nullptr) return;
  drain();
  touch(mutex.place);
  mutex.owner = nullptr;
  me_->locks &= ~mutex.bit;
  for (const auto& thread : threads_) {
    if (thread->state == State::locked_out && thread->waits_for == &mutex)
      thread->state = State::runnable;
  }
}

void Schedule::park(const Cell& word, std::uint64_t expected, Nanoseconds deadline) {
  if (me_ == nullptr) return fail("the test itself would park");
  drain();
  point(matters(word.place, false));
  touch(word.place);
  if (word.bits != expected || deadline <= now_) return;
  me_->may_wake_alone = word.place != Footprints::kNoPlace;  // else the test waits for a time
  if (wakes_at_once()) return;
  me_->state = State::parked;
  me_->waits_for = &word;
  me_->deadline = deadline;
  me_->parked_at = step_;
  block();
}

/// Whether the calling thread's park ends before anything else has happened.
bool Schedule::wakes_at_once() {
  ++step_;
  if (!me_->may_wake_alone || phase_ != Phase::explored || choices_.exhausted()) return false;
  const auto me = static_cast<std::uint8_t>(me_->index);
  options_.assign({Option{}, {.kind = Option::Kind::wake, .thread = me, .cost = 1}});
  return choices_.choose(step_, options_).kind == Option::Kind::wake;
}

/// No point of its own: being woken is not yet going on.
void Schedule::wake(const Cell& word, int count) {
  drain();
  for (; count > 0; --count) {
    ModelThread* first = nullptr;
    for (const auto& thread : threads_) {
      if (thread->state == State::parked && thread->waits_for == &word &&
          (first == nullptr || thread->parked_at < first->parked_at)) {
        first = thread.get();
      }
    }
    if (first == nullptr) return;
    first->state = State::runnable;
    first->deadline = kNever;
  }
}

}  // namespace dynbatch::testing

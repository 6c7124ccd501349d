// Choices: which schedule is explored now, and which one is next. A schedule is the list of what was
// chosen wherever there was a choice; the search goes through all lists whose costs stay in a bound,
// depth first.
//
// In text, for replays, a schedule is the list of choices that were not the default: 57>2 (at step 57
// thread 2 goes on), 57+ (time passes), 57+2 (time passes, then thread 2 goes on), 57~ (a store stays
// unseen), 57!2 (thread 2 is woken by nobody, and goes on).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

namespace dynbatch::testing {

/// A way to go on. What is no preemption is free.
struct Option {
  enum class Kind : std::uint8_t { go_on, run, pass_time, pass_time_and_run, delay, wake };
  Kind kind = Kind::go_on;
  std::uint8_t thread = 0;
  std::uint8_t cost = 0;

  friend bool operator==(const Option&, const Option&) = default;
};

class Choices {
 public:
  explicit Choices(int bound) noexcept : bound_(bound) {}
  /// The one schedule that `text` describes.
  explicit Choices(const std::string& text) : replaying_(true) { parse(text); }

  bool replaying() const noexcept { return replaying_; }
  /// Whether only free options are left in this schedule.
  bool exhausted() const noexcept { return !replaying_ && spent_ >= bound_; }
  int bound() const noexcept { return bound_; }

  /// What to do at `step`; options.front() is the default, and is free.
  Option choose(std::uint64_t step, const std::vector<Option>& options) {
    if (replaying_) {
      const auto found = wanted_.find(step);
      return found == wanted_.end() ? options.front() : found->second;
    }
    if (depth_ == made_.size()) {
      Choice choice{.step = step};
      for (const Option& option : options) {
        if (option.cost <= bound_ - spent_) choice.options.push_back(option);
      }
      made_.push_back(std::move(choice));
    }
    const Choice& choice = made_[depth_++];
    diverged_ = diverged_ || choice.step != step;
    const Option option = choice.options[choice.chosen];
    spent_ += option.cost;
    return option;
  }

  /// Goes on to the next schedule; false after the last one.
  bool next() {
    depth_ = 0;
    spent_ = 0;
    while (!made_.empty() && ++made_.back().chosen == made_.back().options.size()) made_.pop_back();
    return !made_.empty();
  }
  /// Begins anew.
  void restart() {
    made_.clear();
    depth_ = 0;
    spent_ = 0;
  }
  /// Whether a schedule did not repeat what led to it: the test is not deterministic.
  bool diverged() const noexcept { return diverged_; }

  std::string text() const {
    std::string text;
    for (std::size_t i = 0; i < depth_; ++i) {
      const Option option = made_[i].options[made_[i].chosen];
      if (made_[i].chosen == 0) continue;
      if (!text.empty()) text += ' ';
      text += std::to_string(made_[i].step);
      if (option.kind == Option::Kind::delay) text += '~';
      if (option.kind == Option::Kind::run) text += '>';
      if (option.kind == Option::Kind::pass_time) text += '+';
      if (option.kind == Option::Kind::pass_time_and_run) text += '+';
      if (option.kind == Option::Kind::wake) text += '!';
      if (option.kind == Option::Kind::run || option.kind == Option::Kind::pass_time_and_run ||
          option.kind == Option::Kind::wake)
        text += std::to_string(option.thread);
    }
    return text;
  }

 private:
  struct Choice {
    std::uint64_t step = 0;
    std::size_t chosen = 0;
    std::vector<Option> options;
  };

  void parse(const std::string& text) {
    const char* at = text.c_str();
    while (*at != '\0') {
      char* end = nullptr;
      const std::uint64_t step = std::strtoull(at, &end, 10);
      if (end == at) break;
      const char kind = *end;
      at = end + 1;
      Option option{.kind = kind == '~'   ? Option::Kind::delay
                            : kind == '!' ? Option::Kind::wake
                            : kind == '+' ? Option::Kind::pass_time
                                          : Option::Kind::run};
      if (*at >= '0' && *at <= '9') {
        option.thread = static_cast<std::uint8_t>(std::strtoul(at, &end, 10));
        if (kind == '+') option.kind = Option::Kind::pass_time_and_run;
        at = end;
      }
      wanted_[step] = option;
      while (*at == ' ') ++at;
    }
  }

  const int bound_ = 0;
  const bool replaying_ = false;
  std::map<std::uint64_t, Option> wanted_;  // of a replay
  std::vector<Choice> made_;
  std::size_t depth_ = 0;
  int spent_ = 0;
  bool diverged_ = false;
};

}  // namespace dynbatch::testing

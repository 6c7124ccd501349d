#include "model/exploration.hpp"

#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/mutant.hpp"

namespace dynbatch::testing {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr int kMostBound = 1;  // a schedule takes ten times as long; it is memory that counts here
#else
constexpr int kMostBound = INT_MAX;
#endif

std::uint64_t explored = 0;

std::string test_name() {
  const auto* const info = ::testing::UnitTest::GetInstance()->current_test_info();
  return std::string(info->test_suite_name()) + "." + info->name();
}

std::string command(const std::string& choices) {
  std::string text = "DYNBATCH_MODEL_REPLAY='" + choices + "' ";
  if (active_mutant() != Mutant::none) text += "DYNBATCH_MUTANT=" + name_of(active_mutant()) + " ";
  return text + program_invocation_name + " --gtest_filter=" + test_name();
}

std::string report(const Schedule& schedule, const std::string& why) {
  return why + "found after " + std::to_string(explored) +
         " schedules; replay: " + command(schedule.choices());
}

/// An assertion of the library stops the process: say first which schedule has led there.
void on_signal(int number) {
  if (const Schedule* const schedule = Schedule::current())
    std::fprintf(stderr, "%s\n", report(*schedule, "the process was stopped\n").c_str());
  std::signal(number, SIG_DFL);
  std::raise(number);
}

/// False after a failure.
bool run_one(const std::function<void(Schedule&)>& make, Choices& choices, Footprints& footprints) {
  ++explored;
  Schedule schedule(choices, footprints);
  make(schedule);
  schedule.run();
  if (choices.diverged()) schedule.fail("the schedule did not repeat: the test is at fault");
  if (schedule.failed()) ADD_FAILURE() << report(schedule, schedule.failure());
  return !schedule.failed();
}

bool explore_up_to(const std::function<void(Schedule&)>& make, int bound, Footprints& footprints,
                   int& restarts) {
  Choices choices(bound);
  for (;;) {
    if (!run_one(make, choices, footprints)) return false;
    if (footprints.commit()) {
      ++restarts;
      choices.restart();
    } else if (!choices.next()) {
      return true;
    }
  }
}

}  // namespace

void explore(const std::function<void(Schedule&)>& make, int bound) {
  std::signal(SIGABRT, on_signal);
  std::signal(SIGSEGV, on_signal);
  // Every schedule makes and frees the same things: memory stays with the process.
  mallopt(M_MMAP_THRESHOLD, 64 << 20);
  mallopt(M_TRIM_THRESHOLD, 512 << 20);
  explored = 0;
  Footprints footprints;
  if (const char* const replay = std::getenv("DYNBATCH_MODEL_REPLAY")) {
    Choices choices{std::string(replay)};
    run_one(make, choices, footprints);
    return;
  }
  bound = std::min(bound, kMostBound);
  if (const char* const wanted = std::getenv("DYNBATCH_MODEL_BOUND")) bound = std::atoi(wanted);
  const auto start = std::chrono::steady_clock::now();
  int restarts = 0;
  // From the smallest bound on, so that the first counterexample is a short one.
  for (int up_to = 0; up_to <= bound; ++up_to) {
    if (!explore_up_to(make, up_to, footprints, restarts)) return;
  }
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  std::printf("[   model  ] %s: bound %d, %llu schedules, %d restarts, %.2f s\n",
              test_name().c_str(), bound, static_cast<unsigned long long>(explored), restarts,
              time.count());
}

}  // namespace dynbatch::testing

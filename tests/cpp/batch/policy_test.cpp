#include "batch/policy.hpp"

#include <gtest/gtest.h>

namespace dynbatch {
namespace {

struct Case {
  const char* name;
  Waiting waiting;
  Nanoseconds now;
  Decision expected;
};

void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

class Policy : public ::testing::TestWithParam<Case> {};

TEST_P(Policy, Decides) {
  const Decision got = decide(GetParam().waiting, GetParam().now);
  EXPECT_EQ(got.run, GetParam().expected.run);
  if (got.run) {
    EXPECT_EQ(got.reason, GetParam().expected.reason);
  } else {
    EXPECT_EQ(got.due, GetParam().expected.due);
  }
}

constexpr Decision run_for(CloseReason reason) { return {.run = true, .reason = reason}; }
constexpr Decision wait_until(Nanoseconds due) { return {.due = due}; }

INSTANTIATE_TEST_SUITE_P(
    Table, Policy,
    ::testing::Values(
        Case{"WithoutDelayAtOnce", {}, 5, run_for(CloseReason::idle)},
        Case{"FullAtOnce",
             {.full = true, .first_at = 1, .max_delay = 10},
             2,
             run_for(CloseReason::full)},
        Case{"FullCountsBeforeDrain",
             {.full = true, .draining = true},
             2,
             run_for(CloseReason::full)},
        Case{"DrainingAtOnce",
             {.first_at = 1, .max_delay = 10, .draining = true},
             2,
             run_for(CloseReason::drain)},
        Case{"SpaceWantedAtOnce",
             {.first_at = 1, .max_delay = 10, .space_wanted = true},
             2,
             run_for(CloseReason::space)},
        Case{"JustBeforeDueWaits", {.first_at = 1, .max_delay = 10}, 10, wait_until(11)},
        Case{"AtDueRuns", {.first_at = 1, .max_delay = 10}, 11, run_for(CloseReason::delay)},
        Case{"LongAfterDueRuns",
             {.first_at = 1, .max_delay = 10},
             1000,
             run_for(CloseReason::delay)},
        Case{"HeldWaitsForItsHolder", {.held = true}, 5, wait_until(kNever)},
        Case{"HeldWaitsWhateverItsAge",
             {.held = true, .first_at = 1, .max_delay = 10},
             1000,
             wait_until(kNever)},
        Case{"HeldAndFullAtOnce", {.full = true, .held = true}, 5, run_for(CloseReason::full)},
        Case{"HeldMakesRoomForACaller",
             {.held = true, .first_at = 1, .max_delay = 10, .space_wanted = true},
             2,
             run_for(CloseReason::space)},
        Case{"HeldIsDrained", {.held = true, .draining = true}, 5, run_for(CloseReason::drain)},
        Case{"UnknownArrivalWaitsNoLonger",
             {.first_at = 0, .max_delay = 10},
             2,
             run_for(CloseReason::delay)},
        Case{"SealedBeforeRunsNow",
             {.sealed = true, .first_at = 5, .max_delay = 10},
             6,
             run_for(CloseReason::idle)},
        Case{"IncompleteIsLeftToItsLastPublisher",
             {.complete = false, .first_at = 0, .max_delay = 10},
             2,
             wait_until(kNever)}),
    [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace dynbatch

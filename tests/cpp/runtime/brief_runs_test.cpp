#include "runtime/brief_runs.hpp"

#include <gtest/gtest.h>

namespace dynbatch {
namespace {

constexpr Nanoseconds kShort = kBriefRun - 1;

void add(BriefRuns& runs, int count, Nanoseconds time) {
  for (int i = 0; i < count; ++i) runs.add(time);
}

TEST(BriefRuns, AreBriefWhileAtMostOneInEightOfTheLastIsLong) {
  BriefRuns runs;
  add(runs, 4, kBriefRun);
  EXPECT_TRUE(runs.are_brief());
  runs.add(kBriefRun);
  EXPECT_FALSE(runs.are_brief());
  add(runs, 27, kShort);
  EXPECT_FALSE(runs.are_brief());
  runs.add(kShort);  // the first long one is forgotten
  EXPECT_TRUE(runs.are_brief());
}

TEST(BriefRuns, AreTriedAgainAfterAPauseWhereLoadHasSeenThemBrief) {
  BriefRuns runs;
  runs.expect();
  add(runs, 5, kBriefRun);
  EXPECT_FALSE(runs.are_brief());
  add(runs, 31, kBriefRun);
  EXPECT_FALSE(runs.are_brief());
  runs.add(kBriefRun);
  EXPECT_TRUE(runs.are_brief());
  add(runs, 5, kBriefRun);  // wrong again: twice as long a pause
  add(runs, 63, kBriefRun);
  EXPECT_FALSE(runs.are_brief());
  runs.add(kBriefRun);
  EXPECT_TRUE(runs.are_brief());
}

TEST(BriefRuns, AreNotTriedAgainWhereTheyNeverWereBrief) {
  BriefRuns runs;
  add(runs, 10'000, kBriefRun);
  EXPECT_FALSE(runs.are_brief());
}

}  // namespace
}  // namespace dynbatch

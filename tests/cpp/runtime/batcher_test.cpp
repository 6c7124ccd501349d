// How a batcher answers requests: who runs them, in which batches, and when the queue is full. Further
// tests: batcher_batch_test.cpp, batcher_failure_test.cpp, batcher_close_test.cpp.
#include <dynbatch/batcher.hpp>

#include <gmock/gmock.h>

#include <chrono>
#include <mutex>
#include <numeric>
#include <thread>
#include <vector>

#include "cpp/runtime/float_rows.hpp"
#include "cpp/runtime/held_batcher.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::answer_of;
using Held = dynbatch::testing::HeldBatcher;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Rows = std::vector<float>;

TEST(Batcher, AnswersARequest) {
  Held held({});
  EXPECT_THAT(answer_of(held.infer({3.0F})), ElementsAre(7.0F));
}

TEST(Batcher, AnswersRowsInTheirOrder) {
  Held held({});
  const Ticket ticket = held.infer({1.0F, 2.0F, 3.0F});
  EXPECT_THAT(answer_of(ticket), ElementsAre(3.0F, 5.0F, 7.0F));
  EXPECT_EQ(ticket.output(0).shape, (Shape{3, 1}));
}

TEST(Batcher, EightRequestsHeldTogetherRunAsOneBatchOfEight) {
  Held held({.max_batch_size = 8, .max_queue_delay = seconds(10)});
  std::vector<Ticket> tickets;
  for (int i = 0; i < 8; ++i) tickets.push_back(held.submit({static_cast<float>(i)}));
  for (int i = 0; i < 8; ++i) {
    EXPECT_THAT(answer_of(tickets[static_cast<std::size_t>(i)]),
                ElementsAre(2.0F * static_cast<float>(i) + 1.0F));
  }
  held.batcher.close();
  const Stats stats = held.batcher.stats();
  EXPECT_EQ(stats.batches_by_size[8], 1U);
  EXPECT_EQ(stats.batches, 1U);
  EXPECT_EQ(stats.closed_full, 1U);
}

TEST(Batcher, RequestsThatComeDuringARunRunTogether) {
  Held held({.max_batch_size = 8});
  const Ticket first = held.occupy();
  std::vector<Ticket> tickets;
  for (int i = 0; i < 5; ++i) tickets.push_back(held.submit({1.0F}));
  held.gate.open();
  held.batcher.close();
  EXPECT_EQ(held.batcher.stats().batches_by_size[5], 1U);
  for (const Ticket& ticket : tickets) EXPECT_TRUE(ticket.done());
}

TEST(Batcher, ElevenRowsWithALargestBatchOfEightAreCutAndJoined) {
  Held held({.max_batch_size = 8});
  Rows rows(11);
  std::iota(rows.begin(), rows.end(), 0.0F);
  Rows expected;
  for (const float row : rows) expected.push_back(2.0F * row + 1.0F);
  const Ticket ticket = held.infer(rows);
  EXPECT_EQ(answer_of(ticket), expected);
  EXPECT_EQ(ticket.output(0).shape, (Shape{11, 1}));
  held.batcher.close();
  EXPECT_EQ(held.batcher.stats().batches_by_size[8], 1U);
  EXPECT_EQ(held.batcher.stats().batches_by_size[3], 1U);
  EXPECT_EQ(held.batcher.stats().accepted, 1U);
}

TEST(Batcher, RequestManyTimesTheQueueIsAnswered) {
  Held held({.max_batch_size = 4, .queue_capacity = 4});
  Rows rows(203);
  std::iota(rows.begin(), rows.end(), 0.0F);
  const Rows answer = answer_of(held.infer(rows));
  ASSERT_EQ(answer.size(), rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(answer[i], 2.0F * rows[i] + 1.0F);
}

TEST(Batcher, CutAtTheEndOfAHalfFullBlockIsJoined) {
  Held held({.max_batch_size = 4});
  const Ticket first = held.occupy();
  const Ticket three = held.submit({1.0F, 2.0F, 3.0F});
  const Ticket two = held.submit({4.0F, 5.0F});
  held.gate.open();
  EXPECT_THAT(answer_of(two), ElementsAre(9.0F, 11.0F));
  EXPECT_THAT(answer_of(three), ElementsAre(3.0F, 5.0F, 7.0F));
}

TEST(Batcher, RequestOfNoRowsIsAnsweredWithoutARun) {
  Held held({});
  const std::size_t runs = held.sizes.size();
  const Ticket ticket = held.submit({});
  EXPECT_TRUE(ticket.done());
  EXPECT_EQ(ticket.code(), ErrorCode::none);
  EXPECT_EQ(ticket.output(0).shape, (Shape{0, 1}));
  EXPECT_EQ(ticket.output(0).size_bytes, 0U);
  EXPECT_EQ(held.sizes.size(), runs);
}

TEST(Batcher, LoneCallerRunsOnItsOwnThread) {
  Held held({});
  held.threads.clear();
  held.infer({1.0F});
  EXPECT_THAT(held.threads, ElementsAre(std::this_thread::get_id()));
}

TEST(Batcher, SubmittedRequestRunsOnAWorker) {
  Held held({});
  held.threads.clear();
  held.submit({1.0F}).wait();
  ASSERT_EQ(held.threads.size(), 1U);
  EXPECT_NE(held.threads[0], std::this_thread::get_id());
}

TEST(Batcher, HeldRequestsStartWhenTheirHolderSaysSo) {
  Held held({.max_batch_size = 8});
  held.sizes.clear();
  std::vector<Ticket> tickets;
  for (int i = 0; i < 3; ++i) tickets.push_back(held.submit({1.0F}, {.hold = true}));
  held.batcher.start_held();
  for (Ticket& ticket : tickets) ticket.wait();
  EXPECT_THAT(held.sizes, ElementsAre(3U));
}

TEST(Batcher, BlockingCallDoesNotHold) {
  Held held({.max_batch_size = 8});
  EXPECT_THAT(answer_of(held.infer({1.0F}, {.on_full = OnFull::wait, .hold = true})),
              ElementsAre(3.0F));
}

TEST(Batcher, HoldingHasNoEffectWhereRequestsAreNotMerged) {
  Held held({.max_batch_size = 8, .batching = Batching::off});
  held.submit({1.0F}, {.hold = true}).wait();
  EXPECT_EQ(held.batcher.stats().succeeded, 1U);
}

TEST(Batcher, CloseDropsWhatIsHeld) {
  Held held({.max_batch_size = 8});
  const Ticket ticket = held.submit({1.0F}, {.hold = true});
  held.batcher.close(false);
  EXPECT_EQ(ticket.code(), ErrorCode::cancelled);
  EXPECT_EQ(held.batcher.stats().in_flight, 0U);
}

TEST(Batcher, CallerDoesNotRunWhileAWorkerDoes) {
  Held held({.workers = 2});
  const Ticket first = held.occupy();
  held.threads.clear();
  std::thread caller([&] { held.infer({1.0F}); });
  held.gate.wait_for(2);
  {
    const std::lock_guard lock(held.mutex);
    ASSERT_EQ(held.threads.size(), 1U);
    EXPECT_NE(held.threads[0], caller.get_id());
  }
  held.gate.open();
  caller.join();
}

TEST(Batcher, CallerRunsFalseKeepsCallersFromRunning) {
  Held held({.caller_runs = false});
  held.threads.clear();
  held.infer({1.0F});
  ASSERT_EQ(held.threads.size(), 1U);
  EXPECT_NE(held.threads[0], std::this_thread::get_id());
}

TEST(Batcher, ExecutorKeepsCallersFromRunning) {
  Held held({}, {.runs_on_callers = false});
  held.infer({1.0F});
  held.batcher.close();
  EXPECT_EQ(held.batcher.stats().runs_on_callers, 0U);
  EXPECT_EQ(held.batcher.stats().runs_on_workers, 1U);
}

TEST(Batcher, FullQueueRaises) {
  Held held({.max_batch_size = 2, .queue_capacity = 2});
  std::vector<Ticket> tickets;
  tickets.push_back(held.occupy());
  Ticket refused;
  for (int i = 0; i < 10; ++i) {
    Ticket ticket = held.submit({1.0F});
    if (!ticket.accepted()) {
      refused = std::move(ticket);
      break;
    }
    tickets.push_back(std::move(ticket));
  }
  EXPECT_EQ(tickets.size(), 3U);
  EXPECT_EQ(refused.code(), ErrorCode::queue_full);
  EXPECT_THAT(refused.failure().message, HasSubstr("queue_capacity"));
  EXPECT_EQ(held.batcher.stats().refused, 1U);
}

TEST(Batcher, RefusalOfACallerThatAsksAgainIsNotCounted) {
  Held held({.max_batch_size = 2, .queue_capacity = 2});
  std::vector<Ticket> tickets;
  tickets.push_back(held.occupy());
  while (tickets.back().accepted()) tickets.push_back(held.submit({1.0F}, {.asks_again = true}));
  EXPECT_EQ(tickets.back().code(), ErrorCode::queue_full);
  EXPECT_EQ(held.batcher.stats().refused, 0U);
}

// Whether each of them waited: runtime_test.cpp.
TEST(Batcher, MoreCallersThanThereIsRoomForAreAnswered) {
  Held held({.max_batch_size = 1, .queue_capacity = 1});
  const Ticket first = held.occupy();
  const Ticket second = held.submit({100.0F});
  std::vector<std::thread> waiters;
  for (int i = 0; i < 4; ++i) {
    waiters.emplace_back([&] { EXPECT_EQ(held.infer({1.0F}).code(), ErrorCode::none); });
  }
  held.gate.open();
  for (std::thread& waiter : waiters) waiter.join();
  held.batcher.close();
  EXPECT_EQ(held.batcher.stats().succeeded, 6U);
}

TEST(Batcher, TimeoutPassesWhileWaitingForRoom) {
  Held held({.max_batch_size = 1, .queue_capacity = 1});
  const Ticket first = held.occupy();
  const Ticket second = held.submit({1.0F});
  const Ticket third = held.infer({2.0F}, {.on_full = OnFull::wait, .timeout = nanoseconds(1)});
  EXPECT_FALSE(third.accepted());
  EXPECT_EQ(third.code(), ErrorCode::timeout);
}

TEST(Batcher, TimeoutPassesWhileTheRunIsUnderWay) {
  Held held({});
  const Ticket first = held.occupy();
  const Ticket second = held.infer({1.0F}, {.timeout = nanoseconds(1)});
  EXPECT_EQ(second.code(), ErrorCode::timeout);
  held.gate.open();
  held.batcher.close();
  EXPECT_EQ(held.batcher.stats().timed_out, 1U);
}

/// Its first row was accepted; the others find no room in time.
TEST(Batcher, TimeoutPassesWhileTheRestOfARequestWaitsForRoom) {
  Held held({.max_batch_size = 1, .queue_capacity = 1});
  const Ticket first = held.occupy();
  const Ticket cut =
      held.submit(Rows(50, 1.0F), {.on_full = OnFull::wait, .timeout = nanoseconds(1)});
  EXPECT_TRUE(cut.accepted());
  EXPECT_FALSE(cut.done());  // a run may still read the row
  held.gate.open();
  cut.wait();
  EXPECT_EQ(cut.code(), ErrorCode::timeout);
  EXPECT_THAT(cut.failure().message, HasSubstr("waiting for room"));
  held.batcher.close();
  EXPECT_EQ(held.batcher.stats().timed_out, 1U);
  EXPECT_EQ(held.batcher.stats().in_flight, 0U);
}

TEST(Batcher, CallerThatMustBeBackSoonDoesNotRun) {
  Held held({});
  for (const nanoseconds timeout : {nanoseconds(seconds(1000)), nanoseconds(1)}) {
    held.infer({1.0F}, {.timeout = timeout});
  }
  held.batcher.close();
  EXPECT_EQ(held.batcher.stats().runs_on_callers, 1U);
}

TEST(Batcher, LongestTimeoutIsNoTimeout) {
  Held held({});
  EXPECT_EQ(held.infer({1.0F}, {.timeout = nanoseconds::max()}).code(), ErrorCode::none);
  const Ticket ticket = held.submit({1.0F});
  EXPECT_TRUE(ticket.wait_for(nanoseconds::max()));
}

TEST(Batcher, AnswerThatIsThereIsReturnedThoughTheTimeIsOver) {
  Held held({});
  const Ticket ticket = held.submit({1.0F});
  ticket.wait();
  EXPECT_TRUE(ticket.wait_for(nanoseconds(-1)));
  EXPECT_THAT(answer_of(ticket), ElementsAre(3.0F));
}

TEST(Batcher, InputsMayBeOverwrittenOnceSubmitHasReturned) {
  Held held({});
  const Ticket first = held.occupy();
  Rows rows{5.0F};
  const Ticket ticket = held.submit(rows);
  rows[0] = 6.0F;
  held.gate.open();
  EXPECT_THAT(answer_of(ticket), ElementsAre(11.0F));
}

TEST(Batcher, CallerMayBeDrivenByALentThread) {
  Held held({.own_workers = false});
  std::thread worker([&] { held.batcher.work(); });
  held.batcher.wait_for_workers();
  const Ticket ticket = held.submit({1.0F});
  EXPECT_THAT(answer_of(ticket), ElementsAre(3.0F));
  held.batcher.close();
  worker.join();
}

TEST(Batcher, MoreLentThreadsThanWorkersDoNoHarm) {
  Held held({.workers = 1, .own_workers = false});
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&] { held.batcher.work(); });
  held.batcher.wait_for_workers();
  for (int i = 0; i < 50; ++i) EXPECT_THAT(answer_of(held.submit({1.0F})), ElementsAre(3.0F));
  held.batcher.close();
  for (std::thread& thread : threads) thread.join();
}

TEST(Batcher, LendingAThreadToAClosedBatcherReturnsAtOnce) {
  Held held({.own_workers = false});
  held.batcher.close();
  held.batcher.work();
}

}  // namespace
}  // namespace dynbatch

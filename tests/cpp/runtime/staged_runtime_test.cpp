// Batches of rows of different lengths: what shares a run, and that everybody gets their own.
#include <gmock/gmock.h>

#include <chrono>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include <dynbatch/completion_port.hpp>

#include "cpp/runtime/held_lines.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::answer_of;
using dynbatch::testing::doubled;
using dynbatch::testing::HeldLines;
using dynbatch::testing::lines;
using dynbatch::testing::padded_to_longest;
using dynbatch::testing::rows_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

std::vector<float> row_of(std::size_t length, float first = 1.0F) {
  std::vector<float> row(length);
  for (std::size_t i = 0; i < length; ++i) row[i] = first + static_cast<float>(i);
  return row;
}

void answers_equal_those_alone(BatchingOptions options) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(seed);
  options.workers = 2;
  HeldLines held(std::move(options));
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&held, seed, thread] {
      std::mt19937 random(seed + thread);
      for (int i = 0; i < 200; ++i) {
        const auto row = row_of(1 + random() % 20, static_cast<float>(1 + random() % 1000));
        EXPECT_EQ(answer_of(i % 2 == 0 ? held.infer(row) : held.submit(row)), doubled(row));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(held.batcher.stats().succeeded, 600U);
}

TEST(StagedRuntime, AnswersOfEqualShapesEqualThoseAlone) { answers_equal_those_alone({}); }

TEST(StagedRuntime, AnswersOfPaddedBatchesEqualThoseAlone) {
  answers_equal_those_alone(padded_to_longest());
}

TEST(StagedRuntime, RequestsOfEqualShapesShareABatch) {
  HeldLines held({});
  const Ticket first = held.occupy();
  std::vector<Ticket> tickets;
  for (const std::size_t length : {3U, 5U, 3U, 5U, 3U})
    tickets.push_back(held.submit(row_of(length)));
  held.gate.open();
  for (const Ticket& ticket : tickets) ticket.wait();
  EXPECT_THAT(held.shapes(), ElementsAre("[1, 99]", "[3, 3]", "[2, 5]"));
  EXPECT_EQ(held.batcher.stats().padded_elements, 0U);
}

TEST(StagedRuntime, PaddedRequestsShareABatch) {
  HeldLines held(padded_to_longest());
  const Ticket first = held.occupy();
  const Ticket small = held.submit(row_of(3));
  const Ticket large = held.submit(row_of(5));
  held.gate.open();
  EXPECT_EQ(answer_of(small), doubled(row_of(3)));
  EXPECT_EQ(answer_of(large), doubled(row_of(5)));
  EXPECT_THAT(held.shapes(), ElementsAre("[1, 99]", "[2, 5]"));
  held.batcher.close();  // a run is counted once its requests have been told
  EXPECT_EQ(held.batcher.stats().padded_elements, 2U);
}

TEST(StagedRuntime, AnswerOfALoneRequestIsLent) {
  HeldLines held({});
  const Ticket ticket = held.infer(row_of(4));
  EXPECT_EQ(answer_of(ticket), doubled(row_of(4)));
}

TEST(StagedRuntime, LengthThatNoGearHoldsIsRefusedWithTheGears) {
  BatchingOptions options;
  options.lengths["length"] = {.gears = {4, 8}};
  HeldLines held(options);
  const Ticket ticket = held.submit(row_of(9));
  EXPECT_EQ(ticket.code(), ErrorCode::invalid_input);
  EXPECT_THAT(ticket.failure().message, HasSubstr("[4], [8]"));
}

TEST(StagedRuntime, RequestLargerThanTheArenaIsRefused) {
  BatchingOptions options;
  options.queue_bytes = 8192;
  HeldLines held(options);
  const Ticket ticket = held.submit(row_of(5000));
  EXPECT_EQ(ticket.code(), ErrorCode::invalid_input);
  EXPECT_THAT(ticket.failure().message, HasSubstr("raise queue_bytes"));
}

TEST(StagedRuntime, QueueCapacityCountsRows) {
  BatchingOptions options;
  options.max_batch_size = 4;
  options.batching = Batching::always;
  options.queue_capacity = 4;  // beside those of a batch that runs
  HeldLines held(options);
  const Ticket first = held.occupy();
  const std::vector<float> three(6, 1.0F);
  const InputView view = rows_of(three, 2);
  const Ticket a = held.batcher.submit({&view, 1});
  const Ticket b = held.batcher.submit({&view, 1});
  EXPECT_TRUE(a.accepted() && b.accepted());
  EXPECT_EQ(held.batcher.submit({&view, 1}).code(), ErrorCode::queue_full);
  EXPECT_TRUE(held.submit(row_of(3)).accepted());
  EXPECT_EQ(held.submit(row_of(3)).code(), ErrorCode::queue_full);
}

TEST(StagedRuntime, QueueIsFullByRows) {
  BatchingOptions options;
  options.max_batch_size = 1;
  options.queue_capacity = 2;
  HeldLines held(options);
  const Ticket first = held.occupy();
  std::vector<Ticket> tickets;
  for (int i = 0; i < 3; ++i) tickets.push_back(held.submit(row_of(3)));
  EXPECT_TRUE(tickets[1].accepted());
  EXPECT_EQ(tickets[2].code(), ErrorCode::queue_full);
  held.gate.open();
  EXPECT_EQ(answer_of(tickets[1]), doubled(row_of(3)));
}

/// Two requests of 3000 bytes are all that the queue holds.
BatchingOptions narrow() {
  BatchingOptions options;
  options.queue_bytes = 8192;
  return options;
}

TEST(StagedRuntime, QueueIsFullByBytes) {
  HeldLines held(narrow());
  const Ticket first = held.occupy();
  const Ticket a = held.submit(row_of(750));
  const Ticket b = held.submit(row_of(750));
  EXPECT_TRUE(a.accepted() && b.accepted());
  EXPECT_EQ(held.submit(row_of(750)).code(), ErrorCode::queue_full);
  EXPECT_TRUE(held.submit(row_of(3)).accepted());
}

TEST(StagedRuntime, WhoWaitsForBytesGetsThem) {
  HeldLines held(narrow());
  const Ticket first = held.occupy();
  const Ticket a = held.submit(row_of(750));
  const Ticket b = held.submit(row_of(750));
  std::thread waiter([&held] {
    const auto row = row_of(1000);
    EXPECT_EQ(answer_of(held.submit(row, {.on_full = OnFull::wait})), doubled(row));
  });
  held.gate.open();
  waiter.join();
}

TEST(StagedRuntime, NoticeOfRoomWaitsForBytes) {
  HeldLines held(narrow());
  const Ticket first = held.occupy();
  const Ticket a = held.submit(row_of(750));
  const Ticket b = held.submit(row_of(750));
  EXPECT_EQ(held.submit(row_of(750)).code(), ErrorCode::queue_full);
  CompletionPort port;
  int context = 0;
  held.batcher.notify_space(port, &context);
  std::vector<void*> told;
  port.drain(told);
  EXPECT_THAT(told, SizeIs(0));  // told now, it would only be refused again
  held.gate.open();
  while (told.empty()) {
    port.wait();
    port.drain(told);
  }
  EXPECT_THAT(told, ElementsAre(&context));
}

TEST(StagedRuntime, NoticeOfRoomWaitsForBytesWhereRequestsAreNotMerged) {
  BatchingOptions options = narrow();
  options.batching = Batching::off;
  HeldLines held(options);
  const Ticket first = held.occupy();
  const Ticket a = held.submit(row_of(750));
  const Ticket b = held.submit(row_of(750));
  EXPECT_EQ(held.submit(row_of(750)).code(), ErrorCode::queue_full);
  CompletionPort port;
  int context = 0;
  held.batcher.notify_space(port, &context);
  std::vector<void*> told;
  port.drain(told);
  EXPECT_THAT(told, SizeIs(0));
  held.gate.open();
  while (told.empty()) {
    port.wait();
    port.drain(told);
  }
}

TEST(StagedRuntime, CancelledAndExpiredRequestsEndAtOnceAndRunForNobody) {
  HeldLines held({});
  const Ticket first = held.occupy();
  Ticket cancelled = held.submit(row_of(3));
  Ticket expired = held.submit(row_of(3));
  const Ticket kept = held.submit(row_of(3, 50.0F));
  EXPECT_TRUE(cancelled.cancel());
  EXPECT_TRUE(expired.expire());
  EXPECT_EQ(cancelled.code(), ErrorCode::cancelled);
  EXPECT_EQ(expired.code(), ErrorCode::timeout);
  held.gate.open();
  EXPECT_EQ(answer_of(kept), doubled(row_of(3, 50.0F)));
  EXPECT_THAT(held.shapes(), ElementsAre("[1, 99]", "[1, 3]"));
}

TEST(StagedRuntime, FailedRunIsolatesTheGuilty) {
  HeldLines held(padded_to_longest());
  const Ticket first = held.occupy();
  std::vector<Ticket> tickets;
  for (std::size_t i = 0; i < 6; ++i)
    tickets.push_back(held.submit(i == 2 ? std::vector<float>{HeldLines::kPoison} : row_of(i + 1)));
  held.gate.open();
  for (std::size_t i = 0; i < 6; ++i) {
    tickets[i].wait();
    if (i == 2) {
      EXPECT_EQ(tickets[i].code(), ErrorCode::execution);
      EXPECT_EQ(tickets[i].failure().message, "poison");
    } else {
      EXPECT_EQ(answer_of(tickets[i]), doubled(row_of(i + 1)));
    }
  }
  EXPECT_GT(held.batcher.stats().reruns, 0U);
}

TEST(StagedRuntime, OfAFailedBatchOnlyTheFirstRunShrinks) {
  BatchingOptions options = padded_to_longest();
  options.max_batch_size = 2;
  options.max_queue_delay = std::chrono::seconds(10);
  HeldLines held(options);
  const Ticket bad = held.submit({HeldLines::kPoison});
  const Ticket good = held.submit(row_of(2));
  EXPECT_EQ(answer_of(good), doubled(row_of(2)));
  bad.wait();
  const Stats stats = held.batcher.stats();
  EXPECT_EQ(stats.closed_full, 1U);
  EXPECT_EQ(stats.reruns, 2U);
  EXPECT_EQ(stats.shrinks, 1U);
}

TEST(StagedRuntime, RowThatFailsHarmsNoOther) {
  HeldLines held(padded_to_longest());
  const Ticket first = held.occupy();
  const Ticket good = held.submit(row_of(3));
  const Ticket bad = held.submit({1.0F, HeldLines::kRefused});
  held.gate.open();
  EXPECT_EQ(answer_of(good), doubled(row_of(3)));
  bad.wait();
  EXPECT_EQ(bad.code(), ErrorCode::execution);
  EXPECT_EQ(bad.failure().message, "row refused");
  EXPECT_EQ(held.batcher.stats().reruns, 0U);
}

TEST(StagedRuntime, RequestLargerThanABatchIsCutAndPutTogether) {
  BatchingOptions options = padded_to_longest();
  options.max_batch_size = 4;
  HeldLines held(options);
  const std::vector<float> rows = row_of(30);
  const InputView view = rows_of(rows, 3);
  const Ticket ticket = held.batcher.infer({&view, 1});
  EXPECT_EQ(answer_of(ticket), doubled(rows));
  EXPECT_EQ(ticket.output(0).shape, (Shape{10, 3}));
  EXPECT_THAT(held.shapes(), SizeIs(3));
}

TEST(StagedRuntime, RequestIsCutAlongItsBatchAxis) {
  ModelSpec spec = lines();
  spec.inputs[0].batch_axis = 1;
  spec.outputs[0].batch_axis = 1;
  spec.outputs[0].declared = true;
  BatchingOptions options;
  options.max_batch_size = 4;
  HeldLines held(options, spec);
  const std::vector<float> values = row_of(30);
  const InputView view{values.data(), DataType::float32, Shape{3, 10}};
  const Ticket ticket = held.batcher.infer({&view, 1});
  EXPECT_EQ(answer_of(ticket), doubled(values));
  EXPECT_EQ(ticket.output(0).shape, (Shape{3, 10}));
  EXPECT_THAT(held.shapes(), SizeIs(3));
}

TEST(StagedRuntime, RequestOfNoRowsIsAnsweredWithoutARun) {
  HeldLines held({});
  const InputView view{nullptr, DataType::float32, Shape{0, 7}};
  const Ticket ticket = held.batcher.infer({&view, 1});
  EXPECT_EQ(ticket.code(), ErrorCode::none);
  EXPECT_EQ(ticket.output(0).size_bytes, 0U);
  EXPECT_EQ(ticket.output(0).shape[0], 0);
  EXPECT_THAT(held.shapes(), SizeIs(0));
}

TEST(StagedRuntime, DrainingCloseAnswersWhatWasAccepted) {
  HeldLines held({});
  const Ticket first = held.occupy();
  const Ticket a = held.submit(row_of(3));
  const Ticket b = held.submit(row_of(5));
  std::thread closer([&held] { held.batcher.close(true); });
  held.gate.open();
  closer.join();
  EXPECT_EQ(answer_of(a), doubled(row_of(3)));
  EXPECT_EQ(answer_of(b), doubled(row_of(5)));
  EXPECT_EQ(held.submit(row_of(3)).code(), ErrorCode::closed);
}

TEST(StagedRuntime, OtherCloseCancelsWhatWaits) {
  HeldLines held({});
  const Ticket first = held.occupy();
  const Ticket waiting = held.submit(row_of(3));
  std::thread closer([&held] { held.batcher.close(false); });
  waiting.wait();
  EXPECT_EQ(waiting.code(), ErrorCode::cancelled);
  held.gate.open();
  closer.join();
  EXPECT_EQ(held.batcher.stats().in_flight, 0U);
}

TEST(StagedRuntime, NextBatchIsGatheredWhileOneRuns) {
  BatchingOptions options;
  options.set_size = 2;
  HeldLines held(options);
  const Ticket first = held.occupy();
  const Ticket second = held.submit(row_of(3));
  while (held.batcher.stats().runs_under_way < 2) std::this_thread::yield();
  const Ticket third = held.submit(row_of(3));
  held.gate.open();
  EXPECT_EQ(answer_of(second), doubled(row_of(3)));
  EXPECT_EQ(answer_of(third), doubled(row_of(3)));
  EXPECT_THAT(held.shapes(), ElementsAre("[1, 99]", "[1, 3]", "[1, 3]"));
  EXPECT_EQ(held.most_inside(), 1);
}

TEST(StagedRuntime, TenThousandLengthsInARowLeaveTheQueueEmpty) {
  HeldLines held({});
  for (std::size_t length = 1; length <= 10'000; ++length) {
    const auto row = row_of(length);
    ASSERT_EQ(answer_of(held.infer(row)), doubled(row));
  }
  held.batcher.close(true);
  EXPECT_EQ(held.batcher.stats().in_flight, 0U);
}

}  // namespace
}  // namespace dynbatch

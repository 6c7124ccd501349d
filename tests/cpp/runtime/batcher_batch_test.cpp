// What a batch is made of: filling, shared inputs, outputs that executors bring; and what is told
// about requests and memory.
#include <dynbatch/batcher.hpp>

#include <gmock/gmock.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include "cpp/runtime/custom_executor.hpp"
#include "cpp/runtime/float_rows.hpp"
#include "cpp/runtime/held_batcher.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::add_one;
using dynbatch::testing::answer_of;
using dynbatch::testing::CustomExecutor;
using dynbatch::testing::floats;
using dynbatch::testing::Gate;
using Held = dynbatch::testing::HeldBatcher;
using dynbatch::testing::make_executor;
using dynbatch::testing::rows_of;
using std::chrono::hours;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Rows = std::vector<float>;

TEST(BatcherBatch, PortTellsOfEveryRequestOnce) {
  Held held({});
  CompletionPort port;
  std::vector<int> tokens(20);
  std::vector<Ticket> tickets;
  for (int& token : tokens) {
    tickets.push_back(held.submit({1.0F}));
    EXPECT_TRUE(tickets.back().notify(port, &token));
    EXPECT_FALSE(tickets.back().notify(port, &token));
  }
  std::vector<void*> contexts;
  for (std::size_t told = 0; told < tokens.size();) {
    port.wait();
    port.drain(contexts);
    for (void* const context : contexts) ++*static_cast<int*>(context);
    told += contexts.size();
  }
  EXPECT_THAT(tokens, ::testing::Each(1));
}

TEST(BatcherBatch, PortTellsAtOnceOfARequestThatIsDone) {
  Held held({});
  CompletionPort port;
  Ticket ticket = held.infer({1.0F});
  EXPECT_TRUE(ticket.notify(port, &ticket));
  std::vector<void*> contexts;
  port.drain(contexts);
  EXPECT_THAT(contexts, ElementsAre(&ticket));
}

TEST(BatcherBatch, PortTellsOfACancelledRequest) {
  Held held({});
  CompletionPort port;
  const Ticket first = held.occupy();
  Ticket ticket = held.submit({1.0F});
  ticket.notify(port, &ticket);
  EXPECT_TRUE(ticket.cancel());
  std::vector<void*> contexts;
  port.drain(contexts);
  EXPECT_THAT(contexts, ElementsAre(&ticket));
}

TEST(BatcherBatch, TicketTellsWhetherItsRowsFillTheMemoryOfTheAnswer) {
  Held held({.max_batch_size = 8});
  EXPECT_TRUE(held.infer({1.0F, 2.0F}).owns_whole_block());
  const Ticket first = held.occupy();
  const Ticket second = held.submit({1.0F});
  const Ticket third = held.submit({1.0F});
  held.gate.open();
  second.wait();
  third.wait();
  EXPECT_FALSE(second.owns_whole_block());
  EXPECT_FALSE(third.owns_whole_block());
}

TEST(BatcherBatch, UnreadAnswersAreCopiedOutWhenBlocksRunShort) {
  Held held({.max_batch_size = 1, .queue_capacity = 16});
  std::vector<Ticket> unread;
  for (int i = 0; i < 100; ++i) unread.push_back(held.infer({static_cast<float>(i)}));
  EXPECT_GT(held.batcher.stats().unread_bytes, 0U);
  for (int i = 0; i < 100; ++i) {
    EXPECT_THAT(answer_of(unread[static_cast<std::size_t>(i)]),
                ElementsAre(2.0F * static_cast<float>(i) + 1.0F));
  }
  unread.clear();
  EXPECT_EQ(held.batcher.stats().unread_bytes, 0U);
}

TEST(BatcherBatch, FilledBatchesHaveExactlyTheSizeOfAGear) {
  Held held({.gears = {4, 8}, .fill = Fill::yes});
  held.sizes.clear();
  EXPECT_THAT(answer_of(held.infer({1.0F, 2.0F, 3.0F})), ElementsAre(3.0F, 5.0F, 7.0F));
  EXPECT_THAT(answer_of(held.infer({1.0F, 2.0F, 3.0F, 4.0F, 5.0F})),
              ElementsAre(3.0F, 5.0F, 7.0F, 9.0F, 11.0F));
  EXPECT_THAT(held.sizes, ElementsAre(4U, 8U));
  held.batcher.close();
  EXPECT_EQ(held.batcher.stats().padded_rows, 4U);
  EXPECT_EQ(held.batcher.stats().batches_by_size[3], 1U);
}

TEST(BatcherBatch, FixedBatchModelIsFilled) {
  Held held({}, {.fixed_batch = 4});
  held.sizes.clear();
  EXPECT_THAT(answer_of(held.infer({1.0F})), ElementsAre(3.0F));
  Rows rows(7, 1.0F);
  EXPECT_EQ(answer_of(held.infer(rows)), Rows(7, 3.0F));
  EXPECT_THAT(held.sizes, ::testing::Each(4U));
}

TEST(BatcherBatch, FilledRowsAreThoseThatWarmUpRan) {
  Rows seen;
  const Rows example{42.0F};
  BatchingOptions options{
      .gears = {4}, .fill = Fill::yes, .batching = Batching::always, .workers = 1};
  options.examples = {rows_of(example)};
  Batcher batcher(make_executor([&](const Batch& batch, RunOutputs&) {
                    seen.assign(floats(batch.inputs[0]), floats(batch.inputs[0]) + batch.rows);
                    return add_one(batch);
                  }),
                  options);
  const Rows rows{1.0F};
  const InputView view = rows_of(rows);
  batcher.infer({&view, 1});
  EXPECT_THAT(seen, ElementsAre(1.0F, 42.0F, 42.0F, 42.0F));
}

TEST(BatcherBatch, BatchingOffNeverMerges) {
  Held held({.batching = Batching::off, .queue_capacity = 8});
  const Ticket first = held.occupy();
  std::vector<Ticket> tickets;
  for (int i = 0; i < 8; ++i) tickets.push_back(held.submit({1.0F}));
  for (const Ticket& ticket : tickets) EXPECT_TRUE(ticket.accepted());
  held.gate.open();
  held.batcher.close();
  EXPECT_EQ(held.batcher.stats().batches_by_size[1], 9U);
}

TEST(BatcherBatch, BatchingOffRunsRequestsWhole) {
  Held held({.max_batch_size = 4, .batching = Batching::off});
  held.sizes.clear();
  EXPECT_EQ(answer_of(held.infer(Rows(4, 1.0F))), Rows(4, 3.0F));
  EXPECT_THAT(held.sizes, ElementsAre(4U));
}

TEST(BatcherBatch, BatchingOffRefusesRequestsThatItWouldHaveToCut) {
  Held held({.max_batch_size = 4, .batching = Batching::off});
  const Ticket ticket = held.infer(Rows(5, 1.0F));
  EXPECT_EQ(ticket.code(), ErrorCode::invalid_input);
  EXPECT_THAT(ticket.failure().message, HasSubstr("max_batch_size=4"));
}

ModelSpec scaled() {
  ModelSpec spec = CustomExecutor::one_float();
  spec.inputs.push_back(
      {.name = "scale", .dtype = DataType::float32, .row_shape = Shape{}, .shared = true});
  return spec;
}

struct SharedRun {
  float scale;
  std::size_t rows;
};

/// y = x * scale; `runs` lists the runs.
std::unique_ptr<Executor> make_scaler(Gate& gate, std::vector<SharedRun>& runs) {
  return make_executor(
      [&](const Batch& batch, RunOutputs&) {
        const float scale = *floats(batch.inputs[1]);
        runs.push_back({scale, batch.rows});
        gate.pass();
        for (std::size_t row = 0; row < batch.rows; ++row) {
          floats(batch.outputs[0])[row] = floats(batch.inputs[0])[row] * scale;
        }
        return Failure{};
      },
      scaled());
}

TEST(BatcherBatch, SharedInputsMeetOnlyIfTheyAreEqual) {
  Gate gate;
  std::vector<SharedRun> runs;
  Batcher batcher(make_scaler(gate, runs), {.batching = Batching::always, .workers = 1});
  runs.clear();
  const auto submit = [&](float x, float scale) {
    const std::array<InputView, 2> inputs = {InputView{&x, DataType::float32, Shape{1, 1}},
                                             InputView{&scale, DataType::float32, Shape{}}};
    return batcher.submit(inputs);
  };
  gate.close();
  const Ticket first = submit(1.0F, 10.0F);
  gate.wait_for(1);
  const Ticket a = submit(1.0F, 2.0F);
  const Ticket b = submit(1.0F, 3.0F);
  const Ticket c = submit(2.0F, 2.0F);
  const Ticket d = submit(2.0F, 3.0F);
  gate.open();
  EXPECT_THAT(answer_of(a), ElementsAre(2.0F));
  EXPECT_THAT(answer_of(b), ElementsAre(3.0F));
  EXPECT_THAT(answer_of(c), ElementsAre(4.0F));
  EXPECT_THAT(answer_of(d), ElementsAre(6.0F));
  batcher.close();
  ASSERT_EQ(runs.size(), 3U);
  EXPECT_EQ(runs[1].rows, 2U);
  EXPECT_EQ(runs[2].rows, 2U);
}

TEST(BatcherBatch, MoreSharedInputsThanBlocksWaitTheirTurn) {
  Gate gate;
  std::vector<SharedRun> runs;
  Batcher batcher(make_scaler(gate, runs), {.max_batch_size = 4,
                                            .batching = Batching::always,
                                            .max_queue_delay = seconds(10),
                                            .workers = 1,
                                            .queue_capacity = 4});
  std::vector<std::thread> callers;
  for (int i = 1; i <= 6; ++i) {
    callers.emplace_back([&, i] {
      const float x = 1.0F;
      const auto scale = static_cast<float>(i);
      const std::array<InputView, 2> inputs = {InputView{&x, DataType::float32, Shape{1, 1}},
                                               InputView{&scale, DataType::float32, Shape{}}};
      Ticket ticket = batcher.infer(inputs);
      EXPECT_THAT(answer_of(ticket), ElementsAre(scale));
    });
  }
  while (batcher.stats().accepted < 6) std::this_thread::yield();
  batcher.close();
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(batcher.stats().in_flight, 0U);
}

TEST(BatcherBatch, AdoptedOutputsReachTheirRequestsAndAreReleasedOnce) {
  std::atomic<int> adopted{0};
  std::atomic<int> released{0};
  ModelSpec spec = CustomExecutor::one_float();
  spec.outputs[0].row_shape = Shape{-1};
  struct Owned {
    std::vector<float> values;
    std::atomic<int>* released;
  };
  Batcher batcher(make_executor(
                      [&](const Batch& batch, RunOutputs& outputs) {
                        auto* const owned = new Owned{{}, &released};
                        for (std::size_t row = 0; row < batch.rows; ++row) {
                          owned->values.push_back(floats(batch.inputs[0])[row]);
                          owned->values.push_back(-floats(batch.inputs[0])[row]);
                        }
                        ++adopted;
                        outputs.adopt(
                            0, owned->values.data(),
                            Shape{static_cast<std::int64_t>(batch.rows), 2},
                            [](void* memory) {
                              ++*static_cast<Owned*>(memory)->released;
                              delete static_cast<Owned*>(memory);
                            },
                            owned);
                        return Failure{};
                      },
                      spec),
                  {.max_batch_size = 4, .batching = Batching::always, .workers = 1});
  Rows rows(6);
  std::iota(rows.begin(), rows.end(), 1.0F);
  const InputView view = rows_of(rows);
  const InputView one{rows.data(), DataType::float32, Shape{1, 1}};
  {
    const Ticket cut = batcher.infer({&view, 1});
    EXPECT_EQ(cut.output(0).shape, (Shape{6, 2}));
    EXPECT_EQ(answer_of(cut)[11], -6.0F);
    const Ticket ticket = batcher.infer({&one, 1});
    EXPECT_EQ(ticket.output(0).shape, (Shape{1, 2}));
    EXPECT_LT(released, adopted);
  }
  batcher.close();
  EXPECT_EQ(released, adopted);
}

TEST(BatcherBatch, BlockingCallFromInsideARunIsRefused) {
  Batcher* self = nullptr;
  ErrorCode inner = ErrorCode::none;
  ErrorCode submitted = ErrorCode::none;
  const float x = 1.0F;
  const InputView view{&x, DataType::float32, Shape{1, 1}};
  std::vector<Ticket> kept;
  Batcher batcher(make_executor([&](const Batch& batch, RunOutputs&) {
                    if (self != nullptr && kept.empty()) {
                      kept.push_back(self->infer({&view, 1}));
                      inner = kept.back().code();
                      kept.push_back(self->submit({&view, 1}));
                      submitted = kept.back().code();
                    }
                    return add_one(batch);
                  }),
                  {.batching = Batching::always, .workers = 1});
  self = &batcher;
  EXPECT_EQ(batcher.infer({&view, 1}).code(), ErrorCode::none);
  EXPECT_EQ(inner, ErrorCode::invalid_input);
  EXPECT_EQ(submitted, ErrorCode::none);
  EXPECT_THAT(answer_of(kept[1]), ElementsAre(2.0F));
}

TEST(BatcherBatch, BlockingCallThatComesBackThroughAnotherModelIsRefused) {
  const float x = 1.0F;
  const InputView view{&x, DataType::float32, Shape{1, 1}};
  Batcher* first = nullptr;
  Batcher* second = nullptr;
  ErrorCode inner = ErrorCode::none;
  Batcher outer_model(make_executor([&](const Batch& batch, RunOutputs&) {
                        if (second != nullptr) second->infer({&view, 1});
                        return add_one(batch);
                      }),
                      {.batching = Batching::always, .workers = 1});
  Batcher inner_model(make_executor([&](const Batch& batch, RunOutputs&) {
                        if (first != nullptr) inner = first->infer({&view, 1}).code();
                        return add_one(batch);
                      }),
                      {.batching = Batching::always, .workers = 1});
  first = &outer_model;
  second = &inner_model;
  EXPECT_EQ(outer_model.infer({&view, 1}).code(), ErrorCode::none);
  EXPECT_EQ(inner, ErrorCode::invalid_input);
}

TEST(BatcherBatch, InvalidInputsAreRefusedAndCounted) {
  Held held({});
  const InputView wrong{nullptr, DataType::int64, Shape{1, 1}};
  const Ticket ticket = held.batcher.infer({&wrong, 1});
  EXPECT_FALSE(ticket.accepted());
  EXPECT_TRUE(ticket.done());
  EXPECT_EQ(ticket.code(), ErrorCode::invalid_input);
  EXPECT_THROW(ticket.get(), Error);
  EXPECT_EQ(held.batcher.stats().refused, 1U);
  EXPECT_EQ(held.batcher.stats().accepted, 0U);
}

TEST(BatcherBatch, MemoryPlanIsExact) {
  Held held({.gears = {1, 4}, .workers = 2, .queue_capacity = 12});
  const MemoryPlan plan = held.batcher.memory_plan();
  EXPECT_EQ(plan.batch_blocks, 3U + 2U);
  EXPECT_EQ(plan.batch_block_bytes, 64U);  // four floats, aligned
  EXPECT_EQ(plan.output_block_bytes, 64U);
  EXPECT_EQ(plan.queue_capacity, 12U);
  EXPECT_EQ(plan.total_bytes, 64U * (plan.batch_blocks + plan.output_blocks));
  ASSERT_EQ(plan.gears.size(), 2U);
  EXPECT_EQ(plan.gears[1].batch_size, 4U);
  EXPECT_EQ(plan.gears[1].input_bytes, 16U);
  EXPECT_EQ(plan.gears[0].output_bytes, 4U);
}

TEST(BatcherBatch, DelayCanBeChangedAndIsChecked) {
  Held held({});
  held.batcher.set_max_queue_delay(seconds(2));
  EXPECT_EQ(held.batcher.max_queue_delay(), seconds(2));
  EXPECT_THROW(held.batcher.set_max_queue_delay(hours(1)), Error);
  EXPECT_THROW(held.batcher.set_max_queue_delay(nanoseconds(-1)), Error);
  EXPECT_EQ(held.batcher.max_queue_delay(), seconds(2));
}

TEST(BatcherBatch, NeedsAnExecutor) { EXPECT_THROW(Batcher(nullptr), Error); }

}  // namespace
}  // namespace dynbatch

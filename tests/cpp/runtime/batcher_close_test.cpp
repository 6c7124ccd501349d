// How a batcher ends: draining or not, in every state, and what outlives it.
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "cpp/runtime/held_batcher.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::add_one;
using dynbatch::testing::answer_of;
using dynbatch::testing::Gate;
using dynbatch::testing::make_executor;
using dynbatch::testing::rows_of;
using Held = dynbatch::testing::HeldBatcher;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

using Rows = std::vector<float>;

void expect_balance(const Batcher& batcher) {
  const Stats stats = batcher.stats();
  EXPECT_EQ(stats.accepted, stats.succeeded + stats.failed + stats.cancelled + stats.timed_out);
  EXPECT_EQ(stats.in_flight, 0U);
  EXPECT_EQ(stats.runs_under_way, 0U);
}

TEST(BatcherClose, DrainAnswersWhatWasAccepted) {
  Held held({.max_batch_size = 4, .max_queue_delay = seconds(10)});
  std::vector<Ticket> tickets;
  for (int i = 0; i < 6; ++i) tickets.push_back(held.submit({static_cast<float>(i)}));
  held.batcher.close(true);
  for (const Ticket& ticket : tickets) EXPECT_EQ(ticket.code(), ErrorCode::none);
  EXPECT_EQ(held.batcher.stats().closed_drain, 1U);
  expect_balance(held.batcher);
}

TEST(BatcherClose, WithoutDrainCancelsWhatWaits) {
  Held held({.max_batch_size = 4, .max_queue_delay = seconds(10)});
  const Ticket ticket = held.submit({1.0F});
  held.batcher.close(false);
  EXPECT_EQ(ticket.code(), ErrorCode::cancelled);
  EXPECT_EQ(held.batcher.stats().cancelled, 1U);
  expect_balance(held.batcher);
}

/// Once armed, its runs end only when they are asked to.
class Endless final : public Executor {
 public:
  const ModelSpec& spec() const noexcept override { return spec_; }
  Failure run(const Batch& batch, dynbatch::RunOutputs&) noexcept override {
    gate.pass();
    return terminated ? dynbatch::testing::failed("terminated") : add_one(batch);
  }
  void terminate() noexcept override {
    terminated = true;
    gate.open();
  }

  Gate gate;
  std::atomic<bool> terminated{false};

 private:
  ModelSpec spec_ = dynbatch::testing::CustomExecutor::one_float();
};

struct EndlessBatcher {
  EndlessBatcher()
      : executor(new Endless), batcher(std::unique_ptr<Executor>(executor), options()) {
    executor->gate.close();
  }
  static BatchingOptions options() { return {.batching = Batching::always, .workers = 1}; }

  Endless* executor;
  Batcher batcher;
  Rows row{1.0F};
  InputView view = rows_of(row);
};

TEST(BatcherClose, WithoutDrainAsksTheRunToEnd) {
  EndlessBatcher endless;
  const Ticket running = endless.batcher.submit({&endless.view, 1});
  endless.executor->gate.wait_for(1);
  const Ticket waiting = endless.batcher.submit({&endless.view, 1});
  endless.batcher.close(false);
  EXPECT_EQ(running.code(), ErrorCode::cancelled);
  EXPECT_EQ(waiting.code(), ErrorCode::cancelled);
  expect_balance(endless.batcher);
}

TEST(BatcherClose, WithoutDrainAsksTheRunOfACallerToEnd) {
  EndlessBatcher endless;
  std::thread caller(
      [&] { EXPECT_EQ(endless.batcher.infer({&endless.view, 1}).code(), ErrorCode::cancelled); });
  endless.executor->gate.wait_for(1);
  endless.batcher.close(false);
  caller.join();
  expect_balance(endless.batcher);
}

TEST(BatcherClose, WithoutDrainOvertakesOneThatDrains) {
  EndlessBatcher endless;
  const Ticket running = endless.batcher.submit({&endless.view, 1});
  endless.executor->gate.wait_for(1);
  std::thread drainer([&] { endless.batcher.close(true); });
  while (!endless.batcher.closed()) std::this_thread::yield();
  endless.batcher.close(false);
  drainer.join();
  EXPECT_TRUE(running.done());
}

TEST(BatcherClose, RefusesNewRequests) {
  Held held({});
  held.batcher.close();
  EXPECT_TRUE(held.batcher.closed());
  EXPECT_EQ(held.submit({1.0F}).code(), ErrorCode::closed);
  EXPECT_EQ(held.infer({1.0F}).code(), ErrorCode::closed);
  EXPECT_EQ(held.infer(Rows(100, 1.0F)).code(), ErrorCode::closed);
}

TEST(BatcherClose, CutRequestThatWaitsForRoomEnds) {
  Held held({.max_batch_size = 1, .queue_capacity = 1});
  const Ticket first = held.occupy();
  std::thread caller([&] {
    const Ticket large = held.infer(Rows(50, 1.0F));
    EXPECT_EQ(large.code(), ErrorCode::cancelled);  // accepted, so neither refused nor failed
  });
  while (held.batcher.stats().accepted < 2) std::this_thread::yield();
  std::thread closer([&] { held.batcher.close(false); });
  while (!held.batcher.closed()) std::this_thread::yield();
  held.gate.open();
  caller.join();
  closer.join();
  EXPECT_EQ(held.batcher.stats().failed, 0U);
  expect_balance(held.batcher);
}

TEST(BatcherClose, MayBeCalledByManyThreads) {
  Held held({.max_queue_delay = seconds(10)});
  const Ticket ticket = held.submit({1.0F});
  std::vector<std::thread> closers;
  for (int i = 0; i < 4; ++i) closers.emplace_back([&, i] { held.batcher.close(i % 2 == 0); });
  for (std::thread& closer : closers) closer.join();
  EXPECT_TRUE(ticket.done());
  expect_balance(held.batcher);
}

TEST(BatcherClose, IdleBatcherCloses) {
  Held held({.workers = 4});
  held.batcher.close(true);
  held.batcher.close(false);
  expect_balance(held.batcher);
}

TEST(BatcherClose, RunThatClosesItsOwnBatcherGoesOn) {
  Batcher* self = nullptr;
  Batcher batcher(make_executor([&](const Batch& batch, dynbatch::RunOutputs&) {
                    if (self != nullptr) self->close(true);
                    return add_one(batch);
                  }),
                  {.batching = Batching::always, .workers = 2});
  self = &batcher;
  const Rows rows{1.0F};
  const InputView view = rows_of(rows);
  const Ticket ticket = batcher.submit({&view, 1});
  EXPECT_THAT(answer_of(ticket), ElementsAre(2.0F));
  self = nullptr;
  batcher.close();
  expect_balance(batcher);
}

/// An executor that tells when it is destroyed.
class Mortal final : public Executor {
 public:
  Mortal(std::function<void()> on_run, std::promise<void>& gone)
      : on_run_(std::move(on_run)),
        gone_(gone),
        spec_(dynbatch::testing::CustomExecutor::one_float()) {}
  ~Mortal() override { gone_.set_value(); }
  const ModelSpec& spec() const noexcept override { return spec_; }
  Failure run(const Batch& batch, dynbatch::RunOutputs&) noexcept override {
    on_run_();
    return add_one(batch);
  }

 private:
  std::function<void()> on_run_;
  std::promise<void>& gone_;
  ModelSpec spec_;
};

TEST(BatcherClose, CloseForReturnsThoughARunGoesOn) {
  Held held({});
  const Ticket running = held.occupy();
  EXPECT_FALSE(held.batcher.close_for(nanoseconds(1)));
  EXPECT_EQ(held.submit({1.0F}).code(), ErrorCode::closed);
  held.gate.open();
  EXPECT_TRUE(held.batcher.close_for(seconds(1000)));
  EXPECT_EQ(running.code(), ErrorCode::none);
}

TEST(BatcherClose, WaitingForWorkersEndsWithTheBatcher) {
  Held held({.workers = 2, .own_workers = false});
  std::thread waits([&] { held.batcher.wait_for_workers(); });
  held.batcher.close();
  waits.join();
}

TEST(BatcherClose, RunMayDropItsOwnBatcher) {
  std::unique_ptr<Batcher> batcher;
  std::atomic<bool> armed{false};
  std::promise<void> gone;
  std::promise<void> submitted;
  const auto drop = [&] {
    if (!armed.exchange(false)) return;
    submitted.get_future().wait();
    batcher.reset();
  };
  batcher = std::make_unique<Batcher>(std::make_unique<Mortal>(drop, gone),
                                      BatchingOptions{.batching = Batching::always, .workers = 3});
  armed = true;
  const Rows rows{1.0F};
  const InputView view = rows_of(rows);
  const Ticket ticket = batcher->submit({&view, 1});
  submitted.set_value();
  EXPECT_THAT(answer_of(ticket), ElementsAre(2.0F));
  gone.get_future().wait();
}

class RunOnItsCaller : public ::testing::TestWithParam<bool> {};

TEST_P(RunOnItsCaller, MayDropTheBatcher) {
  std::unique_ptr<Batcher> batcher;
  bool armed = false;
  std::promise<void> gone;
  const auto drop = [&] {
    if (std::exchange(armed, false)) batcher.reset();
  };
  batcher = std::make_unique<Batcher>(
      std::make_unique<Mortal>(drop, gone),
      BatchingOptions{.batching = Batching::always, .workers = 1, .own_workers = GetParam()});
  armed = true;
  const Rows rows{1.0F};
  const InputView view = rows_of(rows);
  const Ticket ticket = batcher->infer({&view, 1});
  EXPECT_EQ(batcher, nullptr);
  EXPECT_EQ(ticket.code(), ErrorCode::none);
  gone.get_future().wait();
}

INSTANTIATE_TEST_SUITE_P(WithWorkersOrWithout, RunOnItsCaller, ::testing::Bool());

TEST(BatcherClose, TicketsOutliveTheirBatcher) {
  auto held = std::make_unique<Held>(BatchingOptions{.max_queue_delay = seconds(10)});
  Ticket waiting = held->submit(Rows(32, 2.0F));
  const Ticket cancelled = held->submit({3.0F});
  waiting.wait();
  held.reset();
  EXPECT_EQ(answer_of(waiting), Rows(32, 5.0F));
  EXPECT_EQ(waiting.output_count(), 1U);
  EXPECT_EQ(cancelled.code(), ErrorCode::cancelled);
  EXPECT_FALSE(waiting.cancel());
}

TEST(BatcherClose, ForkedChildIsAnsweredClosedAndMayDropTheBatcher) {
  auto held = std::make_unique<Held>(BatchingOptions{.workers = 2});
  EXPECT_EQ(held->infer({1.0F}).code(), ErrorCode::none);
  Ticket done = held->infer({2.0F});
  held->batcher.set_max_queue_delay(seconds(10));
  Ticket waiting = held->submit({0.0F});
  const pid_t child = fork();
  if (child == 0) {
    alarm(30);  // ends a child that hangs
    int faults = 0;
    if (held->submit({1.0F}).code() != ErrorCode::closed) ++faults;
    if (held->infer({1.0F}, {.timeout = seconds(1)}).code() != ErrorCode::closed) ++faults;
    if (!held->batcher.closed()) ++faults;
    if (answer_of(done) != Rows{5.0F}) ++faults;
    waiting.wait();
    if (!waiting.done() || waiting.code() != ErrorCode::closed) ++faults;
    if (waiting.failure().message.find("fork") == std::string::npos) ++faults;
    if (waiting.cancel() || waiting.expire() || done.cancel()) ++faults;
    waiting = Ticket();
    held->batcher.close();
    held->batcher.work();
    held->batcher.wait_for_workers();
    static_cast<void>(held->batcher.stats());
    held.reset();
    _exit(faults);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  held->batcher.set_max_queue_delay(seconds(0));
  EXPECT_EQ(answer_of(waiting), Rows{1.0F});
  EXPECT_EQ(held->infer({1.0F}).code(), ErrorCode::none);
}

TEST(Ticket, EmptyOneIsDoneAndHoldsNothing) {
  Ticket ticket;
  EXPECT_FALSE(ticket.accepted());
  EXPECT_TRUE(ticket.done());
  EXPECT_FALSE(ticket.cancel());
  EXPECT_FALSE(ticket.expire());
  EXPECT_EQ(ticket.code(), ErrorCode::none);
  EXPECT_EQ(ticket.rows(), 0U);
  ticket.wait();
}

TEST(Ticket, CancelBeforeTheRunWins) {
  Held held({});
  const Ticket first = held.occupy();
  Ticket ticket = held.submit({1.0F});
  EXPECT_TRUE(ticket.cancel());
  EXPECT_FALSE(ticket.cancel());
  EXPECT_FALSE(ticket.expire());
  EXPECT_EQ(ticket.failure().message, "cancelled");
}

TEST(Ticket, CancelDuringTheRunDropsTheResult) {
  Held held({});
  Ticket ticket = held.occupy();
  EXPECT_TRUE(ticket.cancel());
  held.gate.open();
  held.batcher.close();
  EXPECT_EQ(ticket.code(), ErrorCode::cancelled);
  EXPECT_EQ(held.batcher.stats().succeeded, 0U);
  EXPECT_EQ(held.batcher.stats().rows, 1U);
}

TEST(Ticket, CancelAfterTheRunComesTooLate) {
  Held held({});
  Ticket ticket = held.infer({1.0F});
  EXPECT_FALSE(ticket.cancel());
  EXPECT_THAT(answer_of(ticket), ElementsAre(3.0F));
}

TEST(Ticket, DroppedTicketDoesNotCancel) {
  Held held({});
  {
    const Ticket dropped = held.occupy();
  }
  held.gate.open();
  held.batcher.close();
  EXPECT_EQ(held.batcher.stats().succeeded, 1U);
}

TEST(Ticket, MovedTicketKeepsItsRequest) {
  Held held({});
  Ticket first = held.infer({1.0F});
  Ticket second = std::move(first);
  EXPECT_THAT(answer_of(second), ElementsAre(3.0F));
  EXPECT_FALSE(first.accepted());  // NOLINT(bugprone-use-after-move)
}

TEST(Ticket, GetThrowsWhatFailed) {
  Held held({}, {.poison = 13.0F});
  const Ticket ticket = held.infer({13.0F});
  try {
    ticket.get();
    FAIL() << "threw nothing";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::execution);
    EXPECT_STREQ(error.what(), "row 0 is poisoned");
  }
}

}  // namespace
}  // namespace dynbatch

#include "batch/request_ledger.hpp"

#include <gmock/gmock.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <dynbatch/completion_port.hpp>

#include "batch/request_wait.hpp"

namespace dynbatch {
namespace {

using Ledger = RequestLedger<StdPlatform>;
using R = Request<StdPlatform>;

ModelSpec spec() {
  ModelSpec spec;
  spec.inputs = {{.name = "x", .dtype = DataType::float32, .row_shape = Shape{1}}};
  spec.outputs = {{.name = "y", .dtype = DataType::float32, .row_shape = Shape{1}}};
  return spec;
}

std::unique_ptr<Ledger> make_ledger() {
  return std::make_unique<Ledger>(spec(), std::vector<Shape>{Shape{1}},
                                  BlockLayout(spec().outputs, 4), 4, 1);
}

/// Ends the request as the queue does, and drops the queue's hold.
bool end_from_queue(Ledger& ledger, R& request, ErrorCode code) {
  Tally tally;
  const std::uint32_t state = ledger.end(request, code, tally);
  ledger.add(tally);
  const bool won = (state & R::kDone) == 0;
  if (won) ledger.tell(request, state);
  ledger.release(request);
  return won;
}

TEST(RequestLedger, EndedRequestTellsHowItEnded) {
  const auto ledger = make_ledger();
  R& request = *ledger->acquire(1);
  EXPECT_FALSE(request.is_done());
  EXPECT_TRUE(end_from_queue(*ledger, request, ErrorCode::execution));
  EXPECT_TRUE(request.is_done());
  EXPECT_EQ(request.code(), ErrorCode::execution);
  ledger->release(request);
}

TEST(RequestLedger, GivingUpAnEndedRequestChangesNothing) {
  const auto ledger = make_ledger();
  R& request = *ledger->acquire(1);
  end_from_queue(*ledger, request, ErrorCode::none);
  EXPECT_FALSE(ledger->give_up(request, ErrorCode::cancelled));
  EXPECT_EQ(request.code(), ErrorCode::none);
  EXPECT_EQ(ledger->cancelled(), 0U);
  ledger->release(request);
}

TEST(RequestLedger, EndingAGivenUpRequestChangesNothing) {
  const auto ledger = make_ledger();
  R& request = *ledger->acquire(1);
  EXPECT_TRUE(ledger->give_up(request, ErrorCode::timeout));
  EXPECT_FALSE(end_from_queue(*ledger, request, ErrorCode::none));
  EXPECT_EQ(request.code(), ErrorCode::timeout);
  EXPECT_EQ(ledger->succeeded(), 0U);
  ledger->release(request);
}

TEST(RequestLedger, AccountsBalance) {
  const auto ledger = make_ledger();
  const std::array<ErrorCode, 6> ends = {ErrorCode::none,      ErrorCode::none,
                                         ErrorCode::execution, ErrorCode::cancelled,
                                         ErrorCode::timeout,   ErrorCode::closed};
  for (const ErrorCode code : ends) {
    R& request = *ledger->acquire(1);
    ledger->accept();
    EXPECT_EQ(ledger->in_flight(), 1U);
    end_from_queue(*ledger, request, code);
    EXPECT_EQ(ledger->in_flight(), 0U);
    ledger->release(request);
  }
  EXPECT_EQ(ledger->accepted(), 6U);
  EXPECT_EQ(ledger->succeeded(), 2U);
  EXPECT_EQ(ledger->failed(), 2U);
  EXPECT_EQ(ledger->cancelled(), 1U);
  EXPECT_EQ(ledger->timed_out(), 1U);
}

TEST(RequestLedger, FirstFailureIsKept) {
  const auto ledger = make_ledger();
  R& request = *ledger->acquire(1);
  ledger->set_failure(request, {ErrorCode::execution, "first", nullptr});
  ledger->set_failure(request, {ErrorCode::timeout, "second", nullptr});
  EXPECT_EQ(request.failure.load()->message, "first");
  end_from_queue(*ledger, request, ErrorCode::execution);
  ledger->release(request);
}

TEST(RequestLedger, CauseGoesWithTheLastHold) {
  const auto ledger = make_ledger();
  auto cause = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = cause;
  R& request = *ledger->acquire(1);
  ledger->set_failure(request, {ErrorCode::execution, "no", std::move(cause)});
  end_from_queue(*ledger, request, ErrorCode::execution);
  EXPECT_FALSE(watch.expired());
  ledger->release(request);
  EXPECT_TRUE(watch.expired());
}

TEST(RequestLedger, LastHoldGivesTheOutputBlockBack) {
  const auto ledger = make_ledger();
  R& request = *ledger->acquire(1);
  auto& block = *ledger->output_pool.acquire();
  block.readers.store(1);
  ASSERT_TRUE(ledger->output_pool.lend(block));
  request.outputs = &block;
  end_from_queue(*ledger, request, ErrorCode::none);
  EXPECT_FALSE(ledger->output_pool.invariants_hold());
  ledger->release(request);
  EXPECT_TRUE(ledger->output_pool.invariants_hold());
}

TEST(RequestLedger, RecycledRequestStartsAnew) {
  const auto ledger = make_ledger();
  R& request = *ledger->acquire(3);
  request.is_cut = true;
  request.submitted_at = 5;
  ledger->set_failure(request, {ErrorCode::execution, "old", nullptr});
  end_from_queue(*ledger, request, ErrorCode::execution);
  ledger->release(request);
  R& again = *ledger->acquire(1);
  ASSERT_EQ(&again, &request);
  EXPECT_FALSE(again.is_done());
  EXPECT_FALSE(again.is_cut);
  EXPECT_EQ(again.submitted_at, 0);
  EXPECT_EQ(again.failure.load(), nullptr);
  ledger->release(again);
  ledger->release(again);
}

TEST(RequestLedger, AbandonedLedgerLivesUntilTheLastRequestIsReleased) {
  auto ledger = make_ledger();
  Ledger& alive = *ledger;
  std::vector<R*> requests;
  for (int i = 0; i < 3; ++i) requests.push_back(alive.acquire(1));
  for (R* const request : requests) alive.release(*request);
  auto cause = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = cause;
  alive.set_failure(*requests[2], {ErrorCode::execution, "no", std::move(cause)});
  RequestLedger<StdPlatform>::abandon(std::move(ledger));
  alive.release(*requests[0]);
  alive.release(*requests[1]);
  EXPECT_FALSE(watch.expired());
  alive.release(*requests[2]);  // a leak, or a use of freed memory, is seen by AddressSanitizer
  EXPECT_TRUE(watch.expired());
}

TEST(RequestLedger, AbandonRacesWithTheLastReleases) {
  constexpr int kRounds = 400 / DYNBATCH_STRESS_DIVISOR;
  for (int round = 0; round < kRounds; ++round) {
    auto ledger = make_ledger();
    Ledger& alive = *ledger;
    std::vector<R*> requests;
    for (int i = 0; i < 8; ++i) requests.push_back(alive.acquire(1));
    std::atomic<bool> go{false};
    std::vector<std::thread> releasers;
    for (std::size_t half = 0; half < 2; ++half) {
      releasers.emplace_back([&, half] {
        while (!go) std::this_thread::yield();
        for (std::size_t i = half; i < requests.size(); i += 2) {
          alive.release(*requests[i]);
          alive.release(*requests[i]);
        }
      });
    }
    go = true;
    Ledger::abandon(std::move(ledger));
    for (std::thread& thread : releasers) thread.join();
  }
}

/// Completion, cancel and expiry race for each request; one of them wins, and all wake.
TEST(RequestLedger, ExactlyOneOfThreeEndsWins) {
  constexpr int kRounds = 3000 / DYNBATCH_STRESS_DIVISOR;
  const auto ledger = make_ledger();
  std::array<std::atomic<R*>, 3> handed{};
  std::atomic<int> wins{0};
  std::atomic<int> returned{0};
  const auto racer = [&](std::size_t who, auto&& end) {
    for (int round = 0; round < kRounds; ++round) {
      R* request = nullptr;
      while ((request = handed[who].exchange(nullptr)) == nullptr) std::this_thread::yield();
      if (end(*request)) ++wins;
      ++returned;
    }
  };
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    racer(0, [&](R& request) { return end_from_queue(*ledger, request, ErrorCode::none); });
  });
  threads.emplace_back([&] {
    racer(1, [&](R& request) { return ledger->give_up(request, ErrorCode::cancelled); });
  });
  threads.emplace_back(
      [&] { racer(2, [&](R& request) { return ledger->give_up(request, ErrorCode::timeout); }); });
  for (int round = 0; round < kRounds; ++round) {
    R& request = *ledger->acquire(1);
    ledger->accept();
    for (auto& slot : handed) slot = &request;
    EXPECT_TRUE(wait_for_end(request, kNever));
    while (returned < 3 * (round + 1)) std::this_thread::yield();
    ASSERT_EQ(wins, round + 1);
    ledger->release(request);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ledger->succeeded() + ledger->cancelled() + ledger->timed_out(), ledger->accepted());
  EXPECT_EQ(ledger->in_flight(), 0U);
}

TEST(RequestWait, DeadlinePassesWithoutAnEnd) {
  const auto ledger = make_ledger();
  R& request = *ledger->acquire(1);
  EXPECT_FALSE(wait_for_end(request, StdPlatform::now() - 1));
  EXPECT_FALSE(wait_for_end(request, StdPlatform::now() + 1000));
  ledger->release(request);
  ledger->release(request);
}

TEST(RequestWait, AnyNumberOfThreadsWaitForOneRequest) {
  const auto ledger = make_ledger();
  R& request = *ledger->acquire(1);
  std::vector<std::thread> waiters;
  std::atomic<int> woken{0};
  for (int i = 0; i < 4; ++i) {
    waiters.emplace_back([&] {
      if (wait_for_end(request, kNever)) ++woken;
    });
  }
  end_from_queue(*ledger, request, ErrorCode::none);
  for (std::thread& thread : waiters) thread.join();
  EXPECT_EQ(woken, 4);
  ledger->release(request);
}

}  // namespace
}  // namespace dynbatch

// Runs that fail: the guilty request fails alone, its neighbours get their answers.
#include <dynbatch/batcher.hpp>

#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "cpp/runtime/custom_executor.hpp"
#include "cpp/runtime/float_rows.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::add_one;
using dynbatch::testing::answer_of;
using dynbatch::testing::CustomExecutor;
using dynbatch::testing::failed;
using dynbatch::testing::floats;
using dynbatch::testing::Gate;
using dynbatch::testing::make_executor;
using dynbatch::testing::rows_of;
using dynbatch::testing::RunFunction;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Rows = std::vector<float>;
constexpr float kPoison = 666.0F;

Failure fails_on_poison(const Batch& batch) {
  for (std::size_t row = 0; row < batch.rows; ++row) {
    if (floats(batch.inputs[0])[row] == kPoison) return failed("poisoned");
  }
  return add_one(batch);
}

/// A batcher whose batches of eight rows form by themselves.
class OfEight {
 public:
  explicit OfEight(RunFunction run, BatchingOptions options = {}, bool reruns = true) {
    options.batching = Batching::always;
    options.workers = 1;
    options.max_queue_delay = seconds(10);
    if (options.gears.empty()) options.max_batch_size = 8;
    batcher = std::make_unique<Batcher>(
        std::make_unique<CustomExecutor>(std::move(run), CustomExecutor::one_float(), reruns),
        options);
  }
  void submit(const Rows& rows) {
    const InputView view = rows_of(rows);
    tickets.push_back(batcher->submit({&view, 1}));
  }
  /// Eight requests of one row, of which those at `poisoned` are.
  void submit_eight(const std::vector<std::size_t>& poisoned) {
    for (std::size_t i = 0; i < 8; ++i) {
      const bool bad = std::count(poisoned.begin(), poisoned.end(), i) > 0;
      submit({bad ? kPoison : static_cast<float>(i)});
    }
    for (const Ticket& ticket : tickets) ticket.wait();
    batcher->close();
  }
  std::vector<std::size_t> failed_ones() const {
    std::vector<std::size_t> guilty;
    for (std::size_t i = 0; i < tickets.size(); ++i) {
      if (tickets[i].code() != ErrorCode::none) {
        guilty.push_back(i);
      } else {
        EXPECT_THAT(answer_of(tickets[i]), ElementsAre(static_cast<float>(i) + 1.0F));
      }
    }
    return guilty;
  }

  std::unique_ptr<Batcher> batcher;
  std::vector<Ticket> tickets;
};

Failure poisonable(const Batch& batch, RunOutputs&) { return fails_on_poison(batch); }

/// Holds the second of the runs that are counted.
struct SecondRunHeld {
  Gate gate;
  std::atomic<int> runs{-1000};
};

/// The first of eight requests is guilty, and the first run of the search stands at the gate.
struct SearchedEight : SecondRunHeld, OfEight {
  SearchedEight()
      : OfEight([this](const Batch& batch, RunOutputs&) {
          if (++runs == 2) gate.pass();
          return fails_on_poison(batch);
        }) {
    runs = 0;
    gate.close();
    submit({kPoison});
    for (int i = 1; i < 8; ++i) submit({0.0F});
    gate.wait_for(1);
  }
  ~SearchedEight() { gate.open(); }
};

TEST(BatcherFailure, SevenOfEightAreAnsweredWhoeverIsGuilty) {
  for (std::size_t guilty = 0; guilty < 8; ++guilty) {
    OfEight eight(poisonable);
    eight.submit_eight({guilty});
    EXPECT_THAT(eight.failed_ones(), ElementsAre(guilty));
    EXPECT_EQ(eight.batcher->stats().failed, 1U);
    EXPECT_EQ(eight.batcher->stats().succeeded, 7U);
  }
}

TEST(BatcherFailure, TwoGuiltyOnesFailAlone) {
  OfEight eight(poisonable);
  eight.submit_eight({1, 6});
  EXPECT_THAT(eight.failed_ones(), ElementsAre(1U, 6U));
}

/// Their half fails six times over, but the other half shows that the executor is well.
TEST(BatcherFailure, ManyGuiltyOnesOfOneHalfHarmNobodyElse) {
  OfEight eight(poisonable);
  eight.submit_eight({0, 1, 2});
  EXPECT_THAT(eight.failed_ones(), ElementsAre(0U, 1U, 2U));
}

TEST(BatcherFailure, ExecutorThatFailsOnlyInCompanyAnswersEachAlone) {
  std::atomic<bool> loaded{false};
  OfEight eight([&](const Batch& batch, RunOutputs&) {
    return loaded && batch.rows > 1 ? failed("too much at once") : add_one(batch);
  });
  loaded = true;
  eight.submit_eight({});
  EXPECT_TRUE(eight.failed_ones().empty());
}

TEST(BatcherFailure, GuiltyRequestTellsWhy) {
  OfEight eight(poisonable);
  eight.submit_eight({3});
  EXPECT_EQ(eight.tickets[3].code(), ErrorCode::execution);
  EXPECT_EQ(eight.tickets[3].failure().message, "poisoned");
}

TEST(BatcherFailure, RerunsAreBoundedIfTheDeviceIsDown) {
  std::atomic<bool> down{false};
  OfEight eight(
      [&](const Batch& batch, RunOutputs&) { return down ? failed("down") : add_one(batch); });
  down = true;
  eight.submit_eight({});
  EXPECT_EQ(eight.failed_ones().size(), 8U);
  EXPECT_LE(eight.batcher->stats().batches, 1U + 6U);
  EXPECT_EQ(eight.batcher->stats().failed_runs, eight.batcher->stats().batches);
  EXPECT_EQ(eight.batcher->stats().reruns, eight.batcher->stats().batches - 1);
}

TEST(BatcherFailure, LoneRequestIsNotRunAgain) {
  OfEight eight(poisonable);
  eight.submit(Rows(8, kPoison));
  eight.tickets[0].wait();
  eight.batcher->close();
  EXPECT_EQ(eight.batcher->stats().batches, 1U);
}

TEST(BatcherFailure, RequestsAreNotCutByTheSearch) {
  OfEight eight(poisonable);
  eight.submit({0.0F, kPoison, 0.0F});
  eight.submit({1.0F, 1.0F});
  eight.submit({2.0F, 2.0F, 2.0F});
  for (const Ticket& ticket : eight.tickets) ticket.wait();
  EXPECT_EQ(eight.tickets[0].code(), ErrorCode::execution);
  EXPECT_THAT(answer_of(eight.tickets[1]), ElementsAre(2.0F, 2.0F));
  EXPECT_THAT(answer_of(eight.tickets[2]), ElementsAre(3.0F, 3.0F, 3.0F));
}

TEST(BatcherFailure, ExecutorThatMayNotRunAgainFailsTheWholeBatch) {
  OfEight eight(poisonable, {}, false);
  eight.submit_eight({3});
  EXPECT_EQ(eight.failed_ones().size(), 8U);
  EXPECT_EQ(eight.batcher->stats().batches, 1U);
}

TEST(BatcherFailure, FilledBatchesAreIsolatedToo) {
  OfEight eight(
      [](const Batch& batch, RunOutputs&) {
        if (batch.rows != 4 && batch.rows != 8) return failed("not a gear");
        return fails_on_poison(batch);
      },
      {.gears = {4, 8}, .fill = Fill::yes});
  eight.submit_eight({5});
  EXPECT_THAT(eight.failed_ones(), ElementsAre(5U));
}

TEST(BatcherFailure, RowThatTheExecutorFailsFailsItsRequestAlone) {
  OfEight eight([](const Batch& batch, RunOutputs& outputs) {
    for (std::size_t row = 0; row < batch.rows; ++row) {
      if (floats(batch.inputs[0])[row] == kPoison) outputs.fail_row(row, failed("this row"));
    }
    return add_one(batch);
  });
  eight.submit_eight({2});
  EXPECT_THAT(eight.failed_ones(), ElementsAre(2U));
  EXPECT_EQ(eight.tickets[2].failure().message, "this row");
  EXPECT_EQ(eight.batcher->stats().failed_runs, 0U);
  EXPECT_EQ(eight.batcher->stats().batches, 1U);
}

TEST(BatcherFailure, FailedRowBeyondTheBatchIsIgnored) {
  std::atomic<bool> loaded{false};
  OfEight eight([&](const Batch& batch, RunOutputs& outputs) {
    if (loaded) outputs.fail_row(batch.rows + 100, failed("nobody"));
    return add_one(batch);
  });
  loaded = true;
  eight.submit_eight({});
  EXPECT_TRUE(eight.failed_ones().empty());
}

TEST(BatcherFailure, FailedPartFailsTheWholeCutRequest) {
  OfEight eight(poisonable);
  Rows rows(16, 1.0F);
  rows[12] = kPoison;
  eight.submit(rows);
  eight.tickets[0].wait();
  EXPECT_EQ(eight.tickets[0].code(), ErrorCode::execution);
  eight.batcher->close();
  EXPECT_EQ(eight.batcher->stats().failed, 1U);
  EXPECT_EQ(eight.batcher->stats().in_flight, 0U);
}

TEST(BatcherFailure, OutputWithoutARowForEachOfTheBatchFailsTheRun) {
  static const Rows ones(64, 1.0F);
  std::atomic<bool> wrong{false};
  ModelSpec spec = CustomExecutor::one_float();
  spec.outputs[0].row_shape = Shape{-1};
  Batcher batcher(make_executor(
                      [&](const Batch& batch, RunOutputs& outputs) {
                        const auto rows = static_cast<std::int64_t>(batch.rows);
                        outputs.adopt(0, ones.data(), Shape{wrong ? rows + 1 : rows, 1}, nullptr,
                                      nullptr);
                        return Failure{};
                      },
                      spec),
                  {.batching = Batching::always, .workers = 1});
  wrong = true;
  const Rows rows(2);
  const InputView view = rows_of(rows);
  const Ticket ticket = batcher.infer({&view, 1});
  EXPECT_EQ(ticket.code(), ErrorCode::execution);
  EXPECT_THAT(ticket.failure().message, HasSubstr("[3, 1], expected a leading dimension of 2"));
}

TEST(BatcherFailure, PartsOfDifferentShapesDoNotJoin) {
  static const Rows ones(64, 1.0F);
  std::atomic<int> runs{-1000};
  ModelSpec spec = CustomExecutor::one_float();
  spec.outputs[0].row_shape = Shape{-1};
  Batcher batcher(make_executor(
                      [&](const Batch& batch, RunOutputs& outputs) {
                        const std::int64_t width = ++runs > 1 ? 2 : 1;
                        outputs.adopt(0, ones.data(),
                                      Shape{static_cast<std::int64_t>(batch.rows), width}, nullptr,
                                      nullptr);
                        return Failure{};
                      },
                      spec),
                  {.max_batch_size = 4, .batching = Batching::always, .workers = 1});
  runs = 0;
  const Rows rows(8);
  const InputView view = rows_of(rows);
  const Ticket ticket = batcher.infer({&view, 1});
  EXPECT_EQ(ticket.code(), ErrorCode::execution);
  EXPECT_THAT(ticket.failure().message, HasSubstr("raise max_batch_size"));
}

TEST(BatcherFailure, BatchThatFailsOnACallerIsSearchedByAWorker) {
  Batcher batcher(
      make_executor(poisonable),
      {.max_batch_size = 8, .batching = Batching::always, .workers = 1, .own_workers = false});
  const Rows good{1.0F};
  const Rows bad{kPoison};
  const InputView good_view = rows_of(good);
  const InputView bad_view = rows_of(bad);
  const Ticket neighbour = batcher.submit({&good_view, 1});  // nobody is there to run it
  Ticket guilty = batcher.start({&bad_view, 1});             // runs both on this thread
  EXPECT_FALSE(guilty.done());
  std::thread worker([&] { batcher.work(); });
  EXPECT_THAT(answer_of(neighbour), ElementsAre(2.0F));
  guilty.wait();
  EXPECT_EQ(guilty.code(), ErrorCode::execution);
  batcher.close();
  worker.join();
  EXPECT_EQ(batcher.stats().runs_on_callers, 1U);
}

TEST(BatcherFailure, CauseReachesTheTicket) {
  const auto cause = std::make_shared<int>(7);
  std::atomic<bool> fails{false};
  OfEight eight([&](const Batch& batch, RunOutputs&) {
    return fails ? Failure{ErrorCode::execution, "why", cause} : add_one(batch);
  });
  fails = true;
  eight.submit(Rows(8, 1.0F));
  eight.tickets[0].wait();
  EXPECT_EQ(eight.tickets[0].failure().cause, cause);
  eight.tickets.clear();
  eight.batcher.reset();
  EXPECT_EQ(cause.use_count(), 1);
}

TEST(BatcherFailure, GivenUpRequestThatFailsTellsWhatItsCallerDid) {
  Gate gate;
  std::atomic<bool> fails{false};
  OfEight eight([&](const Batch& batch, RunOutputs&) {
    gate.pass();
    return fails ? failed("no") : add_one(batch);
  });
  fails = true;
  gate.close();
  eight.submit(Rows(8, 1.0F));
  gate.wait_for(1);
  EXPECT_TRUE(eight.tickets[0].cancel());
  gate.open();
  eight.batcher->close();
  EXPECT_EQ(eight.tickets[0].code(), ErrorCode::cancelled);
  EXPECT_EQ(eight.tickets[0].failure().code, ErrorCode::cancelled);
  EXPECT_EQ(eight.batcher->stats().failed, 0U);
}

TEST(BatcherFailure, RequestGivenUpDuringTheSearchIsNotRunAgain) {
  SearchedEight eight;
  for (std::size_t i = 4; i < 8; ++i) EXPECT_TRUE(eight.tickets[i].cancel());
  eight.gate.open();
  eight.batcher->close(true);
  EXPECT_EQ(eight.tickets[0].code(), ErrorCode::execution);
  for (std::size_t i = 1; i < 4; ++i) EXPECT_THAT(answer_of(eight.tickets[i]), ElementsAre(1.0F));
  EXPECT_EQ(eight.batcher->stats().cancelled, 4U);
  EXPECT_EQ(eight.batcher->stats().reruns, 5U);  // of 0 to 3, of their halves, and of 0 and 1 alone
}

TEST(BatcherFailure, CloseWithoutDrainEndsTheSearch) {
  SearchedEight eight;
  eight.submit({1.0F});
  std::thread closer([&] { eight.batcher->close(false); });
  eight.tickets[8].wait();  // what waits in the queue is cancelled first
  eight.gate.open();
  closer.join();
  for (const Ticket& ticket : eight.tickets) EXPECT_EQ(ticket.code(), ErrorCode::cancelled);
  EXPECT_EQ(eight.batcher->stats().reruns, 1U);
  EXPECT_EQ(eight.batcher->stats().in_flight, 0U);
}

TEST(BatcherFailure, DrainingCloseFinishesTheSearch) {
  SearchedEight eight;
  std::thread closer([&] { eight.batcher->close(true); });
  while (!eight.batcher->closed()) std::this_thread::yield();
  eight.gate.open();
  closer.join();
  EXPECT_EQ(eight.batcher->stats().failed, 1U);
  EXPECT_EQ(eight.batcher->stats().succeeded, 7U);
}

}  // namespace
}  // namespace dynbatch

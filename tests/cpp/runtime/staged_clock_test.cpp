// Staged requests that wait for company, on a clock of the test's; and that none waits for ever.
#include <gmock/gmock.h>

#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "batch/former.hpp"
#include "cpp/runtime/float_rows.hpp"
#include "cpp/runtime/shaped_executor.hpp"
#include "runtime/runtime.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::lines;
using dynbatch::testing::rows_of;
using dynbatch::testing::ShapedExecutor;
using dynbatch::testing::ShapedRun;
using dynbatch::testing::twice;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Nanoseconds kDelay = 1000;

/// Without workers: whoever submits runs what is due.
class DelayedLines {
 public:
  using P = ManualPlatform;
  using Queue = StagedQueue<P, Part<P>, Former>;

  DelayedLines()
      : executor_(lines(),
                  [this](ShapedRun& run) {
                    shapes.push_back(to_string(run.shape(0)));
                    return twice(run);
                  }),
        runtime_(executor_, staged(), setup()) {}
  ~DelayedLines() {
    runtime_.close(false);
    for (Request<P>* const request : requests_) request->ledger->release(*request);
  }
  void submit(std::size_t length) {
    const std::vector<float> row(length, 1.0F);
    const InputView view = rows_of(row, length);
    Failure refusal;
    Request<P>* const request = runtime_.submit({&view, 1}, {}, true, refusal);
    ASSERT_NE(request, nullptr) << refusal.message;
    requests_.push_back(request);
  }

  std::size_t given_back_bytes() const {
    Stats stats;
    runtime_.add_to(stats);
    return stats.given_back_bytes;
  }

  std::vector<std::string> shapes;  // of the runs

 private:
  static RuntimeSetup setup() {
    RuntimeSetup setup;
    setup.blocks = 16;
    setup.block_rows = 3;
    setup.output_blocks = 4;
    setup.max_delay = kDelay;
    return setup;
  }
  static StagedSetup staged() {
    StagedSetup staged;
    staged.stager.plan = {.padded = {false}, .largest = {0}};
    staged.stager.outputs = {OutputLayout{}};
    staged.former = {.plan = staged.stager.plan, .largest_rows = 3, .staging_bytes = 1 << 20};
    staged.arena_bytes = 1 << 20;
    return staged;
  }

  ShapedExecutor executor_;
  Runtime<P, Queue> runtime_;
  std::vector<Request<P>*> requests_;
};

TEST(StagedClock, RequestWaitsForCompanyOfItsKeyAsLongAsTheDelay) {
  DelayedLines held;
  held.submit(5);
  ManualPlatform::advance(kDelay - 1);
  held.submit(7);
  EXPECT_THAT(held.shapes, IsEmpty());
  ManualPlatform::advance(1);
  held.submit(9);  // comes by when the first is due
  EXPECT_THAT(held.shapes, ElementsAre("[1, 5]"));
}

TEST(StagedClock, FullBatchWaitsForNobody) {
  DelayedLines held;
  held.submit(5);
  for (int i = 0; i < 3; ++i) held.submit(7);
  EXPECT_THAT(held.shapes, ElementsAre("[3, 7]"));
}

TEST(StagedClock, MemoryOfABurstIsGivenBackAfterAWhile) {
  DelayedLines held;
  held.submit(200'000);
  ManualPlatform::advance(kDelay);
  held.submit(2);
  ASSERT_THAT(held.shapes, ElementsAre("[1, 200000]"));
  for (std::size_t i = 0; i < 4 * LowerGear::kRuns && held.given_back_bytes() == 0; ++i) {
    ManualPlatform::advance(LowerGear::kSpan / (LowerGear::kRuns - 2));
    held.submit(2 + i % 2);  // comes by when the one before is due
  }
  EXPECT_GT(held.given_back_bytes(), 190'000 * sizeof(float));  // whole pages
  EXPECT_GT(held.shapes.size(), LowerGear::kRuns);
}

struct Simulated {
  int id = 0;
  std::uint32_t rows = 0;
};

/// After how many batches the long request runs, if short ones of the cheapest company keep coming.
int batches_until_the_long_one_runs(unsigned older, bool padded, unsigned seed) {
  std::mt19937 random(seed);
  FormerSetup setup{.plan = {.padded = {padded}, .largest = {0}},
                    .cost = CostTable({1, 2}, {1.0, 2.0}, {1.01, 1.02, 1.02, 1.04}),
                    .largest_rows = 4,
                    .staging_bytes = 1 << 20};
  StagedQueue<StdPlatform, Simulated, Former> queue(512, 4, false, 1 << 20, 2, Former(setup));
  std::deque<StagedKey> keys;
  int id = 0;
  const auto put = [&](std::int64_t length) {
    StagedKey& key = keys.emplace_back();
    key.sizes[0] = length;
    key.equal[0] = padded ? 0 : length;
    key.row_bytes = static_cast<std::size_t>(length) * 4;
    const Claim claim = queue.unsafe_claim(1, &key);
    if (claim.rows == 1) queue.publish(claim, {.id = id, .rows = 1});
    ++id;
    return claim.rows == 1;
  };
  for (unsigned i = 0; i < older; ++i) put(static_cast<std::int64_t>(1 + random() % 8));
  const int long_one = id;
  put(2000);
  for (int batches = 1; batches < 1000; ++batches) {
    for (int i = 0; i < 4; ++i) put(static_cast<std::int64_t>(1 + random() % 2));
    const std::uint32_t batch = queue.unsafe_take([](const auto&) { return true; });
    if (batch == UINT32_MAX) return -1;
    bool found = false;
    for (const Simulated& part : queue.parts(batch)) found = found || part.id == long_one;
    queue.unsafe_recycle(batch);
    if (found) return batches;
  }
  return -1;
}

TEST(StagedClock, LongRequestRunsAfterAsManyBatchesAsThereAreOlderRequests) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(seed);
  for (const bool padded : {false, true}) {
    for (const unsigned older : {0U, 1U, 5U, 40U}) {
      const int batches = batches_until_the_long_one_runs(older, padded, seed);
      EXPECT_GE(batches, 1) << older;
      EXPECT_LE(batches, static_cast<int>(older) + 1) << older;
    }
  }
}

}  // namespace
}  // namespace dynbatch

// Requests of different shapes: StagedQueue and RunTokens on ModelPlatform, and the runtime over them, in all
// schedules up to a bound.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "model/exploration.hpp"
#include "model/staged_runtime.hpp"
#include "queue/staged_queue.hpp"
#include "runtime/run_tokens.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::explore;
using dynbatch::testing::make_staged;
using dynbatch::testing::ModelPlatform;
using dynbatch::testing::Schedule;

struct Owner {
  std::uint32_t producer = 0;
  std::uint32_t rows = 0;
};

/// All that wait, while they fit.
struct TakesAll {
  std::array<std::uint16_t, 64> order{};
  std::span<const std::uint16_t> choose(std::span<const StagedCandidate> waiting) noexcept {
    for (std::size_t i = 0; i < waiting.size(); ++i) order[i] = static_cast<std::uint16_t>(i);
    return {order.data(), waiting.size()};
  }
};

/// A queue, and the lock around what is unsafe_.
struct Shop {
  StagedQueue<ModelPlatform, Owner, TakesAll> queue{4, 4, false, 4096, 2, {}};
  ModelPlatform::Mutex mutex;
  StagedKey key;
  std::array<std::uint32_t, 4> seen{};  // by producer

  Shop() { key.row_bytes = 8; }
  void put(std::uint32_t producer, Schedule& schedule) {
    Claim claim;
    {
      const std::lock_guard lock(mutex);
      claim = queue.unsafe_claim(1, &key);
    }
    schedule.expect(claim.rows == 1, "room");
    *reinterpret_cast<std::uint32_t*>(queue.payload(claim)) = producer;
    schedule.step();
    queue.publish(claim, {.producer = producer, .rows = 1});
  }
  bool take(Schedule& schedule) {
    std::uint32_t batch = 0;
    {
      const std::lock_guard lock(mutex);
      batch = queue.unsafe_take([](const auto&) { return true; });
    }
    if (batch == queue.kNone) return false;
    schedule.step();
    std::uint32_t row = 0;
    for (const Owner& owner : queue.parts(batch)) {
      schedule.expect(owner.rows == 1, "parts that were published");
      const auto written = *reinterpret_cast<const std::uint32_t*>(queue.payload(batch, row++));
      schedule.expect(written == owner.producer, "each payload to be its owner's");
      ++seen[owner.producer];
    }
    const std::lock_guard lock(mutex);
    queue.unsafe_recycle(batch);
    return true;
  }
};

TEST(StagedModel, TakesEachRequestOnceItIsPublished) {
  explore([](Schedule& schedule) {
    auto shop = std::make_shared<Shop>();
    for (std::uint32_t producer = 1; producer <= 2; ++producer)
      schedule.thread("producer", [shop, producer, &schedule] { shop->put(producer, schedule); });
    schedule.thread("taker", [shop, &schedule] {
      for (int i = 0; i < 2; ++i) shop->take(schedule);
    });
    schedule.at_rest([shop, &schedule] {
      while (shop->take(schedule)) {
      }
      schedule.expect(shop->seen[1] == 1 && shop->seen[2] == 1, "each request to be taken once");
      schedule.expect(shop->queue.unsafe_invariants_hold(), "the queue's invariants");
    });
  });
}

/// Threads that run by turns, and stand aside when the tokens are out.
struct Turns {
  RunTokens<ModelPlatform> tokens;
  std::uint32_t count;
  std::uint32_t inside = 0;
  explicit Turns(std::uint32_t of) : tokens(of), count(of) {}
  void run(Schedule& schedule) {
    tokens.acquire();
    schedule.expect(++inside <= count, "no more runs than tokens");
    schedule.step();
    --inside;
    tokens.release();
  }
};

TEST(StagedModel, NobodySleepsBesideAFreeToken) {
  explore([](Schedule& schedule) {
    auto turns = std::make_shared<Turns>(1);
    for (int i = 0; i < 3; ++i)
      schedule.thread("runner", [turns, &schedule] { turns->run(schedule); });
  });
}

TEST(StagedModel, TokensGoRoundBetweenThreadsThatComeAgain) {
  explore([](Schedule& schedule) {
    auto turns = std::make_shared<Turns>(1);
    for (int i = 0; i < 2; ++i) {
      schedule.thread("runner", [turns, &schedule] {
        for (int turn = 0; turn < 2; ++turn) turns->run(schedule);
      });
    }
  });
}

TEST(StagedModel, RequestsOfTwoKeysAreAllAnswered) {
  explore([](Schedule& schedule) {
    const auto runtime = make_staged(schedule, {});
    schedule.thread("submitter", [runtime] { runtime->submit({1.0F}); });
    schedule.thread("other", [runtime] { runtime->submit({2.0F, 3.0F}); });
  });
}

TEST(StagedModel, RequestsOfOneKeyGetTheirOwn) {
  explore([](Schedule& schedule) {
    const auto runtime = make_staged(schedule, {});
    for (int i = 1; i <= 2; ++i)
      schedule.thread("submitter", [runtime, i] { runtime->submit({static_cast<float>(i)}); });
  });
}

TEST(StagedModel, RequestsThatComeDuringARunAreSeenAfterIt) {
  explore([](Schedule& schedule) {
    const auto runtime = make_staged(schedule, {});
    runtime->let_runs_take_time();
    schedule.thread("caller", [runtime] { runtime->infer({1.0F}); });
    schedule.thread("submitter", [runtime] { runtime->submit({2.0F, 3.0F}); });
  });
}

TEST(StagedModel, WhoHasAnAnswerFindsItsRunCounted) {
  explore([](Schedule& schedule) {
    const auto runtime = make_staged(schedule, {});
    const auto answered = std::make_shared<std::uint64_t>(0);
    for (std::size_t length = 1; length <= 2; ++length) {
      schedule.thread("caller", [runtime, answered, length, &schedule] {
        runtime->infer(std::vector<float>(length, 1.0F));
        const std::uint64_t least = ++*answered;
        Stats stats;
        (*runtime)->add_to(stats);
        schedule.expect(stats.batches >= least, "each run to be counted");
        schedule.expect(stats.closed_idle + stats.closed_full == stats.batches,
                        "and why its batch was closed");
      });
    }
  });
}

TEST(StagedModel, WhoWaitsForRoomGetsIt) {
  explore([](Schedule& schedule) {
    const auto runtime = make_staged(schedule, {.entries = 1});
    schedule.thread("submitter", [runtime] { runtime->submit({1.0F}, OnFull::wait); });
    schedule.thread("other", [runtime] { runtime->submit({2.0F, 3.0F}, OnFull::wait); });
  });
}

TEST(StagedModel, OneBatchRunsWhileAnotherIsGathered) {
  explore([](Schedule& schedule) {
    const auto runtime = make_staged(schedule, {.workers = 2, .runs = 1});
    schedule.thread("submitter", [runtime] { runtime->submit({1.0F}); });
    schedule.thread("other", [runtime] { runtime->submit({2.0F, 3.0F}); });
  });
}

}  // namespace
}  // namespace dynbatch

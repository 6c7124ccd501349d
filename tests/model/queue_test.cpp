// RequestQueue<ModelPlatform>: claims, publishes, sealing, taking, recycling, and blocks that come
// round again, in all schedules up to a bound.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "model/exploration.hpp"
#include "model/model_platform.hpp"
#include "queue/request_queue.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::explore;
using dynbatch::testing::ModelPlatform;
using dynbatch::testing::Schedule;

/// Which rows of a block belong to whom.
struct Owner {
  std::uint32_t producer = 0;
  std::uint32_t rows = 0;
};

/// A queue, the lock around what is unsafe_, and the memory of the rows.
struct Shop {
  RequestQueue<ModelPlatform, Owner> queue;
  ModelPlatform::Mutex mutex;
  std::vector<std::vector<std::uint32_t>> memory;
  std::array<std::uint32_t, 8> seen{};  // rows that were taken, by producer

  Shop(std::uint32_t blocks, std::uint32_t rows)
      : queue(blocks, rows, false), memory(blocks, std::vector<std::uint32_t>(rows)) {
    queue.unsafe_open_next();
  }

  /// Claims, writes, publishes; false if there is no room.
  bool put(std::uint32_t producer, std::uint32_t rows) {
    Claim claim = queue.claim(rows);
    if (claim.rows == 0) {
      const std::lock_guard lock(mutex);
      claim = queue.unsafe_claim(rows, nullptr);
      if (claim.rows == 0) return false;
    }
    for (std::uint32_t row = 0; row < claim.rows; ++row)
      memory[claim.block][claim.row + row] = producer;
    queue.publish(claim, {.producer = producer, .rows = claim.rows});
    return claim.rows == rows || put(producer, rows - claim.rows);
  }

  /// Takes the oldest batch, checks its rows while others may run, and gives it back.
  bool take(Schedule& schedule) {
    std::uint32_t block = 0;
    {
      const std::lock_guard lock(mutex);
      block = queue.unsafe_take([](const auto&) { return true; });
      if (block == queue.kNone) return false;
      queue.unsafe_open_next();
    }
    schedule.step();
    const auto parts = queue.parts(block);
    for (std::uint32_t row = 0; row < parts.size();) {
      const Owner owner = parts[row];
      schedule.expect(owner.rows > 0 && row + owner.rows <= parts.size(), "parts that fit");
      if (owner.rows == 0) break;
      for (std::uint32_t i = 0; i < owner.rows; ++i, ++row)
        schedule.expect(memory[block][row] == owner.producer, "each row to be its owner's");
      seen[owner.producer] += owner.rows;
    }
    for (std::uint32_t& row : memory[block]) row = 0;
    const std::lock_guard lock(mutex);
    queue.unsafe_recycle(block);
    return true;
  }
};

TEST(QueueModel, TakesEachRowOnce) {
  explore([](Schedule& schedule) {
    auto shop = std::make_shared<Shop>(2, 2);
    for (std::uint32_t producer = 1; producer <= 2; ++producer) {
      schedule.thread("producer", [shop, producer, &schedule] {
        schedule.expect(shop->put(producer, 1), "room");
      });
    }
    schedule.thread("taker", [shop, &schedule] {
      for (int i = 0; i < 2; ++i) shop->take(schedule);
    });
    schedule.at_rest([shop, &schedule] {
      while (shop->take(schedule)) {
      }
      schedule.expect(shop->seen[1] == 1 && shop->seen[2] == 1, "each row to be taken once");
      schedule.expect(shop->queue.unsafe_invariants_hold(), "the queue's invariants");
    });
  });
}

/// Rows of several sizes, of which one is cut at the end of a block.
TEST(QueueModel, CutsRowsAtTheEndOfABlock) {
  explore([](Schedule& schedule) {
    auto shop = std::make_shared<Shop>(3, 3);
    for (std::uint32_t producer = 1; producer <= 2; ++producer) {
      schedule.thread("producer", [shop, producer, &schedule] {
        schedule.expect(shop->put(producer, 2), "room");
      });
    }
    schedule.thread("taker", [shop, &schedule] { shop->take(schedule); });
    schedule.at_rest([shop, &schedule] {
      while (shop->take(schedule)) {
      }
      schedule.expect(shop->seen[1] == 2 && shop->seen[2] == 2, "all rows to be taken once");
      schedule.expect(shop->queue.unsafe_invariants_hold(), "the queue's invariants");
    });
  });
}

/// One block, which comes round again and again under a producer that is slow.
TEST(QueueModel, ABlockThatComesRoundAgainIsANewOne) {
  explore([](Schedule& schedule) {
    auto shop = std::make_shared<Shop>(1, 2);
    const auto put = std::make_shared<std::array<bool, 4>>();
    for (std::uint32_t producer = 1; producer <= 3; ++producer) {
      schedule.thread("producer",
                      [shop, put, producer] { (*put)[producer] = shop->put(producer, 1); });
    }
    schedule.thread("taker", [shop, &schedule] {
      for (int i = 0; i < 2; ++i) shop->take(schedule);
    });
    schedule.at_rest([shop, put, &schedule] {
      while (shop->take(schedule)) {
      }
      for (std::uint32_t producer = 1; producer <= 3; ++producer)
        schedule.expect(shop->seen[producer] == ((*put)[producer] ? 1U : 0U),
                        "each row that found room to be taken once");
      schedule.expect(shop->queue.unsafe_invariants_hold(), "the queue's invariants");
    });
  });
}

/// After claims have been stopped, nothing comes in that the stopper does not see.
TEST(QueueModel, NothingComesInAfterClaimsWereStopped) {
  explore([](Schedule& schedule) {
    auto shop = std::make_shared<Shop>(2, 2);
    for (std::uint32_t producer = 1; producer <= 2; ++producer) {
      schedule.thread("producer", [shop, producer] {
        const Claim claim = shop->queue.claim(1);
        if (claim.rows == 0) return;
        shop->memory[claim.block][claim.row] = producer;
        shop->queue.publish(claim, {.producer = producer, .rows = 1});
      });
    }
    schedule.thread("stopper", [shop, &schedule] {
      const std::lock_guard lock(shop->mutex);
      shop->queue.unsafe_stop_claims();
      const bool idle = shop->queue.unsafe_idle();
      schedule.step();
      schedule.expect(shop->queue.unsafe_idle() == idle, "no claim after the last");
    });
  });
}

}  // namespace
}  // namespace dynbatch

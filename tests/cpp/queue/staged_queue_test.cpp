#include "queue/staged_queue.hpp"

#include <gmock/gmock.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <random>
#include <span>
#include <vector>

namespace dynbatch {
namespace {

using ::testing::ElementsAre;

/// The oldest first, while they fit.
struct OldestFirst {
  std::uint32_t rows = 0;
  std::array<std::uint16_t, 64> chosen{};

  std::span<const std::uint16_t> choose(std::span<const StagedCandidate> waiting) noexcept {
    std::uint32_t taken = 0;
    std::size_t count = 0;
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      if (taken + waiting[i].rows > rows) break;
      taken += waiting[i].rows;
      chosen[count++] = static_cast<std::uint16_t>(i);
    }
    return {chosen.data(), count};
  }
};

struct Id {
  int value = 0;
  std::uint32_t rows = 0;
};

using Queue = StagedQueue<StdPlatform, Id, OldestFirst>;
using State = Queue::BlockState;

constexpr auto always = [](const State&) { return true; };

StagedKey key_of(std::int64_t length, std::size_t row_bytes = 8) {
  StagedKey key;
  key.sizes[0] = key.equal[0] = length;
  key.row_bytes = row_bytes;
  key.head_bytes = 64;
  return key;
}

struct Setting {
  std::uint32_t capacity = 16;
  std::uint32_t rows = 4;
  bool exclusive = false;
  std::size_t arena_bytes = 16'384;
  std::uint32_t batches = 3;
};

class StagedQueueTest : public ::testing::Test {
 protected:
  static Queue make(const Setting& setting = {}) {
    return {setting.capacity,    setting.rows,    setting.exclusive,
            setting.arena_bytes, setting.batches, OldestFirst{setting.rows}};
  }
  /// Claims and publishes a request of which nothing is cut off.
  static Claim put(Queue& queue, const StagedKey& key, int id, std::uint32_t rows = 1) {
    const Claim claim = queue.unsafe_claim(rows, &key);
    EXPECT_EQ(claim.rows, rows);
    if (claim.rows > 0) queue.publish(claim, {.value = id, .rows = rows});
    return claim;
  }
  static std::vector<int> ids(Queue& queue, std::uint32_t batch) {
    std::vector<int> found;
    if (batch == Queue::kNone) return found;
    const std::span<Id> parts = queue.parts(batch);
    for (std::size_t row = 0; row < parts.size(); row += parts[row].rows)
      found.push_back(parts[row].value);
    return found;
  }
  /// Takes the next batch, and gives it back.
  static std::vector<int> next(Queue& queue) {
    const std::uint32_t batch = queue.unsafe_take(always);
    std::vector<int> found = ids(queue, batch);
    if (batch != Queue::kNone) queue.unsafe_recycle(batch);
    EXPECT_TRUE(queue.unsafe_invariants_hold());
    return found;
  }

  const StagedKey a_ = key_of(3);
  const StagedKey b_ = key_of(5);
};

TEST_F(StagedQueueTest, RequestsOfOneKeyShareABatch) {
  Queue queue = make();
  put(queue, a_, 1);
  put(queue, b_, 2);
  put(queue, key_of(3), 3, 2);
  EXPECT_EQ(queue.unsafe_keys(), 2U);
  EXPECT_THAT(next(queue), ElementsAre(1, 3));
  EXPECT_THAT(next(queue), ElementsAre(2));
}

TEST_F(StagedQueueTest, SharedInputsAreOfTheKey) {
  Queue queue = make();
  const int shared = 0;
  StagedKey other = a_;
  other.shared = &shared;
  put(queue, a_, 1);
  put(queue, other, 2);
  const std::uint32_t first = queue.unsafe_take(always);
  const std::uint32_t second = queue.unsafe_take(always);
  EXPECT_EQ(queue.key(first), nullptr);
  EXPECT_EQ(queue.key(second), &shared);
}

TEST_F(StagedQueueTest, PaddedSizesAreNotOfTheKey) {
  Queue queue = make();
  StagedKey longer = a_;
  longer.sizes[0] = 9;
  put(queue, a_, 1);
  put(queue, longer, 2);
  EXPECT_THAT(next(queue), ElementsAre(1, 2));
}

TEST_F(StagedQueueTest, OldestKeyThatIsDueGoesFirst) {
  Queue queue = make();
  put(queue, b_, 1);
  put(queue, a_, 2);
  put(queue, b_, 3);
  put(queue, a_, 4);
  EXPECT_THAT(next(queue), ElementsAre(1, 3));
  put(queue, b_, 5);
  EXPECT_THAT(next(queue), ElementsAre(2, 4));
  EXPECT_THAT(next(queue), ElementsAre(5));
}

TEST_F(StagedQueueTest, KeyThatIsNotDueStandsInNobodysWay) {
  Queue queue = make();
  put(queue, a_, 1);
  for (int id = 2; id <= 5; ++id) put(queue, b_, id);
  const std::uint32_t batch = queue.unsafe_take([](const State& state) { return state.full; });
  EXPECT_THAT(ids(queue, batch), ElementsAre(2, 3, 4, 5));
}

TEST_F(StagedQueueTest, EntriesThatAreNotPublishedArePassedOver) {
  Queue queue = make();
  const Claim late = queue.unsafe_claim(1, &a_);
  put(queue, a_, 2);
  put(queue, b_, 3);
  EXPECT_EQ(queue.unsafe_count_ready(always), 2U);
  EXPECT_THAT(next(queue), ElementsAre(2));
  queue.publish(late, {.value = 1, .rows = 1});
  EXPECT_THAT(next(queue), ElementsAre(1));
  EXPECT_THAT(next(queue), ElementsAre(3));
}

TEST_F(StagedQueueTest, NothingIsTakenOfAKeyWithoutPublishedEntries) {
  Queue queue = make();
  queue.unsafe_claim(1, &a_);
  EXPECT_FALSE(queue.looks_ready());
  EXPECT_EQ(queue.unsafe_count_ready(always), 0U);
  EXPECT_EQ(queue.unsafe_take(always), Queue::kNone);
}

TEST_F(StagedQueueTest, DecisionSeesRowsOfItsKeyAloneAndWhenTheFirstCame) {
  Queue queue = make();
  const Claim first = queue.unsafe_claim(2, &a_);
  queue.set_first_at(first, 77);
  queue.publish(first, {.value = 1, .rows = 2});
  put(queue, b_, 2);
  std::vector<State> seen;
  queue.unsafe_take([&](const State& state) {
    seen.push_back(state);
    return false;
  });
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].rows, 2U);
  EXPECT_EQ(seen[0].first_at, 77);
  EXPECT_FALSE(seen[0].full);
  EXPECT_EQ(seen[1].rows, 1U);
}

TEST_F(StagedQueueTest, NewLifeOfAnEntryForgetsWhenItCame) {
  Queue queue = make({.capacity = 1});
  const Claim claim = queue.unsafe_claim(1, &a_);
  queue.set_first_at(claim, 77);
  queue.publish(claim, {.value = 1, .rows = 1});
  next(queue);
  EXPECT_EQ(queue.first_at(queue.unsafe_claim(1, &a_)), 0);
}

TEST_F(StagedQueueTest, RequestLargerThanABatchIsClaimedInParts) {
  Queue queue = make();
  EXPECT_EQ(queue.unsafe_claim(10, &a_).rows, 4U);
}

TEST_F(StagedQueueTest, PartIsNoLargerThanTheArena) {
  Queue queue = make({.rows = 100, .arena_bytes = 4096});
  const StagedKey wide = key_of(1, 1000);
  EXPECT_EQ(queue.unsafe_claim(100, &wide).rows, 3U);
}

TEST_F(StagedQueueTest, RoomIsBoundedByRows) {
  Queue queue = make({.capacity = 4});
  EXPECT_EQ(queue.unsafe_room(100, nullptr), 4U);
  EXPECT_EQ(queue.unsafe_room(100, &a_), 4U);
  EXPECT_EQ(queue.unsafe_room(1, nullptr),
            0U);  // or whoever asked would be told, and refused again
  put(queue, a_, 1, 3);
  EXPECT_EQ(queue.unsafe_room(2, &a_), 1U);
  EXPECT_EQ(queue.unsafe_claim(2, &a_).rows, 0U);  // it is not cut for want of room
  put(queue, a_, 2);
  EXPECT_EQ(queue.unsafe_room(1, &a_), 0U);
  EXPECT_EQ(queue.unsafe_room(1, nullptr), 0U);
  EXPECT_EQ(queue.unsafe_claim(1, &a_).rows, 0U);
  next(queue);
  EXPECT_EQ(queue.unsafe_room(1, &a_), 1U);
}

TEST_F(StagedQueueTest, RoomIsBoundedByBytes) {
  Queue queue = make({.arena_bytes = 4096});
  const StagedKey wide = key_of(1, 1500);
  put(queue, wide, 1);
  put(queue, wide, 2);
  EXPECT_EQ(queue.unsafe_room(1, &wide), 0U);
  EXPECT_EQ(queue.unsafe_room(1, &a_), 1U);
  EXPECT_EQ(queue.unsafe_claim(1, &wide).rows, 0U);
}

TEST_F(StagedQueueTest, RowsThatFillTheArenaHaveRoom) {
  Queue queue = make({.arena_bytes = 4096});
  const StagedKey whole = key_of(1, queue.arena().largest_piece() - 64);
  EXPECT_EQ(queue.unsafe_room(1, &whole), 1U);
  EXPECT_EQ(queue.unsafe_claim(1, &whole).rows, 1U);
}

// Whoever waits for a notice of room does not know the bytes yet: told at once, it would ask again for ever.
TEST_F(StagedQueueTest, NobodyIsToldOfRoomWhileBytesAreShort) {
  Queue queue = make({.arena_bytes = 4096});
  const StagedKey wide = key_of(1, 3000);
  put(queue, wide, 1);
  EXPECT_EQ(queue.unsafe_room(1, nullptr), 1U);
  EXPECT_EQ(queue.unsafe_room(1, &wide), 0U);
  EXPECT_EQ(queue.unsafe_room(1, nullptr), 0U);
  next(queue);
  EXPECT_EQ(queue.unsafe_room(1, nullptr), 1U);
}

TEST_F(StagedQueueTest, NobodyIsToldOfRoomThatWasFoundInPieces) {
  Queue queue = make({.arena_bytes = 8192});
  const StagedKey third = key_of(1, 2300);
  const StagedKey half = key_of(2, 4000);
  const std::array<Claim, 3> claims = {queue.unsafe_claim(1, &third), queue.unsafe_claim(1, &third),
                                       queue.unsafe_claim(1, &third)};
  queue.unsafe_unclaim(claims[0]);
  queue.unsafe_unclaim(claims[2]);
  const Claim part = queue.unsafe_claim(1, &a_);
  EXPECT_EQ(queue.unsafe_claim(1, &half).rows, 0U);
  queue.unsafe_unclaim(part);  // what was claimed of the same request
  EXPECT_EQ(queue.unsafe_room(1, nullptr), 0U);
}

TEST_F(StagedQueueTest, UnclaimedEntryLeavesNothing) {
  Queue queue = make();
  put(queue, a_, 1);
  const Claim claim = queue.unsafe_claim(1, &a_);
  const Claim other = queue.unsafe_claim(1, &b_);
  put(queue, a_, 2);
  queue.unsafe_unclaim(claim);
  queue.unsafe_unclaim(other);
  EXPECT_EQ(queue.unsafe_keys(), 1U);
  EXPECT_THAT(next(queue), ElementsAre(1, 2));
  EXPECT_TRUE(queue.unsafe_idle());
  EXPECT_EQ(queue.arena().used_bytes(), 0U);
}

TEST_F(StagedQueueTest, ExclusiveRequestsAreBatchesOfTheirOwn) {
  Queue queue = make({.exclusive = true});
  put(queue, a_, 1);
  put(queue, a_, 2, 3);
  EXPECT_THAT(next(queue), ElementsAre(1));
  EXPECT_THAT(next(queue), ElementsAre(2));
  EXPECT_EQ(queue.unsafe_room(5, &a_), 0U);
}

TEST_F(StagedQueueTest, NoMoreBatchesAreTakenThanThereAre) {
  Queue queue = make({.batches = 1});
  put(queue, a_, 1);
  put(queue, b_, 2);
  const std::uint32_t batch = queue.unsafe_take(always);
  EXPECT_EQ(queue.unsafe_count_ready(always), 0U);
  EXPECT_EQ(queue.unsafe_take(always), Queue::kNone);
  EXPECT_FALSE(queue.unsafe_idle());
  queue.unsafe_recycle(batch);
  EXPECT_THAT(next(queue), ElementsAre(2));
}

TEST_F(StagedQueueTest, PayloadStaysUntilItsBatchIsGivenBack) {
  Queue queue = make();
  const Claim first = queue.unsafe_claim(2, &a_);
  const Claim second = queue.unsafe_claim(1, &a_);
  std::memset(queue.payload(first), 1, 16);
  std::memset(queue.payload(second), 2, 8);
  queue.publish(first, {.value = 1, .rows = 2});
  queue.publish(second, {.value = 2, .rows = 1});
  const std::uint32_t batch = queue.unsafe_take(always);
  EXPECT_EQ(queue.rows(batch), 3U);
  EXPECT_EQ(queue.payload(batch, 0)[15], std::byte{1});
  EXPECT_EQ(queue.payload(batch, 2)[7], std::byte{2});
  EXPECT_GT(queue.arena().used_bytes(), 0U);
  queue.unsafe_recycle(batch);
  EXPECT_EQ(queue.arena().used_bytes(), 0U);
}

TEST_F(StagedQueueTest, TenThousandKeysInARowLeaveNothing) {
  Queue queue = make();
  std::deque<StagedKey> keys;
  for (int id = 0; id < 10'000; ++id) {
    keys.push_back(key_of(id + 1, static_cast<std::size_t>(1 + id % 300)));
    put(queue, keys.back(), id);
    if (keys.size() < 8) continue;
    const std::uint32_t batch = queue.unsafe_take(always);
    ASSERT_THAT(ids(queue, batch), ElementsAre(id - 7));
    queue.unsafe_recycle(batch);
    keys.pop_front();
    ASSERT_EQ(queue.unsafe_keys(), 7U);
  }
  while (queue.looks_ready()) next(queue);
  EXPECT_EQ(queue.unsafe_keys(), 0U);
  EXPECT_TRUE(queue.unsafe_idle());
  EXPECT_EQ(queue.arena().used_bytes(), 0U);
}

/// Each request is taken once, in company of its own key, and the oldest first within the key.
TEST_F(StagedQueueTest, RandomRequestsAreTakenOnceEachInOrderOfTheirKey) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  Queue queue = make({.capacity = 12, .arena_bytes = 4096});
  std::vector<StagedKey> keys;
  for (int i = 0; i < 5; ++i) keys.push_back(key_of(i, static_cast<std::size_t>(8 + 60 * i)));
  std::array<std::vector<int>, 5> taken;
  std::vector<std::pair<Claim, Id>> unpublished;
  std::vector<std::uint32_t> batches;
  std::array<int, 5> made{};
  for (int turn = 0; turn < 20'000; ++turn) {
    switch (random() % 4) {
      case 0: {
        const std::size_t key = random() % 5;
        const Claim claim =
            queue.unsafe_claim(static_cast<std::uint32_t>(1 + random() % 3), &keys[key]);
        if (claim.rows > 0)
          unpublished.push_back(
              {claim, {.value = made[key]++ * 5 + static_cast<int>(key), .rows = claim.rows}});
        break;
      }
      case 1:
        if (!unpublished.empty()) {
          queue.publish(unpublished.front().first, unpublished.front().second);
          unpublished.erase(unpublished.begin());
        }
        break;
      case 2: {
        const std::uint32_t batch = queue.unsafe_take(always);
        if (batch == Queue::kNone) break;
        const std::vector<int> found = ids(queue, batch);
        for (const int id : found) {
          ASSERT_EQ(id % 5, found.front() % 5);
          taken[static_cast<std::size_t>(id % 5)].push_back(id / 5);
        }
        batches.push_back(batch);
        break;
      }
      default:
        if (batches.empty()) break;
        queue.unsafe_recycle(batches.back());
        batches.pop_back();
    }
    ASSERT_TRUE(queue.unsafe_invariants_hold()) << turn;
  }
  for (const auto& [claim, id] : unpublished) queue.publish(claim, id);
  for (const std::uint32_t batch : batches) queue.unsafe_recycle(batch);
  for (std::vector<int> found = next(queue); !found.empty(); found = next(queue)) {
    for (const int id : found) taken[static_cast<std::size_t>(id % 5)].push_back(id / 5);
  }
  for (std::size_t key = 0; key < 5; ++key) {
    ASSERT_EQ(taken[key].size(), static_cast<std::size_t>(made[key]));
    for (int i = 0; i < made[key]; ++i) ASSERT_EQ(taken[key][static_cast<std::size_t>(i)], i);
  }
  EXPECT_TRUE(queue.unsafe_idle());
}

}  // namespace
}  // namespace dynbatch

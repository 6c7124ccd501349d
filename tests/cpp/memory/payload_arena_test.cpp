#include "memory/payload_arena.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <utility>
#include <vector>

namespace dynbatch {
namespace {

constexpr std::size_t kUnit = PayloadArena::kAlignment;
constexpr std::size_t kBytes = std::size_t{64} << 10;

/// That nothing is taken, and what is free is one piece.
void expect_whole(PayloadArena& arena) {
  EXPECT_EQ(arena.used_bytes(), 0U);
  std::byte* const all = arena.acquire(arena.largest_piece());
  EXPECT_NE(all, nullptr);
  if (all != nullptr) arena.release(all);
  EXPECT_TRUE(arena.invariants_hold());
}

TEST(PayloadArena, PiecesAreAligned) {
  PayloadArena arena(kBytes);
  for (const std::size_t size : {0U, 1U, 63U, 64U, 65U, 1000U})
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(arena.acquire(size)) % kUnit, 0U) << size;
  EXPECT_TRUE(arena.invariants_hold());
}

TEST(PayloadArena, APieceCostsItsBytesRoundedUpAndOneUnit) {
  PayloadArena arena(kBytes);
  arena.acquire(0);
  EXPECT_EQ(arena.used_bytes(), 2 * kUnit);
  arena.acquire(65);
  EXPECT_EQ(arena.used_bytes(), 5 * kUnit);
}

TEST(PayloadArena, LargestPieceIsAllButOneUnit) {
  PayloadArena arena(kBytes);
  EXPECT_EQ(arena.largest_piece(), arena.total_bytes() - kUnit);
  EXPECT_EQ(arena.acquire(arena.largest_piece() + 1), nullptr);
  EXPECT_NE(arena.acquire(arena.largest_piece()), nullptr);
  EXPECT_EQ(arena.acquire(0), nullptr);
}

TEST(PayloadArena, SizeThatWrapsWhenRoundedIsRefused) {
  PayloadArena arena(kBytes);
  EXPECT_EQ(arena.acquire(SIZE_MAX), nullptr);
  expect_whole(arena);
}

TEST(PayloadArena, NeighboursBecomeOnePieceInAnyOrderOfRelease) {
  std::vector<std::size_t> order = {0, 1, 2};
  do {
    PayloadArena arena(kBytes);
    std::vector<std::byte*> pieces;
    for (int i = 0; i < 3; ++i) pieces.push_back(arena.acquire(100));
    for (const std::size_t at : order) {
      arena.release(pieces[at]);
      EXPECT_TRUE(arena.invariants_hold());
    }
    expect_whole(arena);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(PayloadArena, FreedPieceIsTakenAgainWhenAllElseIsTaken) {
  PayloadArena arena(kBytes);
  std::vector<std::byte*> pieces;
  while (std::byte* const piece = arena.acquire(1000)) pieces.push_back(piece);
  EXPECT_EQ(pieces.size(), kBytes / (1024 + kUnit));
  arena.release(pieces[7]);
  EXPECT_EQ(arena.acquire(1001), pieces[7]);
  EXPECT_EQ(arena.acquire(1000), nullptr);
}

TEST(PayloadArena, GivesBackThePagesOfFreePiecesAloneAndGoesOn) {
  PayloadArena arena(kBytes);
  std::byte* const kept = arena.acquire(100);
  std::byte* const freed = arena.acquire(kBytes - 1024);
  std::memset(kept, 7, 100);
  std::memset(freed, 1, kBytes - 1024);
  EXPECT_EQ(arena.give_back(), 0U);
  arena.release(freed);
  const std::size_t resident = arena.resident_bytes();
  const std::size_t given_back = arena.give_back();
  EXPECT_GT(given_back, kBytes / 2);
  EXPECT_EQ(arena.resident_bytes(), resident - given_back);
  EXPECT_EQ(std::count(kept, kept + 100, std::byte{7}), 100);
  EXPECT_EQ(arena.give_back(), 0U);  // nobody has used it since
  EXPECT_TRUE(arena.invariants_hold());
  arena.release(kept);
  expect_whole(arena);
}

TEST(PayloadArena, TellsThePeakSinceItWasAsked) {
  PayloadArena arena(kBytes);
  std::byte* const small = arena.acquire(100);
  std::byte* const large = arena.acquire(1000);
  arena.release(large);
  EXPECT_EQ(arena.take_peak_bytes(),
            PayloadArena::piece_bytes(100) + PayloadArena::piece_bytes(1000));
  EXPECT_EQ(arena.take_peak_bytes(), PayloadArena::piece_bytes(100));
  arena.release(small);
}

TEST(PayloadArena, TenThousandSizesLeaveOneWholePiece) {
  PayloadArena arena(std::size_t{1} << 20);
  std::vector<std::byte*> taken;
  for (std::size_t size = 1; size <= 10'000; ++size) {
    taken.push_back(arena.acquire(size));
    ASSERT_NE(taken.back(), nullptr) << size;
    if (taken.size() < 20) continue;
    arena.release(taken.front());
    taken.erase(taken.begin());
  }
  for (std::byte* const piece : taken) arena.release(piece);
  expect_whole(arena);
}

/// Pieces never overlap: each still holds what was written into it when it goes.
TEST(PayloadArena, PiecesKeepTheirBytesInAnyOrderOfComingAndGoing) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  struct Held {
    std::byte* piece;
    std::size_t size;
    std::byte mark;
  };
  PayloadArena arena(kBytes);
  std::vector<Held> held;
  bool was_full = false;
  for (int turn = 0; turn < 20'000; ++turn) {
    if (random() % 2 == 0 || held.empty()) {
      const std::size_t size = random() % (random() % 8 == 0 ? 16'000 : 400);
      std::byte* const piece = arena.acquire(size);
      was_full = was_full || piece == nullptr;
      if (piece != nullptr) {
        const auto mark = static_cast<std::byte>(random());
        std::memset(piece, static_cast<int>(mark), size);
        held.push_back({piece, size, mark});
      }
    } else {
      std::swap(held[random() % held.size()], held.back());
      const Held gone = held.back();
      held.pop_back();
      for (std::size_t i = 0; i < gone.size; ++i) ASSERT_EQ(gone.piece[i], gone.mark);
      arena.release(gone.piece);
    }
    if (turn % 64 == 0) {
      ASSERT_TRUE(arena.invariants_hold());
    }
  }
  EXPECT_TRUE(was_full);
  for (const Held& piece : held) arena.release(piece.piece);
  expect_whole(arena);
}

}  // namespace
}  // namespace dynbatch

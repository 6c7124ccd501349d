// Grouping: which of the requests that wait run together, if rows are padded to the longest of their batch.
//
// A pure function of what waits: no clock, no lock, no allocation after construction. It looks at the oldest
// kLookAhead requests, sorts them by length, cuts them into chunks so that all chunks together cost least, and
// answers the chunk that holds the oldest request. So a request waits for at most as many batches as there are
// older requests, whatever else arrives. The dynamic programme is that of TurboTransformers (Fang et al.,
// PPoPP 2021): the best cost of the first i is the least, over b, of the best cost of the first i - b plus that
// of a batch of the b before i. It is solved from both ends, so that of several equally good partitions that
// one is found whose first batch serves the oldest.
//
// For one dimension and requests of equal rows no partition costs less, since the cost rises with rows and with
// length. With several dimensions requests are sorted by the product of their sizes, and with requests of
// several rows the largest batch may cut badly; the answer is then the best among chunks of that order, or
// where all have one length the oldest that fit.
//
// Not thread-safe: holds its scratch. Costs time in proportion to kLookAhead times the requests of a batch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <dynbatch/tensor.hpp>

#include "batch/cost_table.hpp"

namespace dynbatch {

/// A request that waits. It has 1 row or more, and is not cut.
struct GroupCandidate {
  std::uint32_t rows = 0;
  /// Of the dimensions that count alone, in their order; what stands behind them is not read.
  std::array<std::int64_t, ModelSpec::kMaxDimensions> sizes{};
};

/// Bytes of a padded row in one tensor: `bytes` times the sizes of its dimensions, one of which may recur.
struct RowBytes {
  double bytes = 0.0;
  std::array<std::uint8_t, ModelSpec::kMaxDimensions> times{};  // how often each size is a factor
};

/// What a batch may be. A request that is alone may run whatever these say.
struct GroupLimits {
  std::uint32_t largest_rows = 1;
  std::size_t dimensions = 0;  // how many of GroupCandidate::sizes count
  /// If not empty a batch is padded to the one of fewest elements that fits all of it; without such a one its
  /// requests do not run together. Each has `dimensions` sizes.
  std::span<const std::vector<std::int64_t>> size_gears;
  /// If not empty the rows of a batch are filled up to the smallest of these that fits; above the largest they
  /// are not.
  std::span<const std::size_t> batch_gears;
  /// Of all rows, as filled, together; 0: no bound.
  double largest_bytes = 0.0;
  std::span<const RowBytes> row_bytes;
  /// How much dearer a row may be than in the best batch, relatively, if the batch is smaller. Whoever waits
  /// then waits less.
  double tolerance = 0.0;
};

/// What a batch is padded to.
struct PaddedSizes {
  std::array<std::int64_t, ModelSpec::kMaxDimensions> sizes{};
  double elements = 1.0;  // their product
};

/// The largest size along each dimension, then the gear that fits; the largest sizes if no gear fits.
PaddedSizes padded_sizes(std::span<const GroupCandidate> waiting,
                         std::span<const std::uint16_t> batch, const GroupLimits& limits) noexcept;
/// The rows of a batch with those that fill it.
std::size_t filled_rows(std::size_t rows, std::span<const std::size_t> batch_gears) noexcept;

class Grouping {
 public:
  static constexpr std::size_t kLookAhead = 64;

  /// Indices into `waiting`, which stands oldest first, of the batch that is to run next; rising. Among them is
  /// 0, unless nothing waits. Where rows cost little more in a smaller batch than in the best one
  /// (GroupLimits::tolerance) it is the shortest run; of batches that are equally good, the one of the older
  /// requests: that with the first request that the other lacks. Valid until the next call.
  std::span<const std::uint16_t> choose(std::span<const GroupCandidate> waiting,
                                        const GroupLimits& limits, const CostTable& cost) noexcept;

 private:
  /// A request, as the sort needs it.
  struct Item {
    double elements = 0.0;  // padded as if it were alone
    std::uint16_t gear = 0;
    std::uint16_t index = 0;
  };
  /// The rows of a batch as they run, and where they lie in the cost table.
  struct BatchRows {
    double filled = 0.0;
    CostTable::Place place;
  };
  /// What choose() was asked, at hand for every step.
  struct Question {
    std::span<const GroupCandidate> waiting;
    const GroupLimits& limits;
    const CostTable& cost;
  };
  /// Neighbours in the sorted order, from `begin` on.
  struct Chunk {
    std::size_t begin;
    std::size_t end;
    double seconds;
    std::uint64_t members;  // bit 63 - i for index i: the larger number has the older requests
  };

  static bool alike(const Question& question, const Item& a, const Item& b) noexcept;
  static const std::int64_t* padded_sizes_of(const Question& question, const Item& item) noexcept;
  static BatchRows batch_rows(const Question& question, std::size_t rows) noexcept;
  void sort(const Question& question) noexcept;
  void place_rows(const Question& question) noexcept;
  template <class Visit>
  void for_each_chunk_before(std::size_t end, const Question& question, Visit visit) const noexcept;
  std::uint64_t oldest_members(const Question& question) noexcept;
  std::uint64_t oldest_that_fit(const Question& question) const noexcept;
  template <class Seconds>
  static std::size_t rows_that_pay(const Question& question, Seconds seconds) noexcept;
  std::uint64_t best_members(const Question& question) noexcept;
  std::uint64_t shortest_members(const Question& question, const Chunk& best,
                                 double least) noexcept;
  std::span<const std::uint16_t> indices_of(std::uint64_t members) noexcept;

  std::size_t count_ = 0;        // requests that are looked at
  std::size_t oldest_ = 0;       // where index 0 stands in sorted_
  std::size_t placed_rows_ = 0;  // up to which placed_ is known
  std::array<Item, kLookAhead> sorted_{};
  std::array<BatchRows, kLookAhead + 1> placed_{};  // [rows]
  std::array<double, kLookAhead + 1> before_{};     // [i]: least cost of the first i, up to oldest_
  std::array<double, kLookAhead + 1> from_{};  // [i]: least cost of those from i on, behind oldest_
  std::array<double, kLookAhead + 1> alone_{};  // [i]: cost of the first i, each by itself
  std::array<std::uint16_t, kLookAhead> chosen_{};
};

}  // namespace dynbatch

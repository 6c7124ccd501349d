#include "batch/grouping.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "base/assertions.hpp"
#include "batch/cost_table.hpp"

namespace dynbatch {
namespace {

using Sizes = std::array<std::int64_t, ModelSpec::kMaxDimensions>;

constexpr std::uint16_t kNoGear = 0xffff;  // there are gears, and none fits
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kEqual = 1e-9;  // relative: the same costs, added in another order, differ by less

double product(const std::int64_t* sizes, std::size_t dimensions) noexcept {
  double elements = 1.0;
  for (std::size_t d = 0; d < dimensions; ++d) elements *= static_cast<double>(sizes[d]);
  return elements;
}

bool fits(const Sizes& sizes, const std::int64_t* into, std::size_t dimensions) noexcept {
  for (std::size_t d = 0; d < dimensions; ++d) {
    if (sizes[d] > into[d]) return false;
  }
  return true;
}

/// The gear of fewest elements that fits, the first of several.
std::uint16_t gear_for(const Sizes& sizes, const GroupLimits& limits) noexcept {
  std::uint16_t best = kNoGear;
  double fewest = kInfinity;
  for (std::size_t g = 0; g < limits.size_gears.size(); ++g) {
    const std::int64_t* gear = limits.size_gears[g].data();
    if (!fits(sizes, gear, limits.dimensions)) continue;
    const double elements = product(gear, limits.dimensions);
    if (elements >= fewest) continue;
    fewest = elements;
    best = static_cast<std::uint16_t>(g);
  }
  return best;
}

/// What a chunk is padded to, while requests join it.
class Padding {
 public:
  Padding(const GroupLimits& limits, const Sizes& first, std::uint16_t gear,
          double elements) noexcept
      : limits_(limits), largest_(first), elements_(elements) {
    if (!limits.size_gears.empty()) padded_ = limits.size_gears[gear].data();
  }
  Padding(const Padding&) = delete;
  Padding& operator=(const Padding&) = delete;

  double elements() const noexcept { return elements_; }
  const std::int64_t* sizes() const noexcept { return padded_; }

  /// Whether there is a gear for all of them then. One that fits what the others are padded to changes
  /// nothing: a smaller gear would not fit the others.
  bool join(const Sizes& next) noexcept {
    const bool within = fits(next, padded_, limits_.dimensions);
    for (std::size_t d = 0; d < limits_.dimensions; ++d)
      largest_[d] = std::max(largest_[d], next[d]);
    if (within) return true;
    if (!limits_.size_gears.empty()) {
      const std::uint16_t gear = gear_for(largest_, limits_);
      if (gear == kNoGear) return false;
      padded_ = limits_.size_gears[gear].data();
    }
    elements_ = product(padded_, limits_.dimensions);
    return true;
  }

 private:
  const GroupLimits& limits_;
  Sizes largest_;
  const std::int64_t* padded_ = largest_.data();
  double elements_;
};

/// `sizes`: those that rows are padded to.
bool is_too_large(const GroupLimits& limits, double filled_rows,
                  const std::int64_t* sizes) noexcept {
  if (limits.largest_bytes <= 0.0) return false;
  double bytes = 0.0;
  for (const RowBytes& tensor : limits.row_bytes) {
    double of_tensor = tensor.bytes;
    for (std::size_t d = 0; d < limits.dimensions; ++d) {
      for (std::uint8_t i = 0; i < tensor.times[d]; ++i) of_tensor *= static_cast<double>(sizes[d]);
    }
    bytes += of_tensor;
  }
  return filled_rows * bytes > limits.largest_bytes;
}

bool all_of_one_row(std::span<const GroupCandidate> waiting) noexcept {
  return std::ranges::all_of(waiting, [](const GroupCandidate& one) { return one.rows == 1; });
}

constexpr std::uint64_t member(std::size_t index) noexcept {
  return std::uint64_t{1} << (Grouping::kLookAhead - 1 - index);
}

}  // namespace

PaddedSizes padded_sizes(std::span<const GroupCandidate> waiting,
                         std::span<const std::uint16_t> batch, const GroupLimits& limits) noexcept {
  PaddedSizes padded;
  for (const std::uint16_t index : batch) {
    for (std::size_t d = 0; d < limits.dimensions; ++d)
      padded.sizes[d] = std::max(padded.sizes[d], waiting[index].sizes[d]);
  }
  const std::uint16_t gear = gear_for(padded.sizes, limits);
  if (gear != kNoGear)
    std::copy_n(limits.size_gears[gear].data(), limits.dimensions, padded.sizes.data());
  padded.elements = product(padded.sizes.data(), limits.dimensions);
  return padded;
}

std::size_t filled_rows(std::size_t rows, std::span<const std::size_t> batch_gears) noexcept {
  std::size_t smallest = 0;
  for (const std::size_t gear : batch_gears) {
    if (gear >= rows && (smallest == 0 || gear < smallest)) smallest = gear;
  }
  return smallest == 0 ? rows : smallest;
}

std::span<const std::uint16_t> Grouping::choose(std::span<const GroupCandidate> waiting,
                                                const GroupLimits& limits,
                                                const CostTable& cost) noexcept {
  DYNBATCH_DEBUG_ASSERT(limits.dimensions <= ModelSpec::kMaxDimensions);
  DYNBATCH_DEBUG_ASSERT(limits.largest_rows >= 1);
  count_ = std::min(waiting.size(), kLookAhead);
  if (count_ == 0) return {};
  if (count_ == 1) return indices_of(member(0));
  const Question question{waiting.first(count_), limits, cost};
  sort(question);
  if (sorted_[oldest_].gear == kNoGear) return indices_of(member(0));
  place_rows(question);
  if (alike(question, sorted_[0], sorted_[count_ - 1])) {
    return indices_of(all_of_one_row(question.waiting) ? oldest_members(question)
                                                       : oldest_that_fit(question));
  }
  return indices_of(best_members(question));
}

/// Requests that are padded alike when they are alone are neighbours: the older ones nearer to the oldest of
/// all, so that a chunk that takes a part of them takes those.
void Grouping::sort(const Question& question) noexcept {
  const GroupLimits& limits = question.limits;
  for (std::size_t i = 0; i < count_; ++i) {
    const Sizes& sizes = question.waiting[i].sizes;
    const std::uint16_t gear =
        limits.size_gears.empty() ? std::uint16_t{0} : gear_for(sizes, limits);
    const bool in_gear = !limits.size_gears.empty() && gear != kNoGear;
    const std::int64_t* padded = in_gear ? limits.size_gears[gear].data() : sizes.data();
    sorted_[i] = {.elements = product(padded, limits.dimensions),
                  .gear = gear,
                  .index = static_cast<std::uint16_t>(i)};
  }
  std::sort(sorted_.begin(), sorted_.begin() + count_, [&](const Item& a, const Item& b) {
    if (a.elements != b.elements) return a.elements < b.elements;
    if (a.gear != b.gear) return a.gear < b.gear;
    if (alike(question, a, b)) return a.index < b.index;
    const Sizes& sizes = question.waiting[a.index].sizes;
    const Sizes& others = question.waiting[b.index].sizes;
    return std::lexicographical_compare(sizes.begin(), sizes.begin() + limits.dimensions,
                                        others.begin(), others.begin() + limits.dimensions);
  });
  oldest_ = 0;
  while (sorted_[oldest_].index != 0) ++oldest_;
  for (std::size_t begin = 0; begin < oldest_;) {
    std::size_t end = begin + 1;
    while (end < oldest_ && alike(question, sorted_[begin], sorted_[end])) ++end;
    std::reverse(sorted_.begin() + begin, sorted_.begin() + end);
    begin = end;
  }
}

bool Grouping::alike(const Question& question, const Item& a, const Item& b) noexcept {
  if (a.elements != b.elements || a.gear != b.gear) return false;
  const std::size_t dimensions = question.limits.dimensions;
  if (dimensions < 2 || !question.limits.size_gears.empty()) return true;
  return std::equal(question.waiting[a.index].sizes.begin(),
                    question.waiting[a.index].sizes.begin() + dimensions,
                    question.waiting[b.index].sizes.begin());
}

Grouping::BatchRows Grouping::batch_rows(const Question& question, std::size_t rows) noexcept {
  const std::size_t filled = filled_rows(rows, question.limits.batch_gears);
  return {.filled = static_cast<double>(filled), .place = question.cost.place_of_rows(filled)};
}

void Grouping::place_rows(const Question& question) noexcept {
  placed_rows_ = std::min<std::size_t>(question.limits.largest_rows, kLookAhead);
  for (std::size_t rows = 1; rows <= placed_rows_; ++rows)
    placed_[rows] = batch_rows(question, rows);
}

const std::int64_t* Grouping::padded_sizes_of(const Question& question, const Item& item) noexcept {
  return question.limits.size_gears.empty() ? question.waiting[item.index].sizes.data()
                                            : question.limits.size_gears[item.gear].data();
}

/// Of requests that are padded alike and have one row: only their number counts, so that a batch of so and so
/// many costs the same wherever it is cut.
std::uint64_t Grouping::oldest_members(const Question& question) noexcept {
  const GroupLimits& limits = question.limits;
  const std::int64_t* const sizes = padded_sizes_of(question, sorted_[0]);
  const CostTable::Place place = question.cost.place_of_elements(sorted_[0].elements);
  std::array<double, kLookAhead + 1> seconds{};  // of a batch of so many
  std::size_t most = 0;
  while (most < std::min(count_, placed_rows_)) {
    const BatchRows& run = placed_[most + 1];
    if (most > 0 && is_too_large(limits, run.filled, sizes)) break;
    seconds[++most] = question.cost.seconds(run.place, place);
  }
  before_[0] = 0.0;
  for (std::size_t end = 1; end <= count_; ++end) {
    before_[end] = kInfinity;
    for (std::size_t members = 1; members <= std::min(end, most); ++members)
      before_[end] = std::min(before_[end], seconds[members] + before_[end - members]);
  }
  const double least = before_[count_] * (1.0 + kEqual);
  while (most > 1 && seconds[most] + before_[count_ - most] > least) --most;
  // Not the fewest of equally good partitions: if a rest runs first, its callers are soon a rest again.
  const auto per_row = [&](std::size_t rows) { return seconds[rows] / static_cast<double>(rows); };
  const double worth = per_row(most) * (1.0 + kEqual);
  std::size_t fewest = 1;
  while (fewest < most && per_row(fewest) * (1.0 - limits.tolerance) > worth) ++fewest;
  if (limits.tolerance > 0.0) most = fewest;
  std::uint64_t members = member(0);
  for (std::size_t i = 1; i < most; ++i) members |= member(i);
  return members;
}

/// Of requests that are padded alike and have several rows: up to the rows that pay best, as far as each that
/// joins costs no more than alone. One that does not fit is passed over.
std::uint64_t Grouping::oldest_that_fit(const Question& question) const noexcept {
  const std::int64_t* const sizes = padded_sizes_of(question, sorted_[0]);
  const CostTable::Place place = question.cost.place_of_elements(sorted_[0].elements);
  const auto run_of = [&](std::size_t rows) {
    return rows <= placed_rows_ ? placed_[rows] : batch_rows(question, rows);
  };
  const auto seconds = [&](std::size_t rows) {
    return question.cost.seconds(run_of(rows).place, place);
  };
  const std::size_t most = rows_that_pay(question, seconds);
  std::size_t rows = question.waiting[0].rows;
  std::uint64_t members = member(0);
  for (std::size_t i = 1; i < count_; ++i) {
    const std::size_t with = rows + question.waiting[i].rows;
    if (with > most || is_too_large(question.limits, run_of(with).filled, sizes)) continue;
    const double apart = seconds(rows) + seconds(question.waiting[i].rows);
    if (seconds(with) > apart * (1.0 + kEqual)) continue;
    rows = with;
    members |= member(i);
  }
  return members;
}

/// Rows of the batch that costs least a row: the most of several, or where there is a tolerance the fewest.
/// Batches of all that may run together, of gears and of 1, 2, 4 ... rows are looked at.
template <class Seconds>
std::size_t Grouping::rows_that_pay(const Question& question, Seconds seconds) noexcept {
  std::size_t all = 0;
  for (const GroupCandidate& one : question.waiting) all += one.rows;
  all = std::min<std::size_t>(all, question.limits.largest_rows);
  const auto per_row = [&](std::size_t rows) { return seconds(rows) / static_cast<double>(rows); };
  std::size_t best = all;
  const auto consider = [&](std::size_t rows) {
    const bool better = per_row(rows) * (1.0 + kEqual) < per_row(best);
    const bool equal = per_row(rows) <= per_row(best) * (1.0 + kEqual);
    if (better || (equal && rows > best)) best = rows;
  };
  for (std::size_t rows = std::bit_floor(all); rows > 0; rows /= 2) consider(rows);
  for (const std::size_t gear : question.limits.batch_gears) {
    if (gear <= all) consider(gear);
  }
  if (question.limits.tolerance <= 0.0) return best;
  const double worth = per_row(best) * (1.0 + kEqual);
  std::size_t fewest = 1;
  while (fewest < best && per_row(fewest) * (1.0 - question.limits.tolerance) > worth) fewest *= 2;
  return std::min(fewest, best);
}

/// The chunks that end before `end`, from the request there alone to the most that may run together.
template <class Visit>
void Grouping::for_each_chunk_before(std::size_t end, const Question& question,
                                     Visit visit) const noexcept {
  const GroupLimits& limits = question.limits;
  const Item& last = sorted_[end - 1];
  const GroupCandidate& first = question.waiting[last.index];
  std::size_t rows = first.rows;
  std::uint64_t members = member(last.index);
  CostTable::Place place = question.cost.place_of_elements(last.elements);
  const auto run_of = [&] {
    return rows <= placed_rows_ ? placed_[rows] : batch_rows(question, rows);
  };
  visit(Chunk{end - 1, end, question.cost.seconds(run_of().place, place), members});
  if (last.gear == kNoGear) return;
  Padding padding(limits, first.sizes, last.gear, last.elements);
  for (std::size_t begin = end - 1; begin-- > 0;) {
    const std::size_t index = sorted_[begin].index;
    const GroupCandidate& next = question.waiting[index];
    rows += next.rows;
    const double elements = padding.elements();
    if (rows > limits.largest_rows || !padding.join(next.sizes)) return;
    const BatchRows run = run_of();
    if (is_too_large(limits, run.filled, padding.sizes())) return;
    if (padding.elements() != elements) place = question.cost.place_of_elements(padding.elements());
    members |= member(index);
    visit(Chunk{begin, end, question.cost.seconds(run.place, place), members});
  }
}

/// The chunk with the oldest request of a partition that costs least: what stands before it, plus it, plus
/// what stands behind it. Both sides are partitions of their own, known before they are needed: chunks are
/// visited by rising ends on the one side, by falling ends on the other.
std::uint64_t Grouping::best_members(const Question& question) noexcept {
  before_[0] = 0.0;
  for (std::size_t end = 1; end <= oldest_; ++end) {
    double least = kInfinity;
    for_each_chunk_before(end, question, [&](const Chunk& chunk) {
      least = std::min(least, before_[chunk.begin] + chunk.seconds);
    });
    before_[end] = least;
  }
  std::fill(from_.begin() + oldest_ + 1, from_.begin() + count_, kInfinity);
  from_[count_] = 0.0;
  double least = kInfinity;
  Chunk best{};
  for (std::size_t end = count_; end > oldest_; --end) {
    const double behind = from_[end];
    for_each_chunk_before(end, question, [&](const Chunk& chunk) {
      if (chunk.begin > oldest_) {
        from_[chunk.begin] = std::min(from_[chunk.begin], chunk.seconds + behind);
        return;
      }
      const double total = before_[chunk.begin] + chunk.seconds + behind;
      const bool equal = total <= least * (1.0 + kEqual) && chunk.members > best.members;
      if (total >= least * (1.0 - kEqual) && !equal) return;
      least = std::min(least, total);
      best = chunk;
    });
  }
  return question.limits.tolerance > 0.0 ? shortest_members(question, best, least) : best.members;
}

/// Of the chunks with the oldest request the shortest run that saves nearly as much as the best: in itself,
/// against its requests one by one, and in all.
std::uint64_t Grouping::shortest_members(const Question& question, const Chunk& best,
                                         double least) noexcept {
  for (std::size_t i = 0; i < count_; ++i) {
    const BatchRows run = batch_rows(question, question.waiting[sorted_[i].index].rows);
    const CostTable::Place place = question.cost.place_of_elements(sorted_[i].elements);
    alone_[i + 1] = alone_[i] + question.cost.seconds(run.place, place);
  }
  const auto share = [&](const Chunk& chunk) {
    return chunk.seconds / (alone_[chunk.end] - alone_[chunk.begin]);
  };
  const double own = 1.0 - question.limits.tolerance;
  const double worth = share(best) * (1.0 + kEqual);
  Chunk shortest = best;
  for (std::size_t end = count_; end > oldest_; --end) {
    for_each_chunk_before(end, question, [&](const Chunk& chunk) {
      if (chunk.begin > oldest_ || chunk.seconds >= shortest.seconds) return;
      const double total = before_[chunk.begin] + chunk.seconds * own + from_[end];
      if (total <= least * (1.0 + kEqual) && share(chunk) * own <= worth) shortest = chunk;
    });
  }
  return shortest.members;
}

std::span<const std::uint16_t> Grouping::indices_of(std::uint64_t members) noexcept {
  std::size_t taken = 0;
  for (; members != 0; members &= ~member(static_cast<std::size_t>(std::countl_zero(members))))
    chosen_[taken++] = static_cast<std::uint16_t>(std::countl_zero(members));
  return {chosen_.data(), taken};
}

}  // namespace dynbatch

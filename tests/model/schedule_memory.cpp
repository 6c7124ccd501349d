// Schedule: what its threads read and write, and what of it others see.
#include <algorithm>
#include <utility>

#include "model/schedule.hpp"

namespace dynbatch::testing {
namespace {

// Places of the test itself come first, then so many of each thread.
constexpr std::uint32_t kPlacesOfTest = 4096;
constexpr std::uint32_t kPlacesOfThread = 1024;

}  // namespace

Footprints::PlaceId Schedule::new_place() noexcept {
  if (me_ == nullptr) return phase_ == Phase::built ? places_++ : Footprints::kNoPlace;
  const Footprints::PlaceId place =
      kPlacesOfTest + me_->index * kPlacesOfThread + me_->places++ % kPlacesOfThread;
  if (place < gone_.size()) gone_[place] = false;
  return place;
}

void Schedule::end_place(Footprints::PlaceId place) noexcept {
  if (place == Footprints::kNoPlace || phase_ == Phase::over) return;
  if (place >= kPlacesOfTest) {
    const ModelThread& maker = *threads_[(place - kPlacesOfTest) / kPlacesOfThread];
    if (maker.places > kPlacesOfThread) return;  // another may have got the same number
  }
  if (place >= gone_.size()) gone_.resize(place + 1);
  gone_[place] = true;
}

void Schedule::end_cell(const Cell& cell) noexcept {
  end_place(cell.place);
  if (phase_ == Phase::over) return;
  for (const auto& thread : threads_) {
    const auto left = std::erase_if(
        thread->unseen, [&](const ModelThread::Store& store) { return store.cell == &cell; });
    if (left > 0 && thread.get() != me_) fail("a store is seen when its place is gone");
  }
}

void Schedule::touch(Footprints::PlaceId place) {
  if (place < gone_.size() && gone_[place]) fail("uses what is gone");
}

void Schedule::new_mutex(ModelMutexState& mutex) noexcept {
  mutex.place = new_place();
  if (me_ == nullptr && mutexes_ < 64) mutex.bit = std::uint64_t{1} << mutexes_++;
}

/// Notes an access of the calling thread; whether another thread's may interfere.
bool Schedule::matters(Footprints::PlaceId place, bool writes) noexcept {
  if (place == Footprints::kNoPlace || phase_ != Phase::explored) return false;
  const unsigned mine = me_->index;
  footprints_.note(place, mine, writes, me_->locks);
  return footprints_.conflicts(place, mine, writes, me_->locks);
}

std::uint64_t Schedule::load(const Cell& cell) {
  if (me_ == nullptr) return cell.bits;
  point(matters(cell.place, false));
  touch(cell.place);
  for (auto store = me_->unseen.rbegin(); store != me_->unseen.rend(); ++store) {
    if (store->cell == &cell) return store->bits;
  }
  return cell.bits;
}

void Schedule::store(Cell& cell, std::uint64_t bits, bool seq_cst) {
  if (me_ == nullptr) {
    cell.bits = bits;
    return;
  }
  if (seq_cst) drain();
  const bool shared = matters(cell.place, true);
  if (me_->unseen.empty()) point(shared);  // otherwise nothing becomes visible now
  touch(cell.place);
  if (!seq_cst && stays_unseen(shared)) {
    me_->unseen.push_back({.cell = &cell, .bits = bits});
    return;
  }
  drain_others(cell);
  cell.bits = bits;
}

std::uint64_t Schedule::begin_update(Cell& cell, bool seq_cst) {
  if (me_ == nullptr) return cell.bits;
  if (seq_cst) drain();
  point(matters(cell.place, true));
  touch(cell.place);
  drain_others(cell);
  for (auto store = me_->unseen.rbegin(); store != me_->unseen.rend(); ++store) {
    if (store->cell == &cell) return store->bits;
  }
  return cell.bits;
}

void Schedule::end_update(Cell& cell, std::uint64_t bits, bool seq_cst) {
  if (me_ != nullptr && !seq_cst && stays_unseen(matters(cell.place, true))) {
    me_->unseen.push_back({.cell = &cell, .bits = bits});
    return;
  }
  cell.bits = bits;
}

/// Whether a store is to go to the store buffer: always, if an older one is there.
bool Schedule::stays_unseen(bool matters) {
  ++step_;
  if (!me_->unseen.empty()) return true;
  if (phase_ != Phase::explored || choices_.exhausted() || !(matters || choices_.replaying()))
    return false;
  options_.assign({Option{}, Option{.kind = Option::Kind::delay, .cost = 1}});
  return choices_.choose(step_, options_).kind == Option::Kind::delay;
}

/// Empties the store buffer of the calling thread.
void Schedule::drain() {
  if (me_ == nullptr) return;
  while (!me_->unseen.empty()) {
    point(true);
    if (me_->unseen.empty()) return;  // another thread wanted the place
    const ModelThread::Store store = me_->unseen.front();
    me_->unseen.erase(me_->unseen.begin());
    store.cell->bits = store.bits;
  }
}

/// Whoever writes a place takes it from the store buffers of others, with all that is older there.
void Schedule::drain_others(const Cell& cell) noexcept {
  for (const auto& thread : threads_) {
    if (thread.get() == me_) continue;
    auto& unseen = thread->unseen;
    const auto last = std::find_if(unseen.rbegin(), unseen.rend(),
                                   [&](const auto& store) { return store.cell == &cell; });
    if (last == unseen.rend()) continue;
    const auto end = last.base();
    for (auto store = unseen.begin(); store != end; ++store) store->cell->bits = store->bits;
    unseen.erase(unseen.begin(), end);
  }
}

}  // namespace dynbatch::testing

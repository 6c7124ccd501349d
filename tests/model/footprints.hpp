// Footprints: which threads read and write which place, and under which locks, over all schedules so
// far. Where nobody else can interfere, a switch of threads before an access changes nothing, and the
// search leaves it out.
//
// Sound because an access that is left out commutes with all that others do: nobody else touches the
// place, or nobody else writes what is read, or whoever does holds a lock that is held here. When a
// schedule shows that this was too bold, the search begins anew with what was learned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dynbatch::testing {

class Footprints {
 public:
  using PlaceId = std::uint32_t;
  /// Of places that are made outside of schedules; accesses to them are nobody's business.
  static constexpr PlaceId kNoPlace = UINT32_MAX;
  static constexpr std::uint64_t kNoLocks = 0;

  /// Whether another thread's access may matter to this one, by what was known at commit().
  bool conflicts(PlaceId place, unsigned thread, bool writes, std::uint64_t locks) const noexcept {
    if (place >= known_.size()) return false;
    const Footprint& known = known_[place];
    if (writes) return others(known.users, thread) && (known.locks_of_users & locks) == 0;
    return others(known.writers, thread) && (known.locks_of_writers & locks) == 0;
  }

  void note(PlaceId place, unsigned thread, bool writes, std::uint64_t locks) {
    if (place == kNoPlace) return;
    if (place >= seen_.size()) seen_.resize(place + 1);
    Footprint& seen = seen_[place];
    grew_ = add(seen.users, thread) || grew_;
    grew_ = keep(seen.locks_of_users, locks) || grew_;
    if (!writes) return;
    grew_ = add(seen.writers, thread) || grew_;
    grew_ = keep(seen.locks_of_writers, locks) || grew_;
  }

  /// Between schedules: lets the next ones use what was learned. False if that was nothing new.
  bool commit() {
    if (!grew_) return false;
    known_ = seen_;
    grew_ = false;
    return true;
  }

 private:
  static constexpr std::uint8_t kNobody = 0xff;
  static constexpr std::uint8_t kSeveral = 0xfe;
  struct Footprint {
    std::uint8_t users = kNobody;  // the only one, or kSeveral
    std::uint8_t writers = kNobody;
    std::uint64_t locks_of_users = UINT64_MAX;  // held at every access
    std::uint64_t locks_of_writers = UINT64_MAX;
  };

  static bool others(std::uint8_t who, unsigned thread) noexcept {
    return who != kNobody && who != thread;
  }
  static bool add(std::uint8_t& who, unsigned thread) noexcept {
    if (who == kSeveral || who == thread) return false;
    who = who == kNobody ? static_cast<std::uint8_t>(thread) : kSeveral;
    return true;
  }
  static bool keep(std::uint64_t& locks, std::uint64_t held) noexcept {
    const std::uint64_t both = locks & held;
    if (both == locks) return false;
    locks = both;
    return true;
  }

  std::vector<Footprint> known_;
  std::vector<Footprint> seen_;
  bool grew_ = false;
};

}  // namespace dynbatch::testing

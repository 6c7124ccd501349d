// What a schedule knows of one of its threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/platform.hpp"
#include "model/footprints.hpp"

namespace dynbatch::testing {

/// The memory of one atomic variable.
struct Cell {
  std::uint64_t bits = 0;
  Footprints::PlaceId place = Footprints::kNoPlace;
};

/// Objects of a thread's own, by the address of a tag.
class Locals {
 public:
  template <class T>
  T& get(const void* tag) {
    for (const auto& [key, object] : objects_) {
      if (key == tag) return *static_cast<T*>(object.get());
    }
    objects_.emplace_back(tag, std::make_shared<T>());
    return *static_cast<T*>(objects_.back().second.get());
  }

 private:
  std::vector<std::pair<const void*, std::shared_ptr<void>>> objects_;
};

struct ModelThread {
  enum class State : std::uint8_t { runnable, parked, locked_out, finished };
  struct Store {
    Cell* cell = nullptr;
    std::uint64_t bits = 0;
  };

  unsigned index = 0;
  std::string name;
  std::function<void()> body;
  bool daemon = false;  // may be parked when everything is at rest

  State state = State::runnable;
  const void* waits_for = nullptr;  // the cell or the mutex
  Nanoseconds deadline = kNever;    // of a parked one
  bool may_wake_alone = false;      // of a parked one: for no reason
  bool pausing = false;             // runnable, and waits for others to get on
  std::uint64_t parked_at = 0;      // step; sleepers on one word are woken in this order
  std::uint64_t locks = 0;          // held, one bit each
  std::uint32_t places = 0;         // made by this thread
  std::vector<Store> unseen;  // its store buffer: stores that others do not see yet, oldest first
  Locals locals;
};

}  // namespace dynbatch::testing

// dynbatch and the batchers that it is held against, all in front of the null executor, with one worker
// each and the same largest batch.
#pragma once

#include <cstddef>
#include <vector>

#include "closed_loop.hpp"
#include "dynbatch_batcher.hpp"
#include "moodycamel_batcher.hpp"
#include "mutex_batcher.hpp"
#include "paired.hpp"

namespace dynbatch::bench {

class NullContenders {
 public:
  NullContenders(const Load& load, std::size_t max_batch)
      : loop_(load),
        dynbatch_(load.row_bytes, max_batch),
        mutex_(load.row_bytes, max_batch),
        moodycamel_(load.row_bytes, max_batch) {}

  std::vector<Contender> all() {
    return {{"dynbatch", [this](double s) { return loop_.measure(dynbatch_, s); }},
            {"mutex batcher", [this](double s) { return loop_.measure(mutex_, s); }},
            {"moodycamel batcher", [this](double s) { return loop_.measure(moodycamel_, s); }}};
  }

 private:
  ClosedLoop loop_;
  DynbatchBatcher dynbatch_;
  MutexBatcher mutex_;
  MoodycamelBatcher moodycamel_;
};

}  // namespace dynbatch::bench

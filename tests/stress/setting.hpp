// What a stressed batcher is made of, and what goes wrong with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <vector>

#include <dynbatch/options.hpp>

namespace dynbatch::testing {

enum class Fails : std::uint8_t {
  no,
  poison,   // runs with a poisoned row, of which one at most is in flight: its request fails alone
  anything  // poisoned rows, as many as it happens, and runs at random
};

enum class Waits : std::uint8_t {
  mixed,      // some threads make blocking calls, some submit; all of them settle at random
  blocking,   // blocking calls only
  pipelined,  // submit many, then settle all of them
  announced   // pipelined, with answers announced at a completion port
};

enum class Closes : std::uint8_t { at_rest, draining, cancelling };

struct Setting {
  const char* name;
  std::uint64_t requests = 6000;  // of each thread
  std::size_t workers = 1;
  std::size_t threads = 4;
  std::size_t max_batch_size = 8;
  std::size_t queue_capacity = 8;
  std::vector<std::size_t> gears;  // empty: batches run at their own size
  Batching batching = Batching::always;
  Waits waits = Waits::mixed;
  Fails fails = Fails::no;
  bool shared = false;      // requests with one of three keys
  bool delays = false;      // max_queue_delay changes all the time
  bool gives_up = false;    // requests are cancelled, expire, or are dropped
  bool adopts = false;      // the executor brings its outputs
  bool notices = false;     // those who find no room ask to be told of it
  bool observed = false;    // a thread reads the statistics all the time
  bool own_workers = true;  // false: threads of the test's are lent
  /// With own_workers = false: nobody lends a thread, so callers lead. Their requests must find room,
  /// since who waits for room leads nobody.
  bool callers_only = false;
  Closes closes = Closes::at_rest;  // else while requests come in, again and again
};

inline void PrintTo(const Setting& setting, std::ostream* out) { *out << setting.name; }

}  // namespace dynbatch::testing

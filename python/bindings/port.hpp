// Port: a CompletionPort that outlives what is in flight towards it.
//
// Everything here is called with the GIL held, which is what guards the counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <dynbatch/batcher.hpp>
#include <dynbatch/completion_port.hpp>
#include <dynbatch/ticket.hpp>

#include "gil.hpp"

namespace dynbatch::python {

class Port {
 public:
  /// Frees a context that is drained after its port was retired.
  using Dispose = void (*)(void* context) noexcept;

  explicit Port(Dispose dispose) : dispose_(dispose) {}
  /// Gives the port up. It is deleted once nothing is in flight towards it: now, or when a later
  /// port is retired or made.
  static void retire(std::unique_ptr<Port> port);
  /// Deletes those retired ports that have become idle.
  static void delete_idle();

  /// Counts `context` as in flight. False, and nothing is in flight, if the ticket has a port.
  bool notify(Ticket& ticket, void* context);
  void notify_space(Batcher& batcher, void* context);
  /// What has finished. Valid until the next call.
  const std::vector<void*>& drain();

  int fd() const noexcept { return port_.fd(); }
  void wait() noexcept { port_.wait(); }
  void wake() noexcept { port_.wake(); }
  std::size_t in_flight() const noexcept { return in_flight_; }

 private:
  CompletionPort port_;
  Dispose dispose_;
  std::uint32_t fork_generation_ = fork_generation();
  std::size_t in_flight_ = 0;
  std::vector<void*> drained_;
};

}  // namespace dynbatch::python

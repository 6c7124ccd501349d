// WaitChain: which runs of Python functions wait for which batchers, so that a wait that could never
// end is refused: one in a circle of batchers, all of whose workers wait for each other.
//
// Everything here is called with the GIL held, which is what guards the list of waits.
#pragma once

#include <cstddef>

#include <dynbatch/ticket.hpp>

namespace dynbatch::python {

class Core;

/// A run of `from`, on this thread, waits without a deadline for a request of `to`.
class WaitLink {
 public:
  /// Notes nothing where this thread is in no run.
  WaitLink(const Core* to, const Ticket& ticket);
  WaitLink(const WaitLink&) = delete;
  WaitLink& operator=(const WaitLink&) = delete;
  ~WaitLink();

  /// Raises ExecutionError if nobody is left who could answer the request.
  void refuse_endless_wait() const;

  /// In the child of a fork: nobody waits there.
  static void forget_all() noexcept;

 private:
  bool anybody_gets_on() const;

  const Core* from_;
  std::size_t workers_ = 0;  // of `from`: so many of its runs have to wait before it stands still
  const Core* to_;
  const Ticket* ticket_;
  WaitLink* next_ = nullptr;
};

}  // namespace dynbatch::python

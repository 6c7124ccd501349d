#include "wait_chain.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "core.hpp"
#include "exceptions.hpp"
#include "python_executor.hpp"

namespace dynbatch::python {
namespace {

WaitLink* links = nullptr;

}  // namespace

WaitLink::WaitLink(const Core* to, const Ticket& ticket)
    : from_(PythonExecutor::running_here()), to_(to), ticket_(&ticket) {
  if (from_ == nullptr) return;
  workers_ = from_->workers();
  next_ = std::exchange(links, this);
}

WaitLink::~WaitLink() {
  WaitLink** at = &links;
  while (*at != nullptr && *at != this) at = &(*at)->next_;
  if (*at != nullptr) *at = next_;
}

void WaitLink::refuse_endless_wait() const {
  if (from_ == nullptr || ticket_->done() || anybody_gets_on()) return;
  raise(ErrorCode::execution,
        "a function that runs a batch waits for a batcher whose function waits for it in turn: the "
        "wait would never end; submit() is allowed");
}

void WaitLink::forget_all() noexcept { links = nullptr; }

/// Whether a way along the waits leads from the batcher that is waited for to one with a worker free.
bool WaitLink::anybody_gets_on() const {
  std::vector<const Core*> reached{to_};
  for (std::size_t i = 0; i < reached.size(); ++i) {
    std::size_t waiting = 0;
    std::size_t workers = 1;
    for (const WaitLink* link = links; link != nullptr; link = link->next_) {
      // One whose request is done is about to go on.
      if (link->from_ != reached[i] || link->ticket_->done()) continue;
      ++waiting;
      workers = link->workers_;
      if (std::ranges::find(reached, link->to_) == reached.end()) reached.push_back(link->to_);
    }
    if (waiting < workers) return true;
  }
  return false;
}

}  // namespace dynbatch::python

#include "core.hpp"

#include <utility>

#include "exceptions.hpp"
#include "gil.hpp"
#include "python_executor.hpp"
#include "wait_chain.hpp"
#include "waiting.hpp"

namespace dynbatch::python {
namespace {

// Copying this much takes about as long as giving the GIL up and getting it back when nobody else
// wants it; when somebody does, getting it back takes up to 5 ms.
constexpr std::size_t kShortCopyBytes = std::size_t{64} * 1024;

// So many calls in a row make a thread the only caller.
constexpr std::uint32_t kCallsOfOnlyCaller = 16;

std::optional<Clock::time_point> deadline_after(std::optional<std::chrono::nanoseconds> timeout) {
  if (!timeout) return std::nullopt;
  return Clock::now() + *timeout;
}

}  // namespace

Core::Core(const ModelSpec& spec)
    : signature_(std::make_shared<const Signature>(spec)),
      fork_generation_(python::fork_generation()) {}

std::shared_ptr<Core> Core::make(std::unique_ptr<Executor> executor, BatchingOptions options,
                                 const py::object& examples) {
  const std::shared_ptr<Core> core(new Core(executor->spec()));
  if (auto* const python = dynamic_cast<PythonExecutor*>(executor.get())) python->attach(core);
  std::optional<Feeds> feeds;
  if (!examples.is_none()) {
    feeds.emplace(*core->signature_, examples);
    options.examples.assign(feeds->views().begin(), feeds->views().end());
  }
  const GilRelease release;
  core->batcher_ = std::make_unique<Batcher>(std::move(executor), std::move(options));
  core->workers_ = core->batcher_->stats().workers;
  const MemoryPlan plan = core->batcher_->memory_plan();
  core->queue_rows_ = core->batcher_->is_staged()
                          ? plan.queue_capacity  // such rows wait in no blocks
                          : plan.batch_blocks * core->batcher_->gears().cap;
  if (core->batcher_->is_staged()) core->queue_bytes_ = plan.batch_block_bytes;
  return core;
}

Core::~Core() {
  const GilRelease release;
  batcher_.reset();
}

Feeds Core::converted(py::handle feeds) {
  try {
    Feeds views(*signature_, feeds);
    if (views.copied_arrays() > 0) {
      copied_arrays_.fetch_add(views.copied_arrays(), std::memory_order_relaxed);
    }
    return views;
  } catch (...) {
    refused_feeds_.fetch_add(1, std::memory_order_relaxed);
    throw;
  }
}

Stats Core::stats() const {
  Stats stats = batcher_->stats();
  stats.refused += refused_feeds_.load(std::memory_order_relaxed);
  return stats;
}

void Core::note_caller() noexcept {
  const unsigned long caller = PyThread_get_thread_ident();
  calls_in_a_row_ = caller == last_caller_ ? calls_in_a_row_ + 1 : 1;
  last_caller_ = caller;
}

/// Whether a call may hold the GIL until it returns from C++: the one place for this decision. It never
/// waits with it for anything but its own copy and, as the only caller of late, its own short run: next
/// to a busy thread getting the GIL back takes up to 5 ms.
bool Core::keeps_gil(const Feeds& feeds, const SubmitOptions& options, bool may_run) noexcept {
  if (options.on_full != OnFull::raise || feeds.size_bytes() > kShortCopyBytes) return false;
  if (!may_run) return true;
  return calls_in_a_row_ > kCallsOfOnlyCaller && rows_of(feeds) <= batcher_->brief_rows();
}

Ticket Core::start(const Feeds& feeds, const SubmitOptions& options, bool may_run) {
  const auto call = [&] {
    return may_run ? batcher_->start(feeds.views(), options)
                   : batcher_->submit(feeds.views(), options);
  };
  if (keeps_gil(feeds, options, may_run)) return call();
  const GilRelease release;
  return call();
}

/// Runs at once with the GIL if that is sure to be short; otherwise an empty ticket.
Ticket Core::start_short(const Feeds& feeds, const SubmitOptions& options) {
  SubmitOptions at_once = options;
  at_once.on_full = OnFull::raise;
  at_once.asks_again = true;
  if (!keeps_gil(feeds, at_once, true)) return {};
  Ticket ticket = batcher_->start(feeds.views(), at_once);
  runs_with_gil_ += ticket.accepted() && ticket.done() ? 1 : 0;
  return ticket;
}

Ticket Core::start_when_there_is_space(const Feeds& feeds, SubmitOptions options, bool may_run) {
  // A thread that waits for space in C++ would not see signals, so the main thread waits here.
  // What can only run in pieces waits in C++ all the same: its room never comes at once.
  if (options.on_full == OnFull::raise || !on_main_thread() || exceeds_queue(feeds)) {
    return start(feeds, options, may_run);
  }
  options.on_full = OnFull::raise;
  const auto deadline = deadline_after(options.timeout);
  for (;;) {
    if (deadline) options.timeout = *deadline - Clock::now();
    options.asks_again = !deadline || options.timeout->count() > 0;
    Ticket ticket = start(feeds, options, may_run);
    if (ticket.accepted() || ticket.code() != ErrorCode::queue_full) return ticket;
    if (!options.asks_again) raise(ErrorCode::timeout, "");
    wait_for_space(*batcher_, deadline);
  }
}

Ticket Core::infer(py::handle feeds, OnFull on_full, std::optional<double> timeout) {
  drop_deferred();
  refuse_in_child();
  refuse_inside_own_run();
  const Feeds views = converted(feeds);
  const SubmitOptions options{on_full, to_duration("timeout", timeout)};
  const auto deadline = deadline_after(options.timeout);
  note_caller();
  if (Ticket ticket = start_short(views, options);
      ticket.accepted() ||
      (ticket.code() != ErrorCode::none && ticket.code() != ErrorCode::queue_full))
    return waited_for(std::move(ticket), deadline);
  if (!on_main_thread() && PythonExecutor::running_here() == nullptr) {
    // Signals go to the main thread, so this one starts and waits in one call: getting the GIL back
    // in between would cost a busy interpreter another turn.
    Ticket ticket = [&] {
      const GilRelease release;
      return batcher_->infer(views.views(), options);
    }();
    if (ticket.code() != ErrorCode::none) raise(ticket.failure());
    return ticket;
  }
  return waited_for(start_when_there_is_space(views, options, true), deadline);
}

Ticket Core::waited_for(Ticket ticket, std::optional<Clock::time_point> deadline) const {
  if (ticket.accepted() && !deadline) {
    wait_endlessly(ticket);
  } else if (ticket.accepted() && !wait_until(ticket, deadline)) {
    ticket.expire();
  }
  if (ticket.code() != ErrorCode::none) raise(ticket.failure());
  return ticket;
}

void Core::wait_endlessly(Ticket& ticket) const {
  const WaitLink link(this, ticket);
  try {
    link.refuse_endless_wait();
  } catch (...) {
    ticket.cancel();
    throw;
  }
  wait_until(ticket, std::nullopt);
}

std::shared_ptr<Ticket> Core::submit(py::handle feeds, OnFull on_full) {
  drop_deferred();
  refuse_in_child();
  if (on_full == OnFull::wait) refuse_inside_own_run();
  const Feeds views = converted(feeds);
  note_caller();
  auto ticket =
      std::make_shared<Ticket>(start_when_there_is_space(views, {on_full, std::nullopt}, false));
  if (!ticket->accepted()) raise(ticket->failure());
  return ticket;
}

Ticket Core::try_submit(py::handle feeds, bool hold) {
  drop_deferred();
  refuse_in_child();
  const Feeds views = converted(feeds);
  note_caller();
  Ticket ticket = start(
      views, {.on_full = OnFull::raise, .timeout = std::nullopt, .asks_again = true, .hold = hold},
      false);
  if (!ticket.accepted() && ticket.code() != ErrorCode::queue_full) raise(ticket.failure());
  return ticket;
}

py::dict Core::arrays(py::handle feeds) const {
  return Feeds(*signature_, feeds).arrays(*signature_);
}

bool Core::exceeds_queue(py::handle feeds) const {
  return exceeds_queue(Feeds(*signature_, feeds));
}

bool Core::exceeds_queue(const Feeds& feeds) const noexcept {
  // Requests that are not merged are refused above max_batch_size, which always fits.
  if (!batcher_->report().merges) return false;
  // More than a piece costs beside its bytes, and each row may be one.
  const std::size_t heads = rows_of(feeds) * (signature_->inputs.size() + 1) * kHeadBytes;
  return rows_of(feeds) > queue_rows_ || feeds.size_bytes() + heads > queue_bytes_;
}

std::size_t Core::rows_of(const Feeds& feeds) const noexcept {
  for (std::size_t i = 0; i < signature_->inputs.size(); ++i) {
    const TensorSpec& spec = signature_->inputs[i];
    const Shape& shape = feeds.views()[i].shape;
    if (spec.shared || shape.dims().size() <= spec.batch_axis) continue;
    return static_cast<std::size_t>(shape[spec.batch_axis]);
  }
  return 0;
}

void Core::work() {
  const GilRelease release;
  batcher_->work();
}

void Core::wait_for_workers() {
  const GilRelease release;
  batcher_->wait_for_workers();
}

void Core::close(bool drain) {
  if (python::fork_generation() != fork_generation_) return;
  refuse_inside_own_run();
  wait_for_close(*batcher_, drain);
  drop_deferred();
}

bool Core::closed() const noexcept {
  return python::fork_generation() != fork_generation_ || batcher_->closed();
}

void Core::refuse_inside_own_run() const {
  if (!PythonExecutor::running_for(this)) return;
  raise(ErrorCode::execution,
        "a function that runs a batch waits for its own model: the wait would never end; "
        "submit() is allowed");
}

void Core::refuse_in_child() const {
  if (python::fork_generation() == fork_generation_) return;
  raise(ErrorCode::closed, "the model was loaded before this process was forked: load after fork");
}

}  // namespace dynbatch::python

#include "capi/stream.hpp"

#include <csignal>
#include <cstring>
#include <new>
#include <string>
#include <system_error>
#include <utility>

namespace dynbatch::capi {
namespace {

/// What the thread inherits that is made meanwhile: signals are for the program's own threads.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

void perform(const Copy& copy) { std::memmove(copy.to, copy.from, copy.bytes); }
void perform(const ModelRun& run) { run.execute(); }

}  // namespace

std::optional<Refusal> Stream::failure_of(const std::variant<Copy, ModelRun>& work) const noexcept {
  try {
    std::visit([](const auto& each) { perform(each); }, work);
  } catch (const Refusal& refusal) {
    return refusal;
  } catch (const std::bad_alloc&) {
    return out_of_memory_;
  }
  return std::nullopt;
}

Stream::Stream() {
  const SignalsBlocked blocked;
  try {
    thread_ = std::thread([this] { serve(); });
  } catch (const std::system_error& error) {
    refuse(ACL_ERROR_BAD_ALLOC, std::string("there is no thread for a stream: ") + error.what());
  }
}

Stream::~Stream() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  arrived_.notify_one();
  thread_.join();
}

void Stream::add(std::variant<Copy, ModelRun> work) {
  {
    const std::lock_guard lock(mutex_);
    works_.push_back(std::move(work));
    ++added_;
  }
  arrived_.notify_one();
}

std::optional<Refusal> Stream::synchronize() {
  std::unique_lock lock(mutex_);
  const std::uint64_t wanted = added_;
  finished_.wait(lock, [&] { return done_ >= wanted; });
  return std::exchange(failure_, std::nullopt);
}

void Stream::serve() noexcept {
  std::unique_lock lock(mutex_);
  for (;;) {
    arrived_.wait(lock, [this] { return !works_.empty() || closing_; });
    if (works_.empty()) return;
    std::optional<Refusal> failure;
    {
      const auto work = std::move(works_.front());
      works_.pop_front();
      lock.unlock();
      failure = failure_of(work);
    }  // here a model that was unloaded meanwhile goes, without the lock
    lock.lock();
    if (failure && !failure_) failure_ = std::move(failure);
    ++done_;
    finished_.notify_all();
  }
}

}  // namespace dynbatch::capi

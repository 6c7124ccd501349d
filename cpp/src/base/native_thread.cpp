#include "base/native_thread.hpp"

#include <csignal>
#include <string>
#include <system_error>
#include <utility>

#include <dynbatch/error.hpp>

namespace dynbatch {
namespace {

/// All signals are blocked on this thread; it gets its own mask back however the scope is left.
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() noexcept {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;
  ~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

}  // namespace

std::thread make_native_thread(std::function<void()> body) {
  // The new thread inherits the mask, so no signal can reach it before it has set its own.
  const AllSignalsBlocked blocked;
  try {
    return std::thread(std::move(body));
  } catch (const std::system_error& error) {
    throw Error(ErrorCode::model, std::string("cannot start a worker thread: ") + error.what());
  }
}

}  // namespace dynbatch

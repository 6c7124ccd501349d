#include "base/native_thread.hpp"

#include <csignal>
#include <string>
#include <system_error>
#include <utility>

#include <dynbatch/error.hpp>

namespace dynbatch {

std::thread make_native_thread(std::function<void()> body) {
  // The new thread inherits the mask, so no signal can reach it before it has set its own.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread;
  std::string reason;
  try {
    thread = std::thread(std::move(body));
  } catch (const std::system_error& error) {
    reason = error.what();
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!thread.joinable()) throw Error(ErrorCode::model, "cannot start a worker thread: " + reason);
  return thread;
}

}  // namespace dynbatch

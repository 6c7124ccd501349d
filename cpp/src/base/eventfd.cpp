#include "base/eventfd.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#include <dynbatch/error.hpp>

namespace dynbatch {

EventFd::EventFd() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (fd_ < 0) {
    throw Error(ErrorCode::model, std::string("cannot open an eventfd: ") + std::strerror(errno));
  }
}

EventFd::~EventFd() { close(fd_); }

void EventFd::signal() noexcept {
  const std::uint64_t one = 1;
  // Fails only when the counter is at its largest, and then the descriptor is readable already.
  [[maybe_unused]] const auto written = write(fd_, &one, sizeof one);
}

void EventFd::clear() noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = read(fd_, &count, sizeof count);
}

void EventFd::wait() noexcept {
  pollfd entry{.fd = fd_, .events = POLLIN, .revents = 0};
  while (poll(&entry, 1, -1) < 0 && errno == EINTR) {
  }
}

}  // namespace dynbatch

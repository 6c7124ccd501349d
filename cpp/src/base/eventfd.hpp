// A descriptor that one side makes readable and the other clears. Any thread may call anything.
#pragma once

namespace dynbatch {

class EventFd {
 public:
  /// Throws Error(model) if the process may open no more descriptors.
  EventFd();
  EventFd(const EventFd&) = delete;
  EventFd& operator=(const EventFd&) = delete;
  ~EventFd();

  int fd() const noexcept { return fd_; }
  void signal() noexcept;
  void clear() noexcept;
  /// Blocks until the descriptor is readable.
  void wait() noexcept;

 private:
  int fd_;
};

}  // namespace dynbatch

// Stream: a thread that does what is queued to it, in order. Any thread may add and wait.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>

#include "capi/answer.hpp"
#include "capi/model_run.hpp"

namespace dynbatch::capi {

struct Copy {
  void* to;
  const void* from;
  std::size_t bytes;
};

class Stream {
 public:
  Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  /// Waits until all that is queued is done.
  ~Stream();

  void add(std::variant<Copy, ModelRun> work);
  /// Waits until what is queued by now is done. The first failure since the last call; later work was done all
  /// the same.
  std::optional<Refusal> synchronize();

 private:
  void serve() noexcept;
  std::optional<Refusal> failure_of(const std::variant<Copy, ModelRun>& work) const noexcept;

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::condition_variable finished_;
  std::deque<std::variant<Copy, ModelRun>> works_;  // under mutex_, as all below
  std::uint64_t added_ = 0;
  std::uint64_t done_ = 0;
  std::optional<Refusal> failure_;
  const Refusal out_of_memory_{ACL_ERROR_BAD_ALLOC, "there is no memory"};  // made while there is
  bool closing_ = false;
  std::thread thread_;  // the last: it uses the others
};

}  // namespace dynbatch::capi

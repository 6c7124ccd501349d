// The batcher that one writes first, written well: a queue of owned rows under a mutex, a condition
// variable for the worker, a promise for each request. Rows are copied and
// gathered outside of the lock.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "gathered_batch.hpp"
#include "rows.hpp"

namespace dynbatch::bench {

class MutexBatcher {
 private:
  struct Answer {
    LentOutputs* outputs = nullptr;
    std::size_t row = 0;
  };

 public:
  MutexBatcher(std::size_t row_bytes, std::size_t max_batch)
      : batch_(row_bytes, max_batch), worker_([this] { work(); }) {}
  MutexBatcher(const MutexBatcher&) = delete;
  MutexBatcher& operator=(const MutexBatcher&) = delete;
  ~MutexBatcher() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    not_empty_.notify_one();
    worker_.join();
  }

  RunTotals totals() const noexcept { return batch_.totals(); }

  /// A producer's window of requests.
  class Producer {
   public:
    Producer(MutexBatcher& batcher, std::size_t outstanding)
        : batcher_(batcher), answers_(outstanding) {}
    void submit(std::size_t slot, const std::byte* row) { answers_[slot] = batcher_.submit(row); }
    float answer(std::size_t slot) {
      const Answer answer = answers_[slot].get();
      const float stamp = stamp_of(batcher_.batch_.output(*answer.outputs, answer.row));
      batcher_.batch_.release(*answer.outputs);
      return stamp;
    }

   private:
    MutexBatcher& batcher_;
    std::vector<std::future<Answer>> answers_;
  };

 private:
  struct Request {
    std::unique_ptr<std::byte[]> row;
    std::promise<Answer> promise;
  };

  std::future<Answer> submit(const std::byte* row) {
    Request request{.row = std::make_unique_for_overwrite<std::byte[]>(batch_.row_bytes())};
    std::memcpy(request.row.get(), row, batch_.row_bytes());
    std::future<Answer> answer = request.promise.get_future();
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(std::move(request));
    }
    not_empty_.notify_one();
    return answer;
  }

  void work() {
    std::vector<Request> requests;
    requests.reserve(batch_.max_batch());
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        not_empty_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (queue_.empty()) return;
        while (!queue_.empty() && requests.size() < batch_.max_batch()) {
          requests.push_back(std::move(queue_.front()));
          queue_.pop_front();
        }
      }
      for (std::size_t i = 0; i < requests.size(); ++i) batch_.gather(i, requests[i].row.get());
      LentOutputs& outputs = batch_.run(requests.size());
      for (std::size_t i = 0; i < requests.size(); ++i)
        requests[i].promise.set_value({.outputs = &outputs, .row = i});
      requests.clear();
    }
  }

  GatheredBatch batch_;
  std::mutex mutex_;
  std::condition_variable not_empty_;
  std::deque<Request> queue_;
  bool stopping_ = false;
  std::thread worker_;
};

}  // namespace dynbatch::bench

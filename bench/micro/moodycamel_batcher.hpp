// The batcher around the best known lock-free queue, moodycamel::BlockingConcurrentQueue, as it comes
// (its consumer spins before it sleeps): pointers to owned rows go through the queue, one worker takes
// them in bulk and gathers them, and a request is told by a word that its caller sleeps on. Nothing is
// allocated once the window of a producer is there.
#pragma once

#include <concurrentqueue/blockingconcurrentqueue.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "base/platform.hpp"
#include "gathered_batch.hpp"
#include "rows.hpp"

namespace dynbatch::bench {

class MoodycamelBatcher {
 private:
  enum State : std::uint32_t { kPending, kWaiting, kDone };
  struct Request {
    alignas(kCacheLine) StdPlatform::Word state{kPending};
    std::unique_ptr<std::byte[]> row;
    LentOutputs* outputs = nullptr;
    std::size_t output_row = 0;
  };
  using Queue = moodycamel::BlockingConcurrentQueue<Request*>;

 public:
  MoodycamelBatcher(std::size_t row_bytes, std::size_t max_batch)
      : batch_(row_bytes, max_batch), worker_([this] { work(); }) {}
  MoodycamelBatcher(const MoodycamelBatcher&) = delete;
  MoodycamelBatcher& operator=(const MoodycamelBatcher&) = delete;
  ~MoodycamelBatcher() {
    queue_.enqueue(nullptr);
    worker_.join();
  }

  RunTotals totals() const noexcept { return batch_.totals(); }

  /// A producer's window of requests, whose memory is used again and again.
  class Producer {
   public:
    Producer(MoodycamelBatcher& batcher, std::size_t outstanding)
        : batcher_(batcher), token_(batcher.queue_), requests_(outstanding) {
      for (Request& request : requests_)
        request.row = std::make_unique<std::byte[]>(batcher.batch_.row_bytes());
    }
    void submit(std::size_t slot, const std::byte* row) {
      Request& request = requests_[slot];
      std::memcpy(request.row.get(), row, batcher_.batch_.row_bytes());
      // relaxed: published by the queue.
      request.state.store(kPending, std::memory_order_relaxed);
      batcher_.queue_.enqueue(token_, &request);
    }
    float answer(std::size_t slot) {
      Request& request = requests_[slot];
      wait(request);
      const float stamp = stamp_of(batcher_.batch_.output(*request.outputs, request.output_row));
      batcher_.batch_.release(*request.outputs);
      return stamp;
    }

   private:
    static void wait(Request& request) {
      // acquire: pairs with complete: publishes the outputs.
      std::uint32_t state = request.state.load(std::memory_order_acquire);
      while (state != kDone) {
        // acquire, where it fails: as above.
        if (state == kWaiting ||
            request.state.compare_exchange_strong(state, kWaiting, std::memory_order_relaxed,
                                                  std::memory_order_acquire)) {
          StdPlatform::park(request.state, kWaiting, kNever);
          state = request.state.load(std::memory_order_acquire);
        }
      }
    }

    MoodycamelBatcher& batcher_;
    moodycamel::ProducerToken token_;
    std::vector<Request> requests_;
  };

 private:
  void work() {
    moodycamel::ConsumerToken token(queue_);
    std::vector<Request*> requests(batch_.max_batch());
    for (;;) {
      std::size_t count = queue_.wait_dequeue_bulk(token, requests.data(), requests.size());
      const bool last = requests[count - 1] == nullptr;  // nobody submits any more
      if (last) --count;
      if (count > 0) run(requests.data(), count);
      if (last) return;
    }
  }

  void run(Request** requests, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) batch_.gather(i, requests[i]->row.get());
    LentOutputs& outputs = batch_.run(count);
    std::size_t sleepers = 0;
    for (std::size_t i = 0; i < count; ++i) {
      Request& request = *requests[i];
      request.outputs = &outputs;
      request.output_row = i;
      // release: pairs with wait: publishes the outputs.
      if (request.state.exchange(kDone, std::memory_order_release) == kWaiting)
        requests[sleepers++] = &request;
    }
    // A request may be in use again by now: such a wake-up is for nothing, and does no harm.
    for (std::size_t i = 0; i < sleepers; ++i) StdPlatform::wake(requests[i]->state, 1);
  }

  GatheredBatch batch_;
  Queue queue_;
  std::thread worker_;
};

}  // namespace dynbatch::bench

// The list of a port: every entry is announced once, no wake-up is lost, and the port may go as soon as
// the last entry has been drained.
#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "batch/completion_list.hpp"
#include "model/exploration.hpp"
#include "model/model_runtime.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::explore;
using dynbatch::testing::make_runtime;
using dynbatch::testing::ModelPlatform;
using dynbatch::testing::ModelRuntime;
using dynbatch::testing::Schedule;

using Sent = ModelRuntime::Sent;

struct Entry : PortEntry {
  int released = 0;
};

/// A port that can be destroyed while its memory stays, and what is announced there.
struct Announced {
  explicit Announced(Schedule& of) : schedule(of) {
    for (Entry& entry : entries) {
      entry.context = &entry;
      entry.release = [](PortEntry* one) noexcept { ++static_cast<Entry*>(one)->released; };
    }
  }
  void add(std::size_t index) { port->add(&entries[index], &entries[index]); }
  void drain() {
    std::vector<void*> contexts;
    port->drain(contexts);
    drained += contexts.size();
  }
  /// Sleeps and drains, as a loop or the thread of callbacks does.
  void drain_until(std::size_t count) {
    while (drained < count) {
      port->event().wait();
      drain();
    }
  }
  void expect_released(std::size_t count) {
    schedule.expect(drained == count, "as many announcements as entries");
    for (std::size_t i = 0; i < count; ++i)
      schedule.expect(entries[i].released == 1, "each entry to be released once");
  }

  Schedule& schedule;
  std::optional<CompletionList<ModelPlatform>> port{std::in_place};
  std::array<Entry, 3> entries;
  std::size_t drained = 0;
};

TEST(PortModel, TheReaderIsToldOfEveryEntry) {
  explore(
      [](Schedule& schedule) {
        const auto announced = std::make_shared<Announced>(schedule);
        schedule.thread("adder", [announced] {
          announced->add(0);
          announced->add(1);
        });
        schedule.thread("another", [announced] { announced->add(2); });
        schedule.thread("reader", [announced] { announced->drain_until(3); });
        schedule.at_rest([announced] { announced->expect_released(3); });
      },
      3);
}

TEST(PortModel, AChainIsAnnouncedInItsOrder) {
  explore(
      [](Schedule& schedule) {
        const auto announced = std::make_shared<Announced>(schedule);
        const auto order = std::make_shared<std::vector<void*>>();
        schedule.thread("adder", [announced] {
          auto& entries = announced->entries;
          entries[1].next_entry = &entries[0];
          announced->port->add(&entries[1], &entries[0]);
          announced->add(2);
        });
        schedule.thread("reader", [announced, order] {
          std::vector<void*> some;
          while (order->size() < 3) {
            announced->port->event().wait();
            announced->port->drain(some);
            order->insert(order->end(), some.begin(), some.end());
          }
        });
        schedule.at_rest([announced, order, &schedule] {
          auto& entries = announced->entries;
          schedule.expect(*order == std::vector<void*>{&entries[0], &entries[1], &entries[2]},
                          "the order of completion");
        });
      },
      3);
}

TEST(PortModel, MayGoOnceTheLastEntryIsDrained) {
  explore(
      [](Schedule& schedule) {
        const auto announced = std::make_shared<Announced>(schedule);
        for (std::size_t i = 0; i < 2; ++i)
          schedule.thread("adder", [announced, i] { announced->add(i); });
        schedule.thread("reader", [announced] {
          announced->drain_until(2);
          announced->port.reset();
        });
        schedule.at_rest([announced] { announced->expect_released(2); });
      },
      3);
}

/// A port is given up while entries are on their way: it is looked at now and then, and not waited for.
TEST(PortModel, ARetiredPortGoesOnceNothingIsInFlight) {
  explore(
      [](Schedule& schedule) {
        const auto announced = std::make_shared<Announced>(schedule);
        for (std::size_t i = 0; i < 2; ++i)
          schedule.thread("adder", [announced, i] { announced->add(i); });
        schedule.thread("retirer", [announced, &schedule] {
          while (announced->drained < 2) {
            announced->drain();
            schedule.sleep_until(schedule.now() + 1);
          }
          announced->port.reset();
        });
        schedule.at_rest([announced] { announced->expect_released(2); });
      },
      3);
}

/// A runtime whose requests are announced at a port.
struct Requested {
  using List = CompletionList<ModelPlatform>;

  Requested(Schedule& of, std::shared_ptr<ModelRuntime> in)
      : schedule(of), runtime(std::move(in)), port(std::make_unique<List>()) {}
  void submit(float value) {
    Sent& sent = runtime->submit({value});
    sents.push_back(&sent);
    runtime->ledger().notify(*sent.request, *port, &sent);
  }
  void drain_until(std::size_t count) {
    std::vector<void*> contexts;
    while (drained < count) {
      port->event().wait();
      port->drain(contexts);
      for (void* const context : contexts) {
        schedule.expect(static_cast<Sent*>(context)->request->is_done(), "an end to announce");
        ++drained;
      }
    }
  }

  Schedule& schedule;
  std::shared_ptr<ModelRuntime> runtime;
  std::unique_ptr<List> port;
  std::vector<Sent*> sents;
  std::size_t drained = 0;
};

TEST(PortModel, AnEndIsAnnouncedOnce) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup());
    const auto requested = std::make_shared<Requested>(schedule, runtime);
    schedule.thread("loop", [requested] {
      requested->submit(1.0F);
      requested->submit(2.0F);
      requested->drain_until(2);
      requested->port.reset();
    });
    schedule.thread("other", [runtime] { runtime->infer({3.0F}); });
  });
}

TEST(PortModel, ACancelledRequestIsAnnouncedOnce) {
  explore([](Schedule& schedule) {
    const auto runtime = make_runtime(schedule, ModelRuntime::setup());
    runtime->allow(ErrorCode::cancelled);
    const auto requested = std::make_shared<Requested>(schedule, runtime);
    schedule.thread("loop", [requested] {
      requested->submit(1.0F);
      requested->runtime->cancel(*requested->sents.front());
      requested->drain_until(1);
      requested->port.reset();
    });
    schedule.thread("other", [runtime] { runtime->infer({2.0F}); });
  });
}

}  // namespace
}  // namespace dynbatch

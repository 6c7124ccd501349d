// The model itself: it finds textbook faults, passes what is right, and repeats what it found.
#include "model/schedule.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "model/model_platform.hpp"

// Schedules in which a fault is found are left where they stand, with all that their threads hold.
extern "C" __attribute__((visibility("default"))) int __lsan_is_turned_off() { return 1; }

namespace dynbatch {
namespace {

using dynbatch::testing::Choices;
using dynbatch::testing::Footprints;
using dynbatch::testing::ModelPlatform;
using dynbatch::testing::Schedule;
using Word = ModelPlatform::Word;
using Make = std::function<void(Schedule&)>;

/// The first schedule within the bound that fails, in text; "none" if all pass.
std::string counterexample(const Make& make, int bound) {
  Footprints footprints;
  Choices choices(bound);
  for (;;) {
    Schedule schedule(choices, footprints);
    make(schedule);
    schedule.run();
    if (schedule.failed()) return schedule.choices();
    if (footprints.commit())
      choices.restart();
    else if (!choices.next())
      return "none";
  }
}

Make store_buffering(std::memory_order order) {
  return [order](Schedule& schedule) {
    struct Words {
      Word x{0};
      Word y{0};
      std::uint32_t seen_x = 0;
      std::uint32_t seen_y = 0;
    };
    const auto words = std::make_shared<Words>();
    schedule.thread("x", [words, order] {
      words->x.store(1, order);
      words->seen_y = words->y.load(std::memory_order_seq_cst);
    });
    schedule.thread("y", [words, order] {
      words->y.store(1, order);
      words->seen_x = words->x.load(std::memory_order_seq_cst);
    });
    schedule.at_rest([words, &schedule] {
      schedule.expect(words->seen_x + words->seen_y > 0, "one to see the other");
    });
  };
}

TEST(ScheduleModel, FindsStoreLoadPairsThatAreNotSeqCst) {
  EXPECT_NE(counterexample(store_buffering(std::memory_order_release), 2), "none");
  EXPECT_EQ(counterexample(store_buffering(std::memory_order_seq_cst), 3), "none");
}

Make counting(bool atomically) {
  return [atomically](Schedule& schedule) {
    const auto count = std::make_shared<Word>(0);
    for (int i = 0; i < 2; ++i) {
      schedule.thread("adder", [count, atomically] {
        if (atomically) {
          count->fetch_add(1, std::memory_order_relaxed);
        } else {
          const std::uint32_t old = count->load(std::memory_order_relaxed);
          count->store(old + 1, std::memory_order_relaxed);
        }
      });
    }
    schedule.at_rest([count, &schedule] {
      schedule.expect(count->load(std::memory_order_relaxed) == 2, "both to be counted");
    });
  };
}

TEST(ScheduleModel, FindsUpdatesThatAreLost) {
  EXPECT_NE(counterexample(counting(false), 1), "none");
  EXPECT_EQ(counterexample(counting(true), 3), "none");
}

Make sleeping(bool wakes) {
  return [wakes](Schedule& schedule) {
    const auto word = std::make_shared<Word>(0);
    schedule.thread("sleeper", [word] {
      while (word->load(std::memory_order_acquire) == 0) ModelPlatform::park(*word, 0, kNever);
    });
    schedule.thread("waker", [word, wakes] {
      word->store(1, std::memory_order_release);
      if (wakes) ModelPlatform::wake(*word, 1);
    });
  };
}

TEST(ScheduleModel, FindsSleepersThatNobodyWakes) {
  EXPECT_NE(counterexample(sleeping(false), 0), "none");
  EXPECT_EQ(counterexample(sleeping(true), 3), "none");
}

TEST(ScheduleModel, FindsSleepersThatTrustTheirWaking) {
  const Make make = [](Schedule& schedule) {
    const auto word = std::make_shared<Word>(0);
    schedule.thread("sleeper", [word, &schedule] {
      if (word->load(std::memory_order_acquire) == 0) ModelPlatform::park(*word, 0, kNever);
      schedule.expect(word->load(std::memory_order_acquire) == 1, "what it was woken for");
    });
    schedule.thread("waker", [word] {
      word->store(1, std::memory_order_release);
      ModelPlatform::wake(*word, 1);
    });
  };
  EXPECT_EQ(counterexample(make, 0), "none");
  EXPECT_NE(counterexample(make, 1), "none");
}

TEST(ScheduleModel, FindsUsesOfWhatIsGone) {
  const Make make = [](Schedule& schedule) {
    const auto word = std::make_shared<std::optional<Word>>(0);
    schedule.thread("user", [word] { (*word)->load(std::memory_order_acquire); });
    schedule.thread("owner", [word, &schedule] {
      schedule.step();
      word->reset();
    });
  };
  EXPECT_NE(counterexample(make, 1), "none");
}

TEST(ScheduleModel, FindsLocksInTwoOrders) {
  const Make make = [](Schedule& schedule) {
    const auto mutexes = std::make_shared<std::array<ModelPlatform::Mutex, 2>>();
    for (std::size_t first = 0; first < 2; ++first) {
      schedule.thread("locker", [mutexes, first] {
        const std::lock_guard one((*mutexes)[first]);
        const std::lock_guard two((*mutexes)[1 - first]);
      });
    }
  };
  EXPECT_EQ(counterexample(make, 0), "none");
  EXPECT_NE(counterexample(make, 1), "none");
}

TEST(ScheduleModel, FindsThreadsThatDoNotEnd) {
  const Make make = [](Schedule& schedule) {
    const auto word = std::make_shared<Word>(0);
    schedule.thread("spinner", [word] {
      while (word->load(std::memory_order_acquire) == 0) {
      }
    });
  };
  EXPECT_NE(counterexample(make, 0), "none");
}

TEST(ScheduleModel, RepeatsAScheduleThatItPrinted) {
  const std::string printed = counterexample(store_buffering(std::memory_order_release), 2);
  Footprints footprints;
  Choices choices(printed);
  Schedule schedule(choices, footprints);
  store_buffering(std::memory_order_release)(schedule);
  schedule.run();
  EXPECT_TRUE(schedule.failed()) << printed;
}

}  // namespace
}  // namespace dynbatch

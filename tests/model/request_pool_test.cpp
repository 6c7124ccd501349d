// RequestPool: an object has one owner at a time, also when it comes round again between a thread's
// look at the stack and its exchange.
#include "batch/request_pool.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "model/exploration.hpp"
#include "model/model_platform.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::explore;
using dynbatch::testing::ModelPlatform;
using dynbatch::testing::Schedule;

struct Object {
  std::uint32_t index = 0;
  bool owned = false;
};

struct Owners {
  RequestPool<ModelPlatform, Object> pool;
  Schedule& schedule;

  explicit Owners(Schedule& of) : schedule(of) { put(get()); }
  Object& get() {
    Object& object = *pool.acquire();
    schedule.expect(!object.owned, "one owner at a time");
    object.owned = true;
    return object;
  }
  void put(Object& object) {
    object.owned = false;
    schedule.expect(pool.release(object), "an open pool");
  }
};

TEST(RequestPoolModel, AnObjectHasOneOwner) {
  explore(
      [](Schedule& schedule) {
        const auto owners = std::make_shared<Owners>(schedule);
        schedule.thread("first", [owners] { owners->put(owners->get()); });
        schedule.thread("second", [owners] {
          Object& one = owners->get();
          Object& two = owners->get();
          owners->put(one);
          owners->get();
          owners->put(two);
        });
        schedule.thread("third", [owners] { owners->get(); });
      },
      3);
}

TEST(RequestPoolModel, ClosingCountsWhatComesBackLate) {
  explore(
      [](Schedule& schedule) {
        const auto owners = std::make_shared<Owners>(schedule);
        const auto late = std::make_shared<std::size_t>(0);
        const auto out = std::make_shared<std::size_t>(0);
        const auto returner = [owners, late, object = &owners->get()] {
          object->owned = false;
          if (!owners->pool.release(*object)) ++*late;
        };
        const auto another = [owners, late, object = &owners->get()] {
          object->owned = false;
          if (!owners->pool.release(*object)) ++*late;
        };
        schedule.thread("returner", returner);
        schedule.thread("another", another);
        schedule.thread("closer", [owners, out] { *out = owners->pool.close(); });
        schedule.at_rest([late, out, &schedule] {
          schedule.expect(*late == *out, "those that were out to come back late");
        });
      },
      3);
}

}  // namespace
}  // namespace dynbatch

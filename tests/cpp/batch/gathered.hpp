// A batch in the making, for tests of the Stager: requests of floats (or int64), gathered and cut apart.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <deque>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "batch/staged_input_check.hpp"
#include "batch/stager.hpp"

namespace dynbatch {

inline void PrintTo(const Shape& shape, std::ostream* out) { *out << to_string(shape); }

namespace testing {

struct Floats {
  Shape shape;
  std::vector<float> values;
  bool operator==(const Floats&) const = default;
};

inline void PrintTo(const Floats& floats, std::ostream* out) {
  *out << to_string(floats.shape) << ":";
  for (const float value : floats.values) *out << " " << value;
}

/// 'count' floats that rise by 1.
inline Floats rising_floats(const Shape& shape, float first = 1.0F) {
  Floats floats{.shape = shape, .values = {}};
  for (std::size_t i = 0; i < elements_of(shape); ++i)
    floats.values.push_back(first + static_cast<float>(i));
  return floats;
}

/// An input x [n, length] and an output y [n, length], padded to the longest.
inline ModelSpec one_line() {
  ModelSpec spec;
  spec.dimensions = {{"length"}};
  spec.inputs = {{.name = "x", .row_shape = Shape{-1}, .dimensions = {0}}};
  spec.outputs = {{.name = "y", .row_shape = Shape{-1}}};
  return spec;
}

inline StagerSetup padded_lines() {
  StagerSetup setup;
  setup.plan = {.padded = {true}, .largest = {0}};
  setup.outputs = {{.trims = {{}, {.dimension = 0}}}};
  return setup;
}

class Gathered {
 public:
  explicit Gathered(ModelSpec spec = one_line(), StagerSetup setup = padded_lines())
      : spec_(std::move(spec)),
        stager_(spec_, std::move(setup)),
        staging_(spec_, 64, stager_.fill_row_bytes()) {}

  /// A request; inputs that the runtime makes are left out, as {}.
  void add(const std::vector<Floats>& inputs) {
    std::vector<InputView> views;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].shape.rank() == 0 && !spec_.inputs[i].shared) {
        views.emplace_back();
      } else {
        views.push_back({inputs[i].values.data(), spec_.inputs[i].dtype, inputs[i].shape});
      }
    }
    StagedKey& key = keys_.emplace_back();
    Failure failure;
    const auto rows = check_staged_inputs(spec_, stager_.plan(), views, key, failure);
    ASSERT_TRUE(rows.has_value()) << failure.message;
    auto& payload = payloads_.emplace_back(key.payload_bytes(*rows) / sizeof(std::uint64_t) + 8);
    auto* const bytes = reinterpret_cast<std::byte*>(payload.data());
    write_payload(spec_, bytes, views, 0, *rows);
    staging_.parts.push_back(
        {.payload = bytes, .key = &key, .rows = static_cast<std::uint32_t>(*rows)});
  }
  void clear() {
    staging_.parts.clear();
    keys_.clear();
    payloads_.clear();
  }
  void stage(const std::vector<std::vector<std::byte>>& shared = {}) {
    const Failure failure = stager_.stage(staging_, shared);
    ASSERT_FALSE(failure) << failure.message;
  }

  /// What the model reads.
  template <class T = float>
  std::vector<T> input(std::size_t index = 0) const {
    const auto* const data = reinterpret_cast<const T*>(staging_.inputs[index]);
    return {data, data + elements_of(staging_.shapes[index])};
  }
  Floats input_floats(std::size_t index = 0) const {
    return {.shape = staging_.shapes[index], .values = input(index)};
  }
  const Shape& shape(std::size_t index = 0) const { return staging_.shapes[index]; }
  /// What part `part` gets of an output.
  Floats cut(std::size_t part, const Floats& whole, std::size_t output = 0) {
    Floats own{.shape = stager_.part_shape(staging_, part, output, whole.shape), .values = {}};
    own.values.resize(elements_of(own.shape));
    stager_.cut(staging_, part, output, whole.shape,
                reinterpret_cast<const std::byte*>(whole.values.data()),
                reinterpret_cast<std::byte*>(own.values.data()));
    return own;
  }
  std::string refusal(const std::vector<Shape>& outputs) const {
    const Failure failure = stager_.check(staging_, outputs);
    EXPECT_TRUE(!failure || failure.code == ErrorCode::execution);
    return failure.message;
  }

  const Staging& staging() const { return staging_; }
  const Stager& stager() const { return stager_; }
  const std::byte* payload(std::size_t part) const { return staging_.parts[part].payload; }

 private:
  const ModelSpec spec_;
  Stager stager_;
  Staging staging_;
  std::deque<StagedKey> keys_;
  std::deque<std::vector<std::uint64_t>> payloads_;
};

}  // namespace testing
}  // namespace dynbatch

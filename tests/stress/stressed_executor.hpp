// An executor that trusts nobody: it checks its rows before and after each run, stamps the memory of
// the outputs meanwhile, and notices when two runs share memory.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include <dynbatch/executor.hpp>

#include "stress/setting.hpp"

namespace dynbatch::testing {

/// A number that no other row of the test has, and a checksum of it.
struct Row {
  std::int64_t number;
  std::int64_t check;
  bool operator==(const Row&) const = default;
};

inline constexpr std::int64_t kPoison = std::int64_t{1} << 62;
inline constexpr std::int64_t kExampleNumber = -1;
inline constexpr std::int64_t kExampleScale = 1;

inline std::int64_t times(std::int64_t number, std::uint64_t factor) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(number) * factor);
}
inline Row row_of(std::int64_t number) { return {number, times(number, 2654435761) ^ 17}; }
/// The answer to a row.
inline Row answer_to(const Row& row, std::int64_t scale) {
  return {row.number, times(row.check, static_cast<std::uint64_t>(scale))};
}

/// What went wrong, and what was run. Outlives the batcher, whose tickets may hold outputs.
struct Findings {
  std::atomic<std::uint64_t> torn_rows{0};      // changed during a run, or were not all there
  std::atomic<std::uint64_t> torn_outputs{0};   // somebody else wrote where a run writes
  std::atomic<std::uint64_t> shared_memory{0};  // two runs at once in the same slot
  std::atomic<std::uint64_t> runs{0};
  std::atomic<std::uint64_t> failed_runs{0};
  std::atomic<std::uint64_t> rows{0};  // of requests, that were run
  std::atomic<std::uint64_t> padded_rows{0};
  std::atomic<std::int64_t> adopted{0};  // outputs that have not been released
};

class StressedExecutor final : public Executor {
 public:
  StressedExecutor(const Setting& setting, std::uint64_t seed, Findings& findings)
      : setting_(setting), seed_(seed), findings_(findings) {
    spec_.inputs = {{.name = "x", .dtype = DataType::int64, .row_shape = Shape{2}}};
    spec_.outputs = {
        {.name = "y", .dtype = DataType::int64, .row_shape = Shape{setting.adopts ? -1 : 2}}};
    if (setting.shared) {
      spec_.inputs.push_back(
          {.name = "scale", .dtype = DataType::int64, .row_shape = Shape{}, .shared = true});
    }
  }

  const ModelSpec& spec() const noexcept override { return spec_; }
  void prepare(const PreparedMemory& memory) override {
    inputs_in_use_ = std::vector<std::atomic<bool>>(memory.input_slots.size());
    outputs_in_use_ = std::vector<std::atomic<bool>>(memory.output_slots.size());
    warm_ = true;
  }

  Failure run(const Batch& batch, RunOutputs& outputs) noexcept override {
    const std::uint64_t run = ++findings_.runs;
    thread_local std::mt19937_64 random(seed_ +
                                        std::hash<std::thread::id>()(std::this_thread::get_id()));
    thread_local std::vector<Row> before;
    enter(inputs_in_use_, batch.input_slot);
    enter(outputs_in_use_, batch.output_slot);
    const auto* const x = reinterpret_cast<const Row*>(batch.inputs[0]);
    before.assign(x, x + batch.rows);
    const bool poisoned = check_rows(before);
    stamp(batch, run);
    if (random() % 16 == 0) std::this_thread::yield();
    if (std::memcmp(before.data(), x, batch.rows * sizeof(Row)) != 0) ++findings_.torn_rows;
    check_stamp(batch, run);
    const bool fails =
        poisoned || (warm_ && setting_.fails == Fails::anything && random() % 64 == 0);
    // A failing run may have written anything.
    if (!fails || random() % 2 == 0) answer(batch, before, outputs);
    leave(outputs_in_use_, batch.output_slot);
    leave(inputs_in_use_, batch.input_slot);
    if (!fails) return {};
    ++findings_.failed_runs;
    return {.code = ErrorCode::execution, .message = "as asked", .cause = nullptr};
  }

 private:
  void enter(std::vector<std::atomic<bool>>& in_use, std::uint32_t slot) noexcept {
    if (slot == Batch::kNoSlot) return;
    if (in_use.at(slot).exchange(true)) ++findings_.shared_memory;
  }
  static void leave(std::vector<std::atomic<bool>>& in_use, std::uint32_t slot) noexcept {
    if (slot != Batch::kNoSlot) in_use.at(slot).store(false);
  }

  /// Counts rows; says whether one of them is poisoned.
  bool check_rows(const std::vector<Row>& rows) noexcept {
    bool poisoned = false;
    std::uint64_t padded = 0;
    for (const Row& row : rows) {
      if (row != row_of(row.number)) ++findings_.torn_rows;
      if (row.number == kExampleNumber) {
        ++padded;
      } else {
        poisoned = poisoned || (row.number & kPoison) != 0;
      }
    }
    if (warm_) {
      findings_.rows += rows.size() - padded;
      findings_.padded_rows += padded;
    }
    return poisoned;
  }

  void stamp(const Batch& batch, std::uint64_t run) const noexcept {
    auto* const y = reinterpret_cast<Row*>(batch.outputs[0]);
    for (std::size_t row = 0; y != nullptr && row < batch.rows; ++row) y[row] = stamp_of(run, row);
  }
  void check_stamp(const Batch& batch, std::uint64_t run) noexcept {
    const auto* const y = reinterpret_cast<const Row*>(batch.outputs[0]);
    for (std::size_t row = 0; y != nullptr && row < batch.rows; ++row) {
      if (y[row] != stamp_of(run, row)) ++findings_.torn_outputs;
    }
  }
  static Row stamp_of(std::uint64_t run, std::size_t row) noexcept {
    return {static_cast<std::int64_t>(~run), static_cast<std::int64_t>(row)};
  }

  void answer(const Batch& batch, const std::vector<Row>& rows, RunOutputs& outputs) noexcept {
    std::int64_t scale = 1;
    if (setting_.shared) std::memcpy(&scale, batch.inputs[1], sizeof scale);
    auto* y = reinterpret_cast<Row*>(batch.outputs[0]);
    if (setting_.adopts) y = adopt(batch.rows, outputs);
    for (std::size_t row = 0; row < batch.rows; ++row) y[row] = answer_to(rows[row], scale);
  }

  Row* adopt(std::size_t rows, RunOutputs& outputs) noexcept {
    struct Owned {
      std::unique_ptr<Row[]> rows;
      Findings* findings;
    };
    auto* const owned = new Owned{std::make_unique<Row[]>(rows), &findings_};
    ++findings_.adopted;
    outputs.adopt(
        0, owned->rows.get(), Shape{static_cast<std::int64_t>(rows), 2},
        [](void* context) {
          const std::unique_ptr<Owned> released(static_cast<Owned*>(context));
          // What is read after its release reads this.
          released->rows[0] = {0, 0};
          --released->findings->adopted;
        },
        owned);
    return owned->rows.get();
  }

  const Setting& setting_;
  const std::uint64_t seed_;
  Findings& findings_;
  ModelSpec spec_;
  bool warm_ = false;  // set before there are workers
  std::vector<std::atomic<bool>> inputs_in_use_;
  std::vector<std::atomic<bool>> outputs_in_use_;
};

}  // namespace dynbatch::testing

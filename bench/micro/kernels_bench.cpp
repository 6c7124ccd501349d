// Gathering requests into a batch and cutting their rows out of it, beside memcpy of as many bytes as are
// written. Kernel and memcpy take turns within each iteration; of_memcpy and of_row_copies are medians over
// turns of the kernel's bytes per second over those of one memcpy, and of one memcpy a request. in_cache
// works on one batch again and again, in_memory on 64 MiB of them by turns.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/platform.hpp"
#include "kernels/pad.hpp"

namespace dynbatch::bench {
namespace {

constexpr std::size_t kInMemory = std::size_t{64} << 20;
constexpr std::size_t kTurnBytes = std::size_t{1}
                                   << 20;  // written in a turn, far above what a clock costs

/// Requests that make one batch, and what they are padded with.
struct Setting {
  std::string name;
  std::vector<Shape> requests;
  Shape batch;
  std::size_t batch_axis = 0;
  std::size_t element_bytes = 4;
  PadValue pad;
};

std::size_t bytes_of(const Shape& shape, std::size_t element_bytes) {
  for (const std::int64_t dim : shape.dims()) element_bytes *= static_cast<std::size_t>(dim);
  return element_bytes;
}

/// As many batches as the setting asks for, each with sources of its own.
class Batches {
 public:
  Batches(const Setting& setting, bool in_memory) : setting_(setting) {
    batch_bytes_ = bytes_of(setting.batch, setting.element_bytes);
    for (const Shape& request : setting.requests) {
      source_offsets_.push_back(source_bytes_);
      const std::size_t bytes = bytes_of(request, setting.element_bytes);
      source_bytes_ += (bytes + 63) / 64 * 64;
      requests_bytes_ += bytes;
    }
    count_ = in_memory ? std::max<std::size_t>(kInMemory / batch_bytes_, 2) : 1;
    sources_.assign(count_ * source_bytes_, std::byte{1});
    batches_.assign(count_ * batch_bytes_, std::byte{2});
    copies_.assign(count_ * batch_bytes_, std::byte{3});
  }
  std::size_t count() const { return count_; }
  std::size_t batch_bytes() const { return batch_bytes_; }
  std::size_t requests_bytes() const { return requests_bytes_; }

  void place(std::size_t turn) {
    std::byte* const batch = batches_.data() + turn % count_ * batch_bytes_;
    const std::byte* const source = sources_.data() + turn % count_ * source_bytes_;
    std::size_t row = 0;
    for (std::size_t i = 0; i < setting_.requests.size(); ++i) {
      place_rows(batch, setting_.batch, setting_.batch_axis, row, source + source_offsets_[i],
                 setting_.requests[i], setting_.element_bytes, setting_.pad);
      row += rows_of(i);
    }
  }
  void cut(std::size_t turn) {
    const std::byte* const batch = batches_.data() + turn % count_ * batch_bytes_;
    std::byte* const target = sources_.data() + turn % count_ * source_bytes_;
    std::size_t row = 0;
    for (std::size_t i = 0; i < setting_.requests.size(); ++i) {
      cut_rows(target + source_offsets_[i], setting_.requests[i], batch, setting_.batch,
               setting_.batch_axis, row, setting_.element_bytes);
      row += rows_of(i);
    }
  }
  void copy(std::size_t turn, std::size_t bytes) {
    const std::size_t at = turn % count_ * batch_bytes_;
    std::memcpy(copies_.data() + at, batches_.data() + at, bytes);
  }
  /// The same in as many pieces as there are requests.
  void copy_rows(std::size_t turn, std::size_t bytes) {
    const std::size_t piece = bytes / setting_.requests.size();
    for (std::size_t at = turn % count_ * batch_bytes_, i = 0; i < setting_.requests.size(); ++i) {
      std::memcpy(copies_.data() + at, batches_.data() + at, piece);
      at += piece;
    }
  }

 private:
  std::size_t rows_of(std::size_t request) const {
    return static_cast<std::size_t>(setting_.requests[request][setting_.batch_axis]);
  }

  const Setting& setting_;
  std::size_t batch_bytes_ = 0;
  std::size_t source_bytes_ = 0;
  std::size_t requests_bytes_ = 0;
  std::size_t count_ = 0;
  std::vector<std::size_t> source_offsets_;
  std::vector<std::byte> sources_;
  std::vector<std::byte> batches_;
  std::vector<std::byte> copies_;
};

/// Nanoseconds of a turn's worth of moves.
template <class Move>
Nanoseconds time_of(std::size_t first, std::size_t moves, const Move& move) {
  const Nanoseconds start = StdPlatform::now();
  for (std::size_t turn = first; turn < first + moves; ++turn) {
    move(turn);
    benchmark::ClobberMemory();
  }
  return StdPlatform::now() - start;
}

enum class Kernel : std::uint8_t { place, cut };

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void measure(benchmark::State& state, const Setting& setting, Kernel kernel, bool in_memory) {
  Batches batches(setting, in_memory);
  const std::size_t bytes =
      kernel == Kernel::place ? batches.batch_bytes() : batches.requests_bytes();
  const std::size_t moves = std::max<std::size_t>(kTurnBytes / bytes, 1);
  std::vector<double> of_memcpy;
  std::vector<double> of_row_copies;
  std::size_t first = 0;
  for (auto _ : state) {
    const auto own = static_cast<double>(time_of(first, moves, [&](std::size_t turn) {
      kernel == Kernel::place ? batches.place(turn) : batches.cut(turn);
    }));
    // Elsewhere than the kernel, which leaves its batches in the cache.
    const Nanoseconds copy = time_of(first + batches.count() / 3, moves,
                                     [&](std::size_t turn) { batches.copy(turn, bytes); });
    const Nanoseconds row_copies =
        time_of(first + batches.count() * 2 / 3, moves,
                [&](std::size_t turn) { batches.copy_rows(turn, bytes); });
    of_memcpy.push_back(static_cast<double>(copy) / own);
    of_row_copies.push_back(static_cast<double>(row_copies) / own);
    state.SetIterationTime(own * 1e-9);
    first += moves;
  }
  const auto turns = static_cast<std::int64_t>(moves) * state.iterations();
  state.SetBytesProcessed(turns * static_cast<std::int64_t>(bytes));
  state.SetItemsProcessed(turns * static_cast<std::int64_t>(setting.requests.size()));
  state.counters["of_memcpy"] = median(of_memcpy);
  state.counters["of_row_copies"] = median(of_row_copies);
}

/// Token ids of sentences, padded to 128.
Setting text(double pad) {
  std::mt19937 random(5);
  Setting setting{.name = pad == 0.0 ? "text_padded_by_0" : "text_padded_by_1",
                  .batch = {32, 128},
                  .element_bytes = 8,
                  .pad = pad_value(pad, DataType::int64, PadMode::constant)};
  for (int i = 0; i < 32; ++i) {
    setting.requests.push_back({1, static_cast<std::int64_t>(37 + random() % 92)});
  }
  return setting;
}

/// Lines of text as PP-OCR's recogniser takes them, padded in their width.
Setting images() {
  std::mt19937 random(5);
  Setting setting{.name = "images_3x48xW", .batch = {8, 3, 48, 320}};
  for (int i = 0; i < 8; ++i) {
    setting.requests.push_back({1, 3, 48, static_cast<std::int64_t>(160 + random() % 145)});
  }
  return setting;
}

/// 32 rows of so many bytes, with so many bytes of padding behind each.
Setting rows(std::int64_t row_bytes, std::int64_t pad_bytes) {
  Setting setting{.name = std::to_string(row_bytes) + "_B_padded_by_" + std::to_string(pad_bytes),
                  .batch = {32, (row_bytes + pad_bytes) / 4}};
  setting.requests.assign(32, {1, row_bytes / 4});
  return setting;
}

/// Batch axis 1: the state of a recurrent network, and steps of time before the batch.
Setting states() {
  Setting setting{.name = "states_2xBx128", .batch = {2, 32, 128}, .batch_axis = 1};
  setting.requests.assign(32, {2, 1, 128});
  return setting;
}

Setting steps() {
  std::mt19937 random(5);
  Setting setting{.name = "steps_TxBx80", .batch = {100, 16, 80}, .batch_axis = 1};
  for (int i = 0; i < 16; ++i) {
    setting.requests.push_back({static_cast<std::int64_t>(50 + random() % 50), 1, 80});
  }
  return setting;
}

std::vector<Setting> all_settings() {
  std::vector<Setting> settings = {text(0.0), text(1.0), images(), states(), steps()};
  for (const std::int64_t row_bytes : {64, 1024, 4096, 16'384, 65'536}) {
    settings.push_back(rows(row_bytes, 64));
  }
  settings.push_back(rows(1024, 512));
  settings.push_back(rows(65'536, 32'768));
  settings.push_back(rows(4096, 0));
  return settings;
}

const bool kRegistered = [] {
  static const std::vector<Setting> settings = all_settings();
  for (const Setting& setting : settings) {
    for (const bool in_memory : {false, true}) {
      const std::string place = std::string(in_memory ? "in_memory/" : "in_cache/") + setting.name;
      benchmark::RegisterBenchmark(("place_rows/" + place).c_str(), measure, setting, Kernel::place,
                                   in_memory)
          ->UseManualTime();
      benchmark::RegisterBenchmark(("cut_rows/" + place).c_str(), measure, setting, Kernel::cut,
                                   in_memory)
          ->UseManualTime();
    }
  }
  return true;
}();

}  // namespace
}  // namespace dynbatch::bench

// How many requests a second go through one worker whose runs cost nothing.
#include <cstddef>
#include <string>

#include "null_contenders.hpp"
#include "paired.hpp"

namespace dynbatch::bench {
namespace {

struct Setting {
  const char* row;
  std::size_t row_bytes;
  std::size_t outstanding;
  std::size_t max_batch;
};
constexpr Setting kSettings[] = {
    {"64 B", 64, 256, 32},      {"1 KiB", 1 << 10, 256, 32},  {"64 KiB", 64 << 10, 32, 32},
    {"64 KiB", 64 << 10, 8, 8}, {"600 KiB", 600 << 10, 8, 8},
};

}  // namespace

void measure_all(const PairedOptions& options) {
  for (const Setting& setting : kSettings) {
    for (const std::size_t producers : {std::size_t{1}, std::size_t{2}}) {
      NullContenders contenders({.row_bytes = setting.row_bytes,
                                 .producers = producers,
                                 .outstanding = setting.outstanding},
                                setting.max_batch);
      measure(std::string(setting.row) + ", " + std::to_string(producers) +
                  (producers == 1 ? " producer, " : " producers, ") +
                  std::to_string(setting.outstanding) + " outstanding each",
              contenders.all(), options);
    }
  }
}

}  // namespace dynbatch::bench

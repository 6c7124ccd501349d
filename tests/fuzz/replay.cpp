// Runs a fuzz target without a fuzzer: over the files of its corpus, and over inputs that are made
// from them by chance. `fuzz_<target> <file>...` runs those files alone.
//
//   --seed=<number>   repeats a run; without it the seed is drawn and printed
#include <gmock/gmock.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "fuzz/fuzz_target.hpp"

/// What a caller says must not become memory; AddressSanitizer asks for this at its start.
extern "C" __attribute__((visibility("default"))) const char* __asan_default_options() {
  return "max_allocation_size_mb=1024:abort_on_error=1";
}

namespace dynbatch::testing {
namespace {

using Input = std::vector<std::uint8_t>;

constexpr std::size_t kLongest = 512;
std::uint64_t base_seed = 0;
const Input* running = nullptr;

/// Leaves the input that broke an expectation behind, for the corpus.
void write_down(int) {
  if (running == nullptr) return;
  const std::string path = "fuzz_failure_" + std::to_string(base_seed);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(running->data()),
             static_cast<std::streamsize>(running->size()));
  std::fprintf(stderr, "the input is in %s\n", std::filesystem::absolute(path).c_str());
}

Input read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Hands the input over in memory of exactly its size, so that a read past its end is found.
void run(const Input& input) {
  const Input exact(input.begin(), input.end());
  running = &exact;
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
  running = nullptr;
}

std::vector<Input> corpus() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(DYNBATCH_FUZZ_CORPUS)) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Input> inputs;
  for (const auto& path : paths) inputs.push_back(read(path));
  return inputs;
}

TEST(Corpus, EveryInputIsAnsweredOrRefused) {
  const std::vector<Input> inputs = corpus();
  ASSERT_FALSE(inputs.empty());
  for (const Input& input : inputs) run(input);
  run({});
}

/// Another input with some bytes changed, cut off, or followed by others.
Input changed(Input input, std::mt19937_64& random) {
  for (std::uint64_t changes = random() % 8; changes > 0 && !input.empty(); --changes) {
    input[random() % input.size()] = static_cast<std::uint8_t>(random());
  }
  if (random() % 4 == 0) input.resize(random() % (input.size() + 1));
  for (std::uint64_t more = random() % 64; random() % 4 == 0 && more > 0; --more) {
    input.push_back(static_cast<std::uint8_t>(random()));
  }
  return input;
}

TEST(Random, EveryInputIsAnsweredOrRefused) {
  std::printf("--seed=%llu\n", static_cast<unsigned long long>(base_seed));
  std::fflush(stdout);
  std::mt19937_64 random(base_seed);
  const std::vector<Input> inputs = corpus();
  ASSERT_FALSE(inputs.empty());
  for (int i = 0; i < DYNBATCH_FUZZ_INPUTS; ++i) {
    Input input;
    if (random() % 2 == 0) {
      input.resize(random() % kLongest);
      for (std::uint8_t& byte : input) byte = static_cast<std::uint8_t>(random());
    } else {
      input = changed(inputs[random() % inputs.size()], random);
    }
    run(input);
  }
}

}  // namespace
}  // namespace dynbatch::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleMock(&argc, argv);
  dynbatch::testing::base_seed = std::random_device()() % 1'000'000;
  std::signal(SIGABRT, dynbatch::testing::write_down);
  int files = 0;
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], "--seed=", 7) == 0) {
      dynbatch::testing::base_seed = std::strtoull(argv[i] + 7, nullptr, 10);
    } else {
      dynbatch::testing::run(dynbatch::testing::read(argv[i]));
      ++files;
    }
  }
  return files > 0 ? 0 : RUN_ALL_TESTS();
}

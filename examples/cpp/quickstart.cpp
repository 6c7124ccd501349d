// Runs an ONNX model for several callers at once, and shows what became of their requests.
//
//   quickstart MODEL.onnx [CALLERS [REQUESTS_EACH]]
//
// ONNX Runtime's library is that of DYNBATCH_ORT_LIB, or the one that the loader finds.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include <dynbatch/dynbatch.hpp>

namespace {

/// One row for each input, and the views through which a batcher reads them.
struct Feeds {
  std::vector<std::vector<std::byte>> bytes;
  std::vector<dynbatch::InputView> views;
};

/// A row that depends on `seed` alone. Integers are 0 or 1, which most models take as ids and flags.
Feeds make_row(const dynbatch::ModelSpec& spec, unsigned seed) {
  Feeds feeds;
  for (const dynbatch::TensorSpec& input : spec.inputs) {
    std::vector<std::byte>& bytes = feeds.bytes.emplace_back(input.row_bytes());
    const std::size_t size = dynbatch::size_of(input.dtype);
    for (std::size_t at = 0; at < bytes.size(); at += size) {
      seed = seed * 1664525u + 1013904223u;
      if (input.dtype == dynbatch::DataType::float32) {
        const float value = static_cast<float>(seed >> 8) / static_cast<float>(1u << 23) - 1.0f;
        std::memcpy(&bytes[at], &value, sizeof value);
      } else {
        bytes[at] = static_cast<std::byte>(seed >> 31);
      }
    }
    dynbatch::InputView view{.data = bytes.data(), .dtype = input.dtype, .shape = {}};
    if (!input.shared) view.shape.push_back(1);  // the batch axis
    for (const std::int64_t dim : input.row_shape.dims()) view.shape.push_back(dim);
    feeds.views.push_back(view);
  }
  return feeds;
}

std::string first_values(const dynbatch::OutputView& output) {
  std::string text;
  if (output.dtype != dynbatch::DataType::float32) return text;
  const auto* const values = static_cast<const float*>(output.data);
  const std::size_t count = std::min<std::size_t>(output.size_bytes / sizeof(float), 3);
  for (std::size_t i = 0; i < count; ++i) text.append(" ").append(std::to_string(values[i]));
  return text.append(" ...");
}

/// What one caller does: blocking requests, one after another, each with a row of its own.
std::size_t call(dynbatch::Batcher& batcher, unsigned caller, unsigned requests) {
  std::size_t failed = 0;
  for (unsigned i = 0; i < requests; ++i) {
    const Feeds row = make_row(batcher.spec(), caller * requests + i);
    const dynbatch::Ticket ticket = batcher.infer(row.views);
    if (ticket.code() == dynbatch::ErrorCode::none) continue;
    ++failed;
    std::fprintf(stderr, "caller %u: %s\n", caller, ticket.failure().message.c_str());
  }
  return failed;
}

void print_stats(const dynbatch::Stats& stats) {
  std::printf("%llu requests in %llu runs, %llu of them on callers' own threads\n",
              static_cast<unsigned long long>(stats.succeeded),
              static_cast<unsigned long long>(stats.batches),
              static_cast<unsigned long long>(stats.runs_on_callers));
  for (std::size_t rows = 1; rows < stats.batches_by_size.size(); ++rows) {
    if (stats.batches_by_size[rows] == 0) continue;
    std::printf("  batches of %zu: %llu\n", rows,
                static_cast<unsigned long long>(stats.batches_by_size[rows]));
  }
  std::printf("a run took %.0f us in the median, %.0f us at p99\n", stats.run_time.p50 * 1e6,
              stats.run_time.p99 * 1e6);
}

int run(const std::string& model_path, unsigned callers, unsigned requests) {
  dynbatch::Batcher batcher(dynbatch::make_onnxruntime_executor(model_path));
  if (!batcher.report().warning.empty()) std::printf("%s\n", batcher.report().warning.c_str());
  for (const dynbatch::Gear& gear : batcher.gears().gears) {
    std::printf("gear %zu: %.1f us a row\n", gear.batch_size,
                gear.seconds * 1e6 / static_cast<double>(gear.batch_size));
  }
  if (batcher.report().merges) std::printf("batches have up to %zu rows\n", batcher.gears().cap);

  const Feeds row = make_row(batcher.spec(), 0);
  dynbatch::Ticket ticket = batcher.submit(row.views);   // copies the row, and returns at once
  ticket.get();                                          // waits; throws dynbatch::Error on failure
  const dynbatch::OutputView answer = ticket.output(0);  // valid as long as the ticket
  std::printf("output 0 of one row: %s %s%s\n", dynbatch::name_of(answer.dtype),
              dynbatch::to_string(answer.shape).c_str(), first_values(answer).c_str());

  std::vector<std::size_t> failed(callers);
  std::vector<std::thread> threads;
  for (unsigned caller = 0; caller < callers; ++caller) {
    threads.emplace_back([&, caller] { failed[caller] = call(batcher, caller, requests); });
  }
  for (std::thread& thread : threads) thread.join();
  batcher.close();
  print_stats(batcher.stats());
  return std::all_of(failed.begin(), failed.end(), [](std::size_t n) { return n == 0; }) ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) {
    std::fprintf(stderr, "usage: %s MODEL.onnx [CALLERS [REQUESTS_EACH]]\n", argv[0]);
    return 2;
  }
  const int callers = argc > 2 ? std::atoi(argv[2]) : 16;
  const int requests = argc > 3 ? std::atoi(argv[3]) : 100;
  if (callers < 1 || requests < 1) {
    std::fprintf(stderr, "CALLERS and REQUESTS_EACH: expected at least 1\n");
    return 2;
  }
  try {
    return run(argv[1], static_cast<unsigned>(callers), static_cast<unsigned>(requests));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[1], error.what());
    return 1;
  }
}

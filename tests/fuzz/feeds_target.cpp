// Feeds: whatever views a caller passes, a request is refused with a code and a message, or answered
// with what its own rows and its own shared input make.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include <dynbatch/batcher.hpp>

#include "batch/input_check.hpp"
#include "cpp/runtime/custom_executor.hpp"
#include "fuzz/fuzz_bytes.hpp"
#include "fuzz/fuzz_target.hpp"

namespace dynbatch::testing {
namespace {

// Views of more have no memory.
constexpr std::size_t kMostBytes = 1 << 16;

std::uint8_t fold(const void* data, std::size_t size) {
  const auto* const bytes = static_cast<const std::uint8_t*>(data);
  std::uint8_t folded = 0;
  for (std::size_t i = 0; i < size; ++i) folded = static_cast<std::uint8_t>(folded * 31 + bytes[i]);
  return folded;
}

/// Each batched input comes out as it went in, its bytes shifted by the fold of the shared inputs.
Failure echo(const ModelSpec& spec, const Batch& batch) {
  std::uint8_t shift = 1;
  for (std::size_t i = 0; i < spec.inputs.size(); ++i) {
    if (spec.inputs[i].shared)
      shift = static_cast<std::uint8_t>(shift + fold(batch.inputs[i], spec.inputs[i].row_bytes()));
  }
  std::size_t output = 0;
  for (std::size_t i = 0; i < spec.inputs.size(); ++i) {
    if (spec.inputs[i].shared) continue;
    const std::size_t size = batch.rows * spec.inputs[i].row_bytes();
    for (std::size_t at = 0; at < size; ++at) {
      batch.outputs[output][at] =
          static_cast<std::byte>(static_cast<std::uint8_t>(batch.inputs[i][at]) + shift);
    }
    ++output;
  }
  return {};
}

ModelSpec spec_of(std::vector<TensorSpec> inputs) {
  ModelSpec spec{.inputs = std::move(inputs)};
  for (const TensorSpec& input : spec.inputs) {
    if (input.shared) continue;
    spec.outputs.push_back(input);
    spec.outputs.back().name += "_out";
  }
  return spec;
}

std::vector<ModelSpec> specs() {
  using enum DataType;
  const TensorSpec x{.name = "x", .dtype = float32, .row_shape = Shape{2}};
  const TensorSpec ids{.name = "ids", .dtype = int64, .row_shape = Shape{}};
  const TensorSpec deep{.name = "deep", .dtype = uint8, .row_shape = Shape{1, 2, 1, 1, 1, 3, 1}};
  const TensorSpec none{.name = "none", .dtype = float16, .row_shape = Shape{0, 3}};
  const TensorSpec scale{.name = "scale", .dtype = float64, .row_shape = Shape{}, .shared = true};
  const TensorSpec table{
      .name = "table", .dtype = boolean, .row_shape = Shape{3, 2}, .shared = true};
  return {spec_of({x}),          spec_of({x, ids}),     spec_of({deep, ids}),
          spec_of({none}),       spec_of({scale, x}),   spec_of({x, table, ids, scale}),
          spec_of({none, deep}), spec_of({table, none})};
}

std::unique_ptr<Batcher> made(const ModelSpec& spec, Batching batching) {
  auto executor =
      make_executor([spec](const Batch& batch, RunOutputs&) { return echo(spec, batch); }, spec);
  return std::make_unique<Batcher>(std::move(executor), BatchingOptions{.max_batch_size = 4,
                                                                        .batching = batching,
                                                                        .workers = 1,
                                                                        .queue_capacity = 12,
                                                                        .verify = false});
}

/// Made once, so that an input costs no loading.
const std::vector<std::unique_ptr<Batcher>>& batchers() {
  static const auto all = [] {
    std::vector<std::unique_ptr<Batcher>> made_ones;
    for (const ModelSpec& spec : specs()) {
      made_ones.push_back(made(spec, Batching::always));
      made_ones.push_back(made(spec, Batching::off));
    }
    return made_ones;
  }();
  return all;
}

struct Feed {
  std::vector<InputView> views;
  std::vector<std::unique_ptr<std::byte[]>> memory;
  std::vector<std::size_t> sizes;  // of memory
};

/// Bytes that the view of these dimensions has; nothing where no memory is made for them.
std::optional<std::size_t> bytes_of(const InputView& view) {
  if (!view.shape.valid()) return std::nullopt;
  std::size_t bytes = size_of(view.dtype);
  for (const std::int64_t dim : view.shape.dims()) {
    if (dim < 0 || __builtin_mul_overflow(bytes, static_cast<std::size_t>(dim), &bytes))
      return std::nullopt;
  }
  return bytes > kMostBytes ? std::nullopt : std::optional(bytes);
}

Feed draw_feed(const ModelSpec& spec, FuzzBytes& bytes) {
  Feed feed;
  const std::size_t count = bytes.one_in(16) ? bytes.below(8) : spec.inputs.size();
  const std::int64_t rows = bytes.one_in(16) ? bytes.dimension() : std::int64_t(bytes.below(6));
  for (std::size_t i = 0; i < count; ++i) {
    const TensorSpec& fits = spec.inputs[i % spec.inputs.size()];
    InputView view{.dtype = fits.dtype};
    if (bytes.one_in(32)) view.dtype = static_cast<DataType>(bytes.byte());
    if (!fits.shared) view.shape.push_back(bytes.one_in(32) ? bytes.dimension() : rows);
    for (const std::int64_t dim : fits.row_shape.dims()) {
      view.shape.push_back(bytes.one_in(32) ? bytes.dimension() : dim);
    }
    while (bytes.one_in(16)) view.shape.push_back(bytes.dimension());
    const std::size_t size = bytes_of(view).value_or(0);
    auto memory = std::make_unique<std::byte[]>(size);
    for (std::size_t at = 0; at < size; ++at) memory[at] = static_cast<std::byte>(bytes.byte() & 3);
    // One that fits must be as large as its shape says; one that does not is never read.
    const bool may_fit = view.shape.rank() == fits.row_shape.rank() + (fits.shared ? 0 : 1);
    if (!bytes.one_in(16) && (bytes_of(view) || !may_fit)) view.data = memory.get();
    feed.views.push_back(view);
    feed.memory.push_back(std::move(memory));
    feed.sizes.push_back(size);
  }
  return feed;
}

/// The rows of a feed that fits, said by another hand than check_inputs.
std::optional<std::size_t> rows_of_fitting(const ModelSpec& spec, const Feed& feed) {
  if (feed.views.size() != spec.inputs.size()) return std::nullopt;
  std::optional<std::int64_t> rows;
  for (std::size_t i = 0; i < spec.inputs.size(); ++i) {
    const InputView& view = feed.views[i];
    std::vector<std::int64_t> expected(spec.inputs[i].row_shape.dims().begin(),
                                       spec.inputs[i].row_shape.dims().end());
    if (!spec.inputs[i].shared) {
      if (view.shape.rank() == 0 || view.shape[0] < 0) return std::nullopt;
      if (rows.value_or(view.shape[0]) != view.shape[0]) return std::nullopt;
      rows = view.shape[0];
      expected.insert(expected.begin(), *rows);
    }
    if (view.dtype != spec.inputs[i].dtype || view.shape.rank() != expected.size() ||
        !std::ranges::equal(view.shape.dims(), expected)) {
      return std::nullopt;
    }
    const bool has_bytes = std::ranges::find(expected, 0) == expected.end();
    if (view.data == nullptr && has_bytes) return std::nullopt;
  }
  return static_cast<std::size_t>(rows.value_or(0));
}

void expect_answer(const ModelSpec& spec, const Feed& feed, std::size_t rows,
                   const Ticket& ticket) {
  ticket.wait();
  expect(ticket.code() == ErrorCode::none, "an answer, not: " + ticket.failure().message);
  expect(ticket.rows() == rows, "the rows that were given");
  std::uint8_t shift = 1;
  for (std::size_t i = 0; i < spec.inputs.size(); ++i) {
    if (spec.inputs[i].shared)
      shift = static_cast<std::uint8_t>(shift + fold(feed.views[i].data, feed.sizes[i]));
  }
  std::size_t output = 0;
  for (std::size_t i = 0; i < spec.inputs.size(); ++i) {
    if (spec.inputs[i].shared) continue;
    const OutputView view = ticket.output(output++);
    expect(view.shape == feed.views[i].shape, "the shape that was given");
    expect(view.size_bytes == feed.sizes[i], "as many bytes as were given");
    for (std::size_t at = 0; at < view.size_bytes; ++at) {
      const auto given = static_cast<std::uint8_t>(feed.memory[i][at]);
      expect(static_cast<const std::uint8_t*>(view.data)[at] ==
                 static_cast<std::uint8_t>(given + shift),
             "the echo of the bytes that were given");
    }
  }
}

void expect_refusal(const Ticket& ticket) {
  expect(!ticket.accepted() && ticket.done(), "a refusal");
  expect(!ticket.failure().message.empty(), "a message");
  ticket.wait();
}

void run_requests(Batcher& batcher, FuzzBytes bytes) {
  const ModelSpec& spec = batcher.spec();
  std::vector<Feed> feeds;
  std::vector<Ticket> tickets;
  while (!bytes.empty() && feeds.size() < 8) {
    const Feed& feed = feeds.emplace_back(draw_feed(spec, bytes));
    const bool fits = rows_of_fitting(spec, feed).has_value();
    Failure failure;
    expect(check_inputs(spec, feed.views, failure) == rows_of_fitting(spec, feed),
           "check_inputs to take what fits");
    expect(fits == !failure && fits == failure.message.empty(), "a failure for what does not fit");
    const std::size_t way = bytes.below(3);
    // Billions of rows without elements fit, and would take as many runs.
    const bool waits = way == 0 && rows_of_fitting(spec, feed).value_or(0) <= 64;
    const SubmitOptions options{.on_full = waits ? OnFull::wait : OnFull::raise};
    Ticket ticket = way == 2 ? batcher.infer(feed.views, {}) : batcher.submit(feed.views, options);
    if (!fits) {
      expect_refusal(ticket);
      expect(ticket.code() == ErrorCode::invalid_input, "invalid_input");
    } else if (!ticket.accepted()) {
      expect_refusal(ticket);
      // Full, or more rows than can ever be taken.
      expect(ticket.code() == ErrorCode::queue_full || ticket.code() == ErrorCode::invalid_input,
             "queue_full or invalid_input");
    }
    tickets.push_back(std::move(ticket));
  }
  for (std::size_t i = 0; i < tickets.size(); ++i) {
    if (tickets[i].accepted())
      expect_answer(spec, feeds[i], *rows_of_fitting(spec, feeds[i]), tickets[i]);
  }
}

}  // namespace
}  // namespace dynbatch::testing

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dynbatch::testing;
  FuzzBytes bytes(data, size);
  run_requests(*batchers()[bytes.below(batchers().size())], bytes);
  return 0;
}

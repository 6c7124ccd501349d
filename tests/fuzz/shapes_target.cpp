// Shapes: whatever shapes a caller passes to a model whose rows differ, a request is refused with a code and a
// message, or gets back what it brought, out of whatever batch it ran in.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include <dynbatch/batcher.hpp>

#include "cpp/runtime/shaped_executor.hpp"
#include "fuzz/fuzz_bytes.hpp"
#include "fuzz/fuzz_target.hpp"

namespace dynbatch::testing {
namespace {

constexpr std::size_t kMostElements = 4096;  // views of more have no memory

Failure echo(ShapedRun& run) {
  FloatTensor y = FloatTensor::zeros(run.shape(0));
  for (std::size_t i = 0; i < y.values.size(); ++i) y.values[i] = run.input(0)[i];
  run.outputs.push_back(std::move(y));
  return {};
}

/// A batcher, and what it takes.
struct Model {
  std::unique_ptr<Batcher> batcher;
  std::size_t batch_axis = 0;
  std::int64_t least = 0;       // of the free dimension
  std::int64_t largest = 1024;  // likewise
};

Model made(std::size_t batch_axis, bool pads, std::vector<std::int64_t> gears) {
  ModelSpec spec = lines();
  spec.inputs[0].batch_axis = spec.outputs[0].batch_axis = batch_axis;
  spec.outputs[0].declared = true;
  BatchingOptions options{.max_batch_size = 4, .batching = Batching::always, .verify = false};
  options.workers = 1;
  options.queue_capacity = 12;
  options.queue_bytes = 1 << 16;
  const std::int64_t largest = gears.empty() ? 1024 : gears.back();
  if (pads) options.lengths["length"] = {.gears = gears, .largest = gears.empty() ? largest : 0};
  return {
      .batcher = std::make_unique<Batcher>(std::make_unique<ShapedExecutor>(spec, echo), options),
      .batch_axis = batch_axis,
      .least = pads ? 1 : 0,
      .largest = pads ? largest : static_cast<std::int64_t>(kMostElements)};
}

/// Made once, so that an input costs no loading.
const std::array<Model, 5>& models() {
  static const std::array<Model, 5> all = {made(0, false, {}), made(1, false, {}),
                                           made(0, true, {}), made(1, true, {}),
                                           made(0, true, {2, 3, 7})};
  return all;
}

struct Feed {
  InputView view;
  std::vector<float> memory;
};

Feed draw_feed(const Model& model, FuzzBytes& bytes) {
  Feed feed;
  feed.view.dtype = bytes.one_in(32) ? DataType::int64 : DataType::float32;
  const auto rows = static_cast<std::int64_t>(bytes.below(8));
  const auto length = static_cast<std::int64_t>(bytes.below(10));
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t dim = axis == model.batch_axis ? rows : length;
    feed.view.shape.push_back(bytes.one_in(32) ? bytes.dimension() : dim);
  }
  while (bytes.one_in(16)) feed.view.shape.push_back(bytes.dimension());
  std::size_t elements = 1;
  for (const std::int64_t dim : feed.view.shape.dims()) {
    if (dim < 0 || __builtin_mul_overflow(elements, static_cast<std::size_t>(dim), &elements) ||
        elements > kMostElements) {
      return feed;  // without memory: must be refused, or has no elements
    }
  }
  feed.memory.resize(elements + 1);
  for (float& value : feed.memory) value = static_cast<float>(bytes.byte());
  if (!bytes.one_in(32)) feed.view.data = feed.memory.data();
  return feed;
}

/// Whether the model takes it, said by another hand than check_staged_inputs; nothing if that is not to say.
std::optional<bool> fits(const Model& model, const Feed& feed) {
  const Shape& shape = feed.view.shape;
  if (feed.view.dtype != DataType::float32 || shape.rank() != 2) return false;
  const std::int64_t rows = shape[model.batch_axis];
  const std::int64_t length = shape[1 - model.batch_axis];
  if (rows < 0 || length < model.least) return false;
  if (rows == 0 || rows > 64) return std::nullopt;  // without a run; more than can be counted
  if (length > model.largest) return std::nullopt;
  return feed.view.data != nullptr || length == 0;
}

void run_requests(const Model& model, FuzzBytes bytes) {
  std::vector<Feed> feeds;
  std::vector<Ticket> tickets;
  feeds.reserve(8);
  while (!bytes.empty() && feeds.size() < 8) {
    const Feed& feed = feeds.emplace_back(draw_feed(model, bytes));
    const bool few = feed.view.shape.rank() == 0 || feed.view.shape[model.batch_axis] <= 64;
    const std::size_t way = bytes.below(3);
    const SubmitOptions options{.on_full = few && way == 0 ? OnFull::wait : OnFull::raise};
    Ticket ticket = way == 2 && few ? model.batcher->infer({&feed.view, 1})
                                    : model.batcher->submit({&feed.view, 1}, options);
    if (ticket.accepted()) {
      expect(fits(model, feed).value_or(true), "a refusal of what does not fit");
    } else {
      expect(ticket.done() && !ticket.failure().message.empty(), "a refusal that says why");
      expect(ticket.code() == ErrorCode::invalid_input || ticket.code() == ErrorCode::queue_full,
             "invalid_input or queue_full");
      expect(!fits(model, feed).value_or(false) || ticket.code() == ErrorCode::queue_full,
             "what fits to be taken, not: " + ticket.failure().message);
    }
    tickets.push_back(std::move(ticket));
  }
  for (std::size_t i = 0; i < tickets.size(); ++i) {
    if (!tickets[i].accepted()) continue;
    tickets[i].wait();
    expect(tickets[i].code() == ErrorCode::none, "an answer, not: " + tickets[i].failure().message);
    const OutputView y = tickets[i].output(0);
    if (feeds[i].view.shape[model.batch_axis] == 0) {
      expect(y.size_bytes == 0, "no rows for none");
      continue;
    }
    expect(y.shape == feeds[i].view.shape, "the shape that was given");
    expect(y.size_bytes == 0 || std::memcmp(y.data, feeds[i].memory.data(), y.size_bytes) == 0,
           "what was given");
  }
}

}  // namespace
}  // namespace dynbatch::testing

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dynbatch::testing;
  FuzzBytes bytes(data, size);
  run_requests(models()[bytes.below(models().size())], bytes);
  return 0;
}

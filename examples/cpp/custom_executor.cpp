// An executor of one's own: batches that no ONNX model runs.
//
// This one finds the nearest of a few centroids for each point. It shows what an executor has to
// say (its spec), what it does with a batch, and how it fails one row without harming the others.
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include <dynbatch/dynbatch.hpp>

namespace {

constexpr std::size_t kDims = 4;
using Point = std::array<float, kDims>;

class NearestCentroid final : public dynbatch::Executor {
 public:
  explicit NearestCentroid(std::vector<Point> centroids) : centroids_(std::move(centroids)) {
    using dynbatch::DataType;
    spec_.inputs = {{.name = "point", .dtype = DataType::float32, .row_shape = {kDims}}};
    spec_.outputs = {{.name = "index", .dtype = DataType::int64, .row_shape = {}},
                     {.name = "distance", .dtype = DataType::float32, .row_shape = {}}};
  }

  const dynbatch::ModelSpec& spec() const noexcept override { return spec_; }

  /// Called by several threads at once; it reads only what is constant.
  dynbatch::Failure run(const dynbatch::Batch& batch,
                        dynbatch::RunOutputs& outputs) noexcept override {
    const auto* const points = reinterpret_cast<const Point*>(batch.inputs[0]);
    auto* const indices = reinterpret_cast<std::int64_t*>(batch.outputs[0]);
    auto* const distances = reinterpret_cast<float*>(batch.outputs[1]);
    for (std::size_t row = 0; row < batch.rows; ++row) {
      indices[row] = nearest(points[row], distances[row]);
      if (indices[row] < 0) {
        outputs.fail_row(row, {.code = dynbatch::ErrorCode::execution,
                               .message = "the point has a coordinate that is not a number",
                               .cause = nullptr});
      }
    }
    return {};  // the run itself has succeeded
  }

 private:
  std::int64_t nearest(const Point& point, float& distance) const noexcept {
    std::int64_t index = -1;
    distance = std::numeric_limits<float>::infinity();
    for (std::size_t i = 0; i < centroids_.size(); ++i) {
      float squares = 0.0f;
      for (std::size_t axis = 0; axis < kDims; ++axis) {
        squares += (point[axis] - centroids_[i][axis]) * (point[axis] - centroids_[i][axis]);
      }
      if (!(std::sqrt(squares) < distance)) continue;
      distance = std::sqrt(squares);
      index = static_cast<std::int64_t>(i);
    }
    return index;
  }

  std::vector<Point> centroids_;
  dynbatch::ModelSpec spec_;
};

/// One request of one row, from whatever thread.
dynbatch::Ticket ask(dynbatch::Batcher& batcher, const Point& point) {
  const std::array<dynbatch::InputView, 1> inputs{
      {{.data = point.data(), .dtype = dynbatch::DataType::float32, .shape = {1, kDims}}}};
  return batcher.infer(inputs);
}

int run() {
  dynbatch::BatchingOptions options;
  options.max_batch_size = 16;
  options.batching = dynbatch::Batching::always;  // cheap runs: measured times would say little
  dynbatch::Batcher batcher(std::make_unique<NearestCentroid>(
                                std::vector<Point>{{0, 0, 0, 0}, {1, 1, 1, 1}, {2, 0, 2, 0}}),
                            options);

  std::vector<int> wrong(8);
  std::vector<std::thread> callers;
  for (std::size_t caller = 0; caller < wrong.size(); ++caller) {
    callers.emplace_back([&batcher, &wrong, caller] {
      for (int i = 0; i < 1000; ++i) {
        const float near_one = 1.0f + 0.1f * static_cast<float>(caller) / 8.0f;
        const dynbatch::Ticket ticket = ask(batcher, {near_one, near_one, near_one, near_one});
        ticket.get();
        if (*static_cast<const std::int64_t*>(ticket.output(0).data) != 1) ++wrong[caller];
      }
    });
  }
  for (std::thread& caller : callers) caller.join();

  const dynbatch::Ticket bad = ask(batcher, {0, std::nanf(""), 0, 0});
  std::printf("a bad row ends with %s: %s\n", dynbatch::name_of(bad.code()),
              bad.failure().message.c_str());
  const dynbatch::Stats stats = batcher.stats();
  std::printf("%llu requests succeeded and %llu failed, in %llu runs\n",
              static_cast<unsigned long long>(stats.succeeded),
              static_cast<unsigned long long>(stats.failed),
              static_cast<unsigned long long>(stats.batches));
  for (const int count : wrong) {
    if (count > 0) return 1;
  }
  return stats.failed == 1 ? 0 : 1;
}

}  // namespace

int main() {
  try {
    return run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

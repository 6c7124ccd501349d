#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <dynbatch/onnxruntime_executor.hpp>

#include "cpp/executor/affine_model.hpp"
#include "cpp/executor/kept_outputs.hpp"
#include "cpp/executor/onnx_graph.hpp"
#include "cpp/executor/test_surroundings.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::affine;
using dynbatch::testing::affine_of;
using dynbatch::testing::FloatSlots;
using dynbatch::testing::KeptOutputs;
using dynbatch::testing::OnnxGraph;
using dynbatch::testing::open_graph;
using dynbatch::testing::open_small;
using dynbatch::testing::rising;
using dynbatch::testing::run;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(OnnxRuntimeExecutor, RunsAModelFile) {
  const auto executor = open_small("scalar_rows");  // y = x + x
  const std::vector<float> x = {1.5F, -2.0F, 4.0F};
  std::vector<float> y(3);
  KeptOutputs kept;
  const Failure failure = run(*executor, 3, {x.data()}, {y.data()}, kept);
  EXPECT_FALSE(failure) << failure.message;
  EXPECT_THAT(y, ElementsAre(3.0F, -4.0F, 8.0F));
  EXPECT_THAT(kept.adopted, IsEmpty());
}

TEST(OnnxRuntimeExecutor, RunsAModelInMemoryThatIsGone) {
  std::string bytes = affine({"batch", 2}).bytes();
  const auto executor = make_onnxruntime_executor(bytes.data(), bytes.size());
  bytes.assign(bytes.size(), '\xff');
  const std::vector<float> x = {1.0F, 2.0F};
  std::vector<float> y(2);
  KeptOutputs kept;
  EXPECT_FALSE(run(*executor, 1, {x.data()}, {y.data()}, kept));
  EXPECT_THAT(y, ElementsAre(3.0F, 5.0F));
}

TEST(OnnxRuntimeExecutor, TellsItsSpec) {
  const auto executor = open_graph(affine({"batch", 3}));
  const ModelSpec& spec = executor->spec();
  ASSERT_EQ(spec.inputs.size(), 1U);
  EXPECT_EQ(spec.inputs[0].name, "x");
  EXPECT_EQ(spec.inputs[0].dtype, DataType::float32);
  EXPECT_EQ(spec.inputs[0].row_shape, Shape{3});
  ASSERT_EQ(spec.outputs.size(), 1U);
  EXPECT_EQ(spec.outputs[0].name, "y");
  EXPECT_EQ(spec.outputs[0].row_shape, Shape{3});
  EXPECT_EQ(spec.fixed_batch, 0U);
  EXPECT_TRUE(executor->runs_on_callers());
  EXPECT_TRUE(executor->reruns());
}

TEST(OnnxRuntimeExecutor, RunsEverySizeInEverySlot) {
  const auto executor = open_graph(affine({"batch", 3}));
  FloatSlots memory(2, 15);
  executor->prepare(memory.prepared({1, 2, 4}));
  for (const std::size_t rows : {1U, 2U, 3U, 4U, 5U}) {  // 3 lies between gears, 5 beyond them
    for (const std::uint32_t slot : {0U, 1U}) {
      memory.fill(slot, rising(15, static_cast<float>(100 * slot + rows)));
      const Failure failure = memory.run(*executor, slot, rows);
      ASSERT_FALSE(failure) << failure.message;
      std::vector<float> expected = affine_of(memory.inputs[slot]);
      for (std::size_t place = 3 * rows; place < 15; ++place) expected[place] = -1.0F;
      EXPECT_EQ(memory.outputs[slot], expected) << rows << " rows in slot " << slot;
    }
  }
}

TEST(OnnxRuntimeExecutor, MixesPreparedMemoryWithTheCallers) {
  const auto executor = open_graph(affine({"batch", 1}));
  FloatSlots memory(1, 2);
  executor->prepare(memory.prepared({2}));
  const std::vector<float> x = {5.0F, 6.0F};
  const auto* in = reinterpret_cast<const std::byte*>(x.data());
  std::byte* out = FloatSlots::bytes_of(memory.outputs[0]);
  Batch batch;
  batch.rows = 2;
  batch.inputs = {&in, 1};
  batch.outputs = {&out, 1};
  batch.output_slot = 0;
  KeptOutputs kept;
  EXPECT_FALSE(executor->run(batch, kept));
  EXPECT_THAT(memory.outputs[0], ElementsAre(11.0F, 13.0F));
}

TEST(OnnxRuntimeExecutor, RunsWhereThereIsTooMuchToPrepare) {
  const auto executor = open_graph(affine({"batch", 1}));
  FloatSlots memory(3, 40000);
  executor->prepare(memory.prepared({1, 40000}));
  memory.fill(2, rising(40000));
  for (const std::size_t rows : {1U, 7U, 40000U}) {
    ASSERT_FALSE(memory.run(*executor, 2, rows));
    EXPECT_EQ(memory.outputs[2][rows - 1], 2.0F * static_cast<float>(rows - 1) + 1.0F);
  }
}

TEST(OnnxRuntimeExecutor, RowsAloneAnswerAsTogether) {
  const auto executor = open_small("mlp");
  constexpr std::size_t kRows = 5;
  constexpr std::size_t kWidth = 256;
  std::vector<float> x(kRows * kWidth);
  for (std::size_t place = 0; place < x.size(); ++place) {
    x[place] = static_cast<float>((place * 37) % 101) / 50.0F - 1.0F;
  }
  std::vector<float> together(x.size());
  KeptOutputs kept;
  ASSERT_FALSE(run(*executor, kRows, {x.data()}, {together.data()}, kept));
  for (std::size_t row = 0; row < kRows; ++row) {
    std::vector<float> alone(kWidth);
    ASSERT_FALSE(run(*executor, 1, {&x[row * kWidth]}, {alone.data()}, kept));
    for (std::size_t place = 0; place < kWidth; ++place) {
      EXPECT_NEAR(alone[place], together[row * kWidth + place], 1e-5) << row << ", " << place;
    }
  }
}

TEST(OnnxRuntimeExecutor, FailedRunSaysWhyAndLeavesTheNextAlone) {
  const auto executor = open_small("guarded_gather");
  const std::vector<std::int64_t> bad = {1, 2, 3, 100};
  const std::vector<std::int64_t> good = {7, 7, 7, 7};
  std::vector<float> once(8);
  std::vector<float> again(8);
  KeptOutputs kept;
  ASSERT_FALSE(run(*executor, 1, {good.data()}, {once.data()}, kept));
  ::testing::internal::CaptureStderr();
  const Failure failure = run(*executor, 1, {bad.data()}, {again.data()}, kept);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), IsEmpty());  // the library never prints
  EXPECT_EQ(failure.code, ErrorCode::execution);
  EXPECT_THAT(failure.message, AllOf(HasSubstr("Gather"), HasSubstr("out of")));
  ASSERT_FALSE(run(*executor, 1, {good.data()}, {again.data()}, kept));
  EXPECT_EQ(once, again);
}

TEST(OnnxRuntimeExecutor, SharedInputsServeAllRows) {
  const auto scaled = open_small("shared_scalar");
  EXPECT_TRUE(scaled->spec().inputs[1].shared);
  const std::vector<float> x = rising(32);
  const float scale = 2.5F;
  std::vector<float> y(32);
  KeptOutputs kept;
  ASSERT_FALSE(run(*scaled, 2, {x.data(), &scale}, {y.data()}, kept));
  for (std::size_t place = 0; place < 32; ++place) EXPECT_EQ(y[place], 2.5F * x[place]);

  const auto multiplied = open_small("shared_matrix");
  EXPECT_EQ(multiplied->spec().inputs[1].row_shape, (Shape{16, 4}));
  const std::vector<float> ones(64, 1.0F);
  std::vector<float> sums(8);
  ASSERT_FALSE(run(*multiplied, 2, {x.data(), ones.data()}, {sums.data()}, kept));
  EXPECT_THAT(sums, ElementsAre(120, 120, 120, 120, 376, 376, 376, 376));
}

TEST(OnnxRuntimeExecutor, SharedInputsMeetPreparedSlots) {
  const auto executor = open_small("shared_scalar");
  std::vector<float> x = rising(32);
  std::vector<float> y(32);
  PreparedMemory memory;
  memory.input_slots = {{FloatSlots::bytes_of(x), nullptr}};
  memory.output_slots = {{FloatSlots::bytes_of(y)}};
  memory.batch_sizes = {1, 2};
  executor->prepare(memory);
  for (const float scale : {2.0F, -3.0F}) {
    const std::byte* in[] = {FloatSlots::bytes_of(x), reinterpret_cast<const std::byte*>(&scale)};
    std::byte* out = FloatSlots::bytes_of(y);
    Batch batch;
    batch.rows = 2;
    batch.inputs = in;
    batch.outputs = {&out, 1};
    batch.input_slot = 0;
    batch.output_slot = 0;
    KeptOutputs kept;
    ASSERT_FALSE(executor->run(batch, kept));
    for (std::size_t place = 0; place < 32; ++place) EXPECT_EQ(y[place], scale * x[place]);
  }
}

TEST(OnnxRuntimeExecutor, FixedBatchRunsAtItsSizeAlone) {
  const auto executor = open_graph(affine({4, 2}));
  EXPECT_EQ(executor->spec().fixed_batch, 4U);
  EXPECT_EQ(executor->spec().inputs[0].row_shape, Shape{2});
  EXPECT_EQ(executor->spec().outputs[0].row_shape, Shape{2});
  FloatSlots memory(1, 8);
  executor->prepare(memory.prepared({4}));
  memory.fill(0, rising(8));
  ASSERT_FALSE(memory.run(*executor, 0, 4));
  EXPECT_EQ(memory.outputs[0], affine_of(rising(8)));
  EXPECT_THAT(memory.run(*executor, 0, 3).message, HasSubstr("Expected: 4"));
}

TEST(OnnxRuntimeExecutor, EveryElementTypePassesThrough) {
  const auto executor = open_small("many_types");
  const std::vector<DataType> expected = {DataType::float32, DataType::float64, DataType::float16,
                                          DataType::int64,   DataType::int32,   DataType::int8,
                                          DataType::uint8,   DataType::boolean};
  ASSERT_EQ(executor->spec().inputs.size(), expected.size());
  for (std::size_t index = 0; index < expected.size(); ++index) {
    EXPECT_EQ(executor->spec().inputs[index].dtype, expected[index]);
  }
  const std::vector<float> f32 = {1, 2, 3};
  const std::vector<double> f64 = {10, 20, 30};
  const std::vector<std::uint16_t> f16 = {0x3c00, 0x4000, 0x4200};  // 1, 2, 3
  const std::vector<std::int64_t> i64 = {100, -200, 1LL << 40};
  const std::vector<std::int32_t> i32 = {4, 5, 6};
  const std::vector<std::int8_t> i8 = {-1, -2, -3};
  const std::vector<std::uint8_t> u8 = {200, 201, 202};
  const std::vector<std::uint8_t> flag = {0, 1, 1};
  std::vector<float> total(3);
  std::vector<std::int64_t> same(3);
  std::vector<std::uint8_t> inverted(3);
  KeptOutputs kept;
  const Failure failure = run(*executor, 1,
                              {f32.data(), f64.data(), f16.data(), i64.data(), i32.data(),
                               i8.data(), u8.data(), flag.data()},
                              {total.data(), same.data(), inverted.data()}, kept);
  ASSERT_FALSE(failure) << failure.message;
  EXPECT_THAT(total, ElementsAre(315.0F, 29.0F, static_cast<float>((1LL << 40) + 242)));
  EXPECT_EQ(same, i64);
  EXPECT_THAT(inverted, ElementsAre(1, 0, 0));
}

TEST(OnnxRuntimeExecutor, RowsWithoutElementsRun) {
  const auto executor = open_graph(affine({"batch", 0, 3}));
  EXPECT_EQ(executor->spec().outputs[0].row_shape, (Shape{0, 3}));
  KeptOutputs kept;
  const Failure failure = run(*executor, 2, {nullptr}, {nullptr}, kept);
  ASSERT_FALSE(failure) << failure.message;
  EXPECT_EQ(kept.adopted[0].shape, (Shape{2, 0, 3}));
  FloatSlots memory(1, 1);
  executor->prepare(memory.prepared({1, 2}));
  EXPECT_FALSE(memory.run(*executor, 0, 2));
}

TEST(OnnxRuntimeExecutor, ThreadsRunSideBySide) {
  constexpr std::uint32_t kThreads = 4;
  constexpr std::size_t kRuns = 200;
  const auto executor = open_graph(affine({"batch", 3}));
  FloatSlots memory(kThreads, 24);
  executor->prepare(memory.prepared({1, 2, 4, 8}));
  std::atomic<std::size_t> wrong{0};
  std::vector<std::thread> threads;
  for (std::uint32_t slot = 0; slot < kThreads; ++slot) {
    threads.emplace_back([&, slot] {
      for (std::size_t turn = 0; turn < kRuns; ++turn) {
        const std::size_t rows = 1 + turn % 8;
        memory.fill(slot, rising(24, static_cast<float>(slot * 1000 + turn)));
        const bool failed = static_cast<bool>(memory.run(*executor, slot, rows));
        const std::vector<float> expected = affine_of(memory.inputs[slot]);
        const bool right =
            std::equal(expected.begin(), expected.begin() + static_cast<long>(3 * rows),
                       memory.outputs[slot].begin());
        if (failed || !right) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0U);
}

TEST(OnnxRuntimeExecutor, TerminateFailsLaterRuns) {
  const auto executor = open_graph(affine({"batch", 1}));
  const float x = 1.0F;
  float y = 0.0F;
  KeptOutputs kept;
  ASSERT_FALSE(run(*executor, 1, {&x}, {&y}, kept));
  executor->terminate();
  const Failure failure = run(*executor, 1, {&x}, {&y}, kept);
  EXPECT_EQ(failure.code, ErrorCode::execution);
  EXPECT_THAT(failure.message, HasSubstr("terminate"));
}

TEST(OnnxRuntimeExecutor, TerminateEndsARunThatIsUnderWay) {
  const OnnxGraph body = OnnxGraph()
                             .input("turn", DataType::int64, {})
                             .input("goes_on", DataType::boolean, {})
                             .input("v", DataType::float32, {"batch", 1})
                             .node("Identity", {"goes_on"}, {"goes_on_still"})
                             .node("Neg", {"v"}, {"w"})
                             .output("goes_on_still", DataType::boolean, {})
                             .output("w", DataType::float32, {"batch", 1});
  const auto executor = open_graph(OnnxGraph()
                                       .input("x", DataType::float32, {"batch", 1})
                                       .node("Loop", {"", "", "x"}, {"y"}, {{"body", body}})
                                       .output("y", DataType::float32, {"batch", 1}));
  const float x = 1.0F;
  float y = 0.0F;
  std::thread terminator([&] { executor->terminate(); });
  KeptOutputs kept;
  const Failure failure = run(*executor, 1, {&x}, {&y}, kept);
  terminator.join();
  EXPECT_EQ(failure.code, ErrorCode::execution);
}

}  // namespace
}  // namespace dynbatch

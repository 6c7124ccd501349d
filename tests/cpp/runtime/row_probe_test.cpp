#include "runtime/row_probe.hpp"

#include <gmock/gmock.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <dynbatch/error.hpp>

#include "cpp/runtime/custom_executor.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::add_one;
using dynbatch::testing::CustomExecutor;
using dynbatch::testing::failed;
using dynbatch::testing::floats;
using ::testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class T>
double difference(std::vector<T> a, std::vector<T> b, DataType dtype) {
  return largest_difference(reinterpret_cast<const std::byte*>(a.data()),
                            reinterpret_cast<const std::byte*>(b.data()), a.size() * sizeof(T),
                            dtype);
}

double float_difference(std::vector<float> a, std::vector<float> b) {
  return difference(std::move(a), std::move(b), DataType::float32);
}

TEST(LargestDifference, IsRelativeToTheLargestValueAlone) {
  EXPECT_DOUBLE_EQ(float_difference({1.0F, -4.0F, 2.0F}, {1.0F, -4.0F, 2.5F}), 0.125);
  EXPECT_DOUBLE_EQ(float_difference({1.0F, 100.0F}, {1.0F, 100.0F}), 0.0);
}

TEST(LargestDifference, NothingDiffersInNothing) { EXPECT_EQ(float_difference({}, {}), 0.0); }

TEST(LargestDifference, AnythingBesideZeroIsInfinite) {
  EXPECT_EQ(float_difference({0.0F}, {1e-30F}), kInfinity);
  EXPECT_EQ(float_difference({0.0F}, {-0.0F}), 0.0);
}

TEST(LargestDifference, NanEqualsNanAndNothingElse) {
  const float nan = std::nanf("");
  EXPECT_EQ(float_difference({nan, 1.0F}, {nan, 1.0F}), 0.0);
  EXPECT_EQ(float_difference({nan, 1.0F}, {1.0F, 1.0F}), kInfinity);
  EXPECT_EQ(float_difference({1.0F}, {nan}), kInfinity);
}

TEST(LargestDifference, InfinityEqualsItselfAndIsNoScale) {
  const float infinite = std::numeric_limits<float>::infinity();
  EXPECT_EQ(float_difference({infinite}, {infinite}), 0.0);
  EXPECT_EQ(float_difference({infinite}, {-infinite}), kInfinity);
  EXPECT_DOUBLE_EQ(float_difference({infinite, 2.0F}, {infinite, 3.0F}), 0.5);
}

TEST(LargestDifference, ReadsFloat16) {
  // 1.0, 65504 (the largest), 2^-24 (the smallest), -2.0
  EXPECT_EQ(difference<std::uint16_t>({0x3c00, 0x7bff, 0x0001, 0xc000},
                                      {0x3c00, 0x7bff, 0x0001, 0xc000}, DataType::float16),
            0.0);
  EXPECT_DOUBLE_EQ(difference<std::uint16_t>({0x4000}, {0x3c00}, DataType::float16), 0.5);
  EXPECT_DOUBLE_EQ(difference<std::uint16_t>({0x7bff, 0x4000}, {0x7bff, 0x3c00}, DataType::float16),
                   1.0 / 65504.0);
  EXPECT_DOUBLE_EQ(difference<std::uint16_t>({0x0002}, {0x0001}, DataType::float16), 0.5);
  EXPECT_EQ(difference<std::uint16_t>({0x7e00}, {0x7c00}, DataType::float16), kInfinity);
  EXPECT_EQ(difference<std::uint16_t>({0x7e00}, {0x7e01}, DataType::float16), 0.0);
}

TEST(LargestDifference, ReadsBfloat16) {
  EXPECT_DOUBLE_EQ(difference<std::uint16_t>({0x4000}, {0x3f80}, DataType::bfloat16), 0.5);
}

TEST(LargestDifference, ReadsIntegersOfEverySize) {
  EXPECT_DOUBLE_EQ(difference<std::int8_t>({-100}, {-50}, DataType::int8), 0.5);
  EXPECT_DOUBLE_EQ(difference<std::uint8_t>({200}, {100}, DataType::uint8), 0.5);
  EXPECT_DOUBLE_EQ(difference<std::int16_t>({-1000}, {-500}, DataType::int16), 0.5);
  EXPECT_DOUBLE_EQ(difference<std::uint16_t>({60000}, {30000}, DataType::uint16), 0.5);
  EXPECT_DOUBLE_EQ(difference<std::int32_t>({4}, {2}, DataType::int32), 0.5);
  EXPECT_DOUBLE_EQ(difference<std::uint32_t>({4000000000U}, {2000000000U}, DataType::uint32), 0.5);
  EXPECT_DOUBLE_EQ(difference<std::int64_t>({-4}, {-2}, DataType::int64), 0.5);
  EXPECT_DOUBLE_EQ(difference<std::uint64_t>({1ULL << 63}, {1ULL << 62}, DataType::uint64), 0.5);
  EXPECT_DOUBLE_EQ(difference<double>({4.0}, {2.0}, DataType::float64), 0.5);
  EXPECT_EQ(difference<std::uint8_t>({0}, {1}, DataType::boolean), kInfinity);
}

struct Probed {
  ProbeResult result;
  std::vector<std::size_t> sizes;
};

Probed probe(dynbatch::testing::RunFunction run, ModelSpec spec = CustomExecutor::one_float()) {
  Probed probed;
  CustomExecutor executor(
      [&](const Batch& batch, RunOutputs& outputs) {
        probed.sizes.push_back(batch.rows);
        return run(batch, outputs);
      },
      std::move(spec));
  TrialRun trial(executor, std::max<std::size_t>(3, executor.spec().fixed_batch));
  const SampleRows samples(executor.spec(), {});
  probed.result = probe_rows(trial, samples, executor.spec(), executor.spec().fixed_batch);
  return probed;
}

TEST(RowProbe, IndependentRowsAreBitEqual) {
  const Probed probed = probe([](const Batch& batch, RunOutputs&) { return add_one(batch); });
  EXPECT_TRUE(probed.result.ran);
  EXPECT_TRUE(probed.result.bit_equal);
  EXPECT_EQ(probed.result.difference, 0.0);
}

TEST(RowProbe, RunsAtMostSixTimesWithAtMostThreeRows) {
  const Probed probed = probe([](const Batch& batch, RunOutputs&) { return add_one(batch); });
  EXPECT_LE(probed.sizes.size(), 6U);
  EXPECT_THAT(probed.sizes, ::testing::Each(::testing::Le(3U)));
  EXPECT_THAT(probed.sizes, ::testing::Contains(3U));
}

TEST(RowProbe, RowsThatDependOnTheirNeighboursDiffer) {
  const Probed probed = probe([](const Batch& batch, RunOutputs&) {
    float sum = 0.0F;
    for (std::size_t row = 0; row < batch.rows; ++row) sum += floats(batch.inputs[0])[row];
    for (std::size_t row = 0; row < batch.rows; ++row) floats(batch.outputs[0])[row] = sum;
    return Failure{};
  });
  EXPECT_TRUE(probed.result.ran);
  EXPECT_GT(probed.result.difference, 1e-3);
}

TEST(RowProbe, RowsThatDependOnTheirPlaceDiffer) {
  const Probed probed = probe([](const Batch& batch, RunOutputs&) {
    for (std::size_t row = 0; row < batch.rows; ++row) {
      floats(batch.outputs[0])[row] = floats(batch.inputs[0])[row] + static_cast<float>(row);
    }
    return Failure{};
  });
  EXPECT_GT(probed.result.difference, 1e-3);
}

TEST(RowProbe, SmallDifferencesAreMeasured) {
  const Probed probed = probe([](const Batch& batch, RunOutputs&) {
    for (std::size_t row = 0; row < batch.rows; ++row) {
      floats(batch.outputs[0])[row] = batch.rows == 1 ? 1.0F : 1.0F + 1e-5F;
    }
    return Failure{};
  });
  EXPECT_FALSE(probed.result.bit_equal);
  EXPECT_NEAR(probed.result.difference, 1e-5, 1e-6);
}

TEST(RowProbe, FailingRunIsAnObstacle) {
  const Probed probed = probe([](const Batch&, RunOutputs&) { return failed("no such token"); });
  EXPECT_FALSE(probed.result.ran);
  EXPECT_THAT(probed.result.obstacle, HasSubstr("no such token"));
}

TEST(RowProbe, FixedBatchIsProbedAtItsSize) {
  ModelSpec spec = CustomExecutor::one_float();
  spec.fixed_batch = 4;
  const Probed probed = probe([](const Batch& batch, RunOutputs&) { return add_one(batch); }, spec);
  EXPECT_TRUE(probed.result.ran);
  EXPECT_TRUE(probed.result.bit_equal);
  EXPECT_THAT(probed.sizes, ::testing::Each(4U));
}

TEST(RowProbe, FixedBatchOfTwoIsProbed) {
  ModelSpec spec = CustomExecutor::one_float();
  spec.fixed_batch = 2;
  const Probed probed = probe(
      [](const Batch& batch, RunOutputs&) {
        const float first = floats(batch.inputs[0])[0];
        for (std::size_t row = 0; row < batch.rows; ++row) floats(batch.outputs[0])[row] = first;
        return Failure{};
      },
      spec);
  EXPECT_GT(probed.result.difference, 1e-3);
}

TEST(RowProbe, RowOfAFixedBatchOfOneHasNoCompany) {
  ModelSpec spec = CustomExecutor::one_float();
  spec.fixed_batch = 1;
  const Probed probed = probe([](const Batch& batch, RunOutputs&) { return add_one(batch); }, spec);
  EXPECT_TRUE(probed.result.ran);
  EXPECT_TRUE(probed.result.bit_equal);
}

TEST(RowProbe, OutputWithoutARowForEachOfTheBatchIsAnError) {
  ModelSpec spec = CustomExecutor::one_float();
  spec.outputs[0].row_shape = Shape{-1};
  EXPECT_THROW(probe(
                   [](const Batch&, RunOutputs& outputs) {
                     static const float one = 1.0F;
                     outputs.adopt(0, &one, Shape{1, 1}, nullptr, nullptr);
                     return Failure{};
                   },
                   spec),
               Error);
}

TEST(RowProbe, ShapesThatDependOnNeighboursDifferInfinitely) {
  ModelSpec spec = CustomExecutor::one_float();
  spec.outputs[0].row_shape = Shape{-1};
  const Probed probed = probe(
      [](const Batch& batch, RunOutputs& outputs) {
        static const std::vector<float> ones(9, 1.0F);
        const auto rows = static_cast<std::int64_t>(batch.rows);
        outputs.adopt(0, ones.data(), Shape{rows, rows}, nullptr, nullptr);
        return Failure{};
      },
      spec);
  EXPECT_TRUE(probed.result.ran);
  EXPECT_EQ(probed.result.difference, kInfinity);
}

}  // namespace
}  // namespace dynbatch

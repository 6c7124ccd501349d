// Executing gears: which shape runs, what is read and written, datasets and threads side by side.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include <dynbatch/acl.h>

#include "cpp/capi/acl_world.hpp"

namespace dynbatch::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

constexpr float kUntouched = -7.0F;

void fill(const TestDataset& input, const TestDataset& output, std::size_t count,
          std::size_t room) {
  for (std::size_t i = 0; i < count; ++i) input.as<float>(0)[i] = static_cast<float>(i);
  std::fill_n(output.as<float>(0), room, kUntouched);
}

/// Whether the first values are 2 x + 1 of 0, 1, 2, ... and the others as they were.
void expect_answers(const TestDataset& output, std::size_t count, std::size_t room) {
  for (std::size_t i = 0; i < room; ++i) {
    const float expected = i < count ? 2.0F * static_cast<float>(i) + 1.0F : kUntouched;
    ASSERT_EQ(output.as<float>(0)[i], expected) << i;
  }
}

TEST(Execute, RunsTheGearThatIsSetAndNoMore) {
  const AclWorld world;
  const std::uint32_t id = AclWorld::load(batch_model());
  const TestDataset input({96, 4});
  const TestDataset output({96});
  const TestDescription description(id);
  for (const std::uint64_t batch : {4, 1, 8, 2, 4}) {
    fill(input, output, 24, 24);
    ASSERT_EQ(aclmdlSetDynamicBatchSize(id, input.get(), 1, batch), ACL_SUCCESS);
    ASSERT_EQ(aclmdlExecute(id, input.get(), output.get()), ACL_SUCCESS);
    expect_answers(output, 3 * batch, 24);
    EXPECT_EQ(*input.as<std::uint32_t>(1), batch);
    aclmdlIODims dims;
    ASSERT_EQ(aclmdlGetCurOutputDims(description.get(), 0, &dims), ACL_SUCCESS);
    EXPECT_THAT(sizes_of(dims), ElementsAre(batch, 3));
  }
}

TEST(Execute, TakesBuffersOfTheGearsSize) {
  const AclWorld world;
  const std::uint32_t id = AclWorld::load(batch_model());
  const TestDataset input({24, 4});
  const TestDataset output({24});
  fill(input, output, 6, 6);
  ASSERT_EQ(aclmdlSetDynamicBatchSize(id, input.get(), 1, 2), ACL_SUCCESS);
  ASSERT_EQ(aclmdlExecute(id, input.get(), output.get()), ACL_SUCCESS);
  expect_answers(output, 6, 6);
}

TEST(Execute, IsTheLargestGearUnlessOneIsSet) {
  const AclWorld world;
  const std::uint32_t id = AclWorld::load(batch_model());
  const TestDataset input({96, 4});
  const TestDataset output({96});
  fill(input, output, 24, 24);
  ASSERT_EQ(aclmdlExecute(id, input.get(), output.get()), ACL_SUCCESS);
  expect_answers(output, 24, 24);
}

TEST(Execute, KeepsTheGearAfterASetThatFailed) {
  const AclWorld world;
  const std::uint32_t id = AclWorld::load(batch_model());
  const TestDataset input({96, 4});
  const TestDataset output({96});
  ASSERT_EQ(aclmdlSetDynamicBatchSize(id, input.get(), 1, 2), ACL_SUCCESS);
  ASSERT_NE(aclmdlSetDynamicBatchSize(id, input.get(), 1, 3), ACL_SUCCESS);
  *input.as<std::uint32_t>(1) = 2;  // as one that is known writes it again
  fill(input, output, 24, 24);
  ASSERT_EQ(aclmdlExecute(id, input.get(), output.get()), ACL_SUCCESS);
  expect_answers(output, 6, 24);
}

TEST(Execute, RunsImageSizesAndDims) {
  const AclWorld world;
  const TestDataset input({80, 8});
  const TestDataset output({80});
  const std::uint32_t image = AclWorld::load(image_model());
  fill(input, output, 20, 20);
  ASSERT_EQ(aclmdlSetDynamicHWSize(image, input.get(), 1, 2, 3), ACL_SUCCESS);
  ASSERT_EQ(aclmdlExecute(image, input.get(), output.get()), ACL_SUCCESS);
  expect_answers(output, 6, 20);
  EXPECT_EQ(input.as<std::uint32_t>(1)[0], 2U);
  EXPECT_EQ(input.as<std::uint32_t>(1)[1], 3U);

  const std::uint32_t dims = AclWorld::load(dims_model());
  aclmdlIODims gear = {.name = "", .dimCount = 3, .dims = {3, 2, 1}};
  fill(input, output, 20, 20);
  ASSERT_EQ(aclmdlSetInputDynamicDims(dims, input.get(), 1, &gear), ACL_SUCCESS);
  ASSERT_EQ(aclmdlExecute(dims, input.get(), output.get()), ACL_SUCCESS);
  expect_answers(output, 6, 20);
}

TEST(Execute, WritesWideValuesIntoAWideShapeBuffer) {
  const AclWorld world;
  const std::uint32_t id = AclWorld::load(image_model());
  const TestDataset input({32, 16});
  ASSERT_EQ(aclmdlSetDynamicHWSize(id, input.get(), 1, 4, 2), ACL_SUCCESS);
  EXPECT_EQ(input.as<std::uint64_t>(1)[0], 4U);
  EXPECT_EQ(input.as<std::uint64_t>(1)[1], 2U);
}

TEST(Execute, BringsMemoryForOutputsWithout) {
  const AclWorld world;
  const std::uint32_t id = AclWorld::load(batch_model());
  const TestDataset input({96, 4});
  TestDataset output({0});
  output.tell_null(0, 0);
  for (std::size_t i = 0; i < 3; ++i) input.as<float>(0)[i] = static_cast<float>(i);
  ASSERT_EQ(aclmdlSetDynamicBatchSize(id, input.get(), 1, 1), ACL_SUCCESS);
  ASSERT_EQ(aclmdlExecute(id, input.get(), output.get()), ACL_SUCCESS);
  EXPECT_EQ(aclGetDataBufferSizeV2(output.buffer(0)), 96U) << "of the largest gear";
  void* const memory = aclGetDataBufferAddr(output.buffer(0));
  ASSERT_NE(memory, nullptr);
  EXPECT_EQ(static_cast<float*>(memory)[2], 5.0F);
  EXPECT_EQ(aclrtFree(memory), ACL_SUCCESS);
}

TEST(Execute, GivesMemoryBackIfTheRunFails) {
  const AclWorld world;
  const std::uint32_t id = AclWorld::load(OnnxGraph()
                                              .input("x", DataType::int64, {1})
                                              .constant("table", {1.0F})
                                              .node("Gather", {"table", "x"}, {"y"})
                                              .output("y", DataType::float32, {1})
                                              .bytes());
  const TestDataset input({8});
  TestDataset output({0});
  output.tell_null(0, 0);
  *input.as<std::int64_t>(0) = 9;
  EXPECT_EQ(aclmdlExecute(id, input.get(), output.get()), ACL_ERROR_GE_FAILURE);
  EXPECT_EQ(aclGetDataBufferAddr(output.buffer(0)), nullptr);
}  // AclWorld finds what is left

TEST(Execute, DatasetsKeepTheirOwnGears) {
  const AclWorld world;
  const std::uint32_t id = AclWorld::load(batch_model());
  const TestDataset one({96, 4});
  const TestDataset two({96, 4});
  const TestDataset output({96});
  ASSERT_EQ(aclmdlSetDynamicBatchSize(id, one.get(), 1, 1), ACL_SUCCESS);
  ASSERT_EQ(aclmdlSetDynamicBatchSize(id, two.get(), 1, 4), ACL_SUCCESS);
  aclmdlIODims dims;
  ASSERT_EQ(dynbatchAclGetDatasetOutputDims(id, one.get(), 0, &dims), ACL_SUCCESS);
  EXPECT_THAT(sizes_of(dims), ElementsAre(1, 3));
  fill(one, output, 24, 24);
  ASSERT_EQ(aclmdlExecute(id, one.get(), output.get()), ACL_SUCCESS);
  expect_answers(output, 3, 24);
}

TEST(Execute, ServesEightThreadsOnOneModel) {
  const AclWorld world;
  const std::uint32_t id = AclWorld::load(batch_model());
  constexpr int kRounds = 50;
  std::vector<std::thread> threads;
  for (std::uint64_t thread = 0; thread < 8; ++thread) {
    threads.emplace_back([id, thread] {
      const TestDataset input({96, 4});
      const TestDataset output({96});
      for (int round = 0; round < kRounds; ++round) {
        const std::uint64_t batch = std::uint64_t{1} << ((thread + round) % 4);
        fill(input, output, 24, 24);
        ASSERT_EQ(aclmdlSetDynamicBatchSize(id, input.get(), 1, batch), ACL_SUCCESS);
        ASSERT_EQ(aclmdlExecute(id, input.get(), output.get()), ACL_SUCCESS);
        expect_answers(output, 3 * batch, 24);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Execute, AModelThatIsUnloadedServesThoseInside) {
  const AclWorld world;
  const std::uint32_t id = AclWorld::load(batch_model());
  constexpr int kThreads = 4;
  std::latch all_inside(kThreads + 1);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&] {
      const TestDataset input({96, 4});
      const TestDataset output({96});
      aclError code = aclmdlExecute(id, input.get(), output.get());
      EXPECT_EQ(code, ACL_SUCCESS);
      all_inside.arrive_and_wait();
      while (code == ACL_SUCCESS) {
        fill(input, output, 24, 24);
        code = aclmdlExecute(id, input.get(), output.get());
        expect_answers(output, code == ACL_SUCCESS ? 24 : 0, 24);
      }
      EXPECT_EQ(code, ACL_ERROR_GE_EXEC_MODEL_ID_INVALID);
    });
  }
  all_inside.arrive_and_wait();
  EXPECT_EQ(aclmdlUnload(id), ACL_SUCCESS);
  for (std::thread& thread : threads) thread.join();
}

// Streams.

TEST(ExecuteAsync, RunsInTheOrderOfTheStreamWithTheGearOfThen) {
  const AclWorld world;
  const std::uint32_t id = AclWorld::load(batch_model());
  const TestDataset input({96, 4});
  const TestDataset output({96});
  const std::vector<float> rising{0.0F, 1.0F, 2.0F, 3.0F, 4.0F, 5.0F};
  std::vector<float> answers(6);
  std::fill_n(output.as<float>(0), 24, kUntouched);
  aclrtStream stream = nullptr;
  ASSERT_EQ(aclrtCreateStream(&stream), ACL_SUCCESS);
  ASSERT_EQ(
      aclrtMemcpyAsync(input.as<void>(0), 96, rising.data(), 24, ACL_MEMCPY_HOST_TO_DEVICE, stream),
      ACL_SUCCESS);
  ASSERT_EQ(aclmdlSetDynamicBatchSize(id, input.get(), 1, 2), ACL_SUCCESS);
  ASSERT_EQ(aclmdlExecuteAsync(id, input.get(), output.get(), stream), ACL_SUCCESS);
  ASSERT_EQ(aclmdlSetDynamicBatchSize(id, input.get(), 1, 8), ACL_SUCCESS);
  ASSERT_EQ(aclrtMemcpyAsync(answers.data(), 24, output.as<void>(0), 24, ACL_MEMCPY_DEVICE_TO_HOST,
                             stream),
            ACL_SUCCESS);
  ASSERT_EQ(aclrtSynchronizeStream(stream), ACL_SUCCESS);
  EXPECT_THAT(answers, ElementsAre(1.0F, 3.0F, 5.0F, 7.0F, 9.0F, 11.0F));
  expect_answers(output, 6, 24);
  EXPECT_EQ(aclrtDestroyStream(stream), ACL_SUCCESS);
}

TEST(ExecuteAsync, SynchronizeTellsTheFailureOnce) {
  const AclWorld world;
  const std::uint32_t id = AclWorld::load(OnnxGraph()
                                              .input("x", DataType::int64, {1})
                                              .constant("table", {1.0F})
                                              .node("Gather", {"table", "x"}, {"y"})
                                              .output("y", DataType::float32, {1})
                                              .bytes());
  const TestDataset input({8});
  const TestDataset output({4});
  *input.as<std::int64_t>(0) = 9;
  aclrtStream stream = nullptr;
  ASSERT_EQ(aclrtCreateStream(&stream), ACL_SUCCESS);
  ASSERT_EQ(aclmdlExecuteAsync(id, input.get(), output.get(), stream), ACL_SUCCESS);
  EXPECT_EQ(aclrtSynchronizeStream(stream), ACL_ERROR_GE_FAILURE);
  EXPECT_THAT(aclGetRecentErrMsg(), ::testing::HasSubstr("aclrtSynchronizeStream"));
  EXPECT_EQ(aclrtSynchronizeStream(stream), ACL_SUCCESS);
  ASSERT_EQ(aclmdlExecuteAsync(id, input.get(), output.get(), stream), ACL_SUCCESS);
  EXPECT_EQ(aclrtSynchronizeDevice(), ACL_ERROR_GE_FAILURE);
  EXPECT_EQ(aclrtDestroyStream(stream), ACL_SUCCESS);
}

TEST(ExecuteAsync, ADestroyedStreamFinishesWhatItHas) {
  const AclWorld world;
  const std::uint32_t id = AclWorld::load(batch_model());
  const TestDataset input({96, 4});
  const TestDataset output({96});
  fill(input, output, 24, 24);
  aclrtStream stream = nullptr;
  ASSERT_EQ(aclrtCreateStream(&stream), ACL_SUCCESS);
  for (int run = 0; run < 20; ++run) {
    ASSERT_EQ(aclmdlExecuteAsync(id, input.get(), output.get(), stream), ACL_SUCCESS);
  }
  ASSERT_EQ(aclmdlUnload(id), ACL_SUCCESS);
  EXPECT_EQ(aclrtDestroyStream(stream), ACL_SUCCESS);
  expect_answers(output, 24, 24);
  EXPECT_EQ(aclrtSynchronizeStream(stream), ACL_ERROR_INVALID_PARAM);
}

}  // namespace
}  // namespace dynbatch::testing

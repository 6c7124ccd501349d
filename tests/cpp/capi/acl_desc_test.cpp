// What a description tells of a model with gears, and of one without.
#include <gmock/gmock.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <dynbatch/acl.h>

#include "cpp/capi/acl_world.hpp"

namespace dynbatch::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::StrEq;

constexpr std::size_t kAll = static_cast<std::size_t>(-1);

std::vector<std::int64_t> dims_by(aclError (*getter)(const aclmdlDesc*, std::size_t, aclmdlIODims*),
                                  const aclmdlDesc* description, std::size_t index) {
  aclmdlIODims dims = {};
  EXPECT_EQ(getter(description, index, &dims), ACL_SUCCESS) << aclGetRecentErrMsg();
  return sizes_of(dims);
}

TEST(Describe, TheShapeInputIsTheLast) {
  const AclWorld world;
  const TestDescription description(AclWorld::load(dims_model()));
  aclmdlDesc* const desc = description.get();
  ASSERT_EQ(aclmdlGetNumInputs(desc), 2U);
  std::size_t index = 0;
  ASSERT_EQ(aclmdlGetInputIndexByName(desc, ACL_DYNAMIC_TENSOR_NAME, &index), ACL_SUCCESS);
  EXPECT_EQ(index, 1U);
  EXPECT_THAT(aclmdlGetInputNameByIndex(desc, 1), StrEq("ascend_mbatch_shape_data"));
  EXPECT_THAT(dims_by(aclmdlGetInputDims, desc, 1), ElementsAre(2));
  EXPECT_EQ(aclmdlGetInputSizeByIndex(desc, 1), 8U);
  EXPECT_EQ(aclmdlGetInputDataType(desc, 1), ACL_INT32);
  EXPECT_EQ(aclmdlGetInputFormat(desc, 1), ACL_FORMAT_ND);
}

TEST(Describe, InputsHaveMinusOneAndTheRestIsOfTheLargestGear) {
  const AclWorld world;
  const TestDescription description(AclWorld::load(batch_model()));
  aclmdlDesc* const desc = description.get();
  EXPECT_THAT(dims_by(aclmdlGetInputDims, desc, 0), ElementsAre(-1, 3));
  EXPECT_THAT(dims_by(aclmdlGetInputDimsV2, desc, 0), ElementsAre(-1, 3));
  EXPECT_EQ(aclmdlGetInputSizeByIndex(desc, 0), 96U);
  EXPECT_THAT(dims_by(aclmdlGetOutputDims, desc, 0), ElementsAre(8, 3));
  EXPECT_THAT(dims_by(aclmdlGetCurOutputDims, desc, 0), ElementsAre(8, 3));
  EXPECT_EQ(aclmdlGetOutputSizeByIndex(desc, 0), 96U);
}

TEST(Describe, AStaticModelHasNoShapeInputAndNoGears) {
  const AclWorld world;
  const TestDescription description(AclWorld::load(static_model()));
  aclmdlDesc* const desc = description.get();
  EXPECT_EQ(aclmdlGetNumInputs(desc), 1U);
  EXPECT_THAT(dims_by(aclmdlGetInputDims, desc, 0), ElementsAre(2, 3));
  EXPECT_THAT(dims_by(aclmdlGetCurOutputDims, desc, 0), ElementsAre(2, 3));
  std::size_t count = 9;
  EXPECT_NE(aclmdlGetInputIndexByName(desc, ACL_DYNAMIC_TENSOR_NAME, &count), ACL_SUCCESS);
  EXPECT_EQ(aclmdlGetInputDynamicGearCount(desc, kAll, &count), ACL_SUCCESS);
  EXPECT_EQ(count, 0U);
  aclmdlBatch batch;
  EXPECT_EQ(aclmdlGetDynamicBatch(desc, &batch), ACL_SUCCESS);
  EXPECT_EQ(batch.batchCount, 0U);
}

TEST(Describe, GearsAreInTheUsersOrderAndOfOneKind) {
  const AclWorld world;
  const TestDescription batches(AclWorld::load(batch_model()));
  aclmdlBatch batch;
  ASSERT_EQ(aclmdlGetDynamicBatch(batches.get(), &batch), ACL_SUCCESS);
  EXPECT_THAT(std::vector(batch.batch, batch.batch + batch.batchCount), ElementsAre(4, 1, 8, 2));
  aclmdlHW hw;
  ASSERT_EQ(aclmdlGetDynamicHW(batches.get(), kAll, &hw), ACL_SUCCESS);
  EXPECT_EQ(hw.hwCount, 0U);

  const TestDescription images(AclWorld::load(image_model()));
  ASSERT_EQ(aclmdlGetDynamicHW(images.get(), 0, &hw), ACL_SUCCESS) << "any index";
  ASSERT_EQ(hw.hwCount, 2U);
  EXPECT_THAT(hw.hw[0], ElementsAre(2, 3));
  EXPECT_THAT(hw.hw[1], ElementsAre(4, 2));
  EXPECT_EQ(aclmdlGetInputFormat(images.get(), 0), ACL_FORMAT_NCHW);

  const TestDescription dims(AclWorld::load(dims_model()));
  std::size_t count = 0;
  ASSERT_EQ(aclmdlGetInputDynamicGearCount(dims.get(), kAll, &count), ACL_SUCCESS);
  ASSERT_EQ(count, 2U);
  std::vector<aclmdlIODims> gears(count);
  ASSERT_EQ(aclmdlGetInputDynamicDims(dims.get(), kAll, gears.data(), count), ACL_SUCCESS);
  EXPECT_THAT(sizes_of(gears[0]), ElementsAre(2, 2, 5));
  EXPECT_THAT(sizes_of(gears[1]), ElementsAre(3, 2, 1));
  EXPECT_EQ(aclmdlGetInputDynamicDims(dims.get(), kAll, gears.data(), 1), ACL_ERROR_INVALID_PARAM);
}

TEST(Describe, ALongNameIsReplacedAndFoundAgain) {
  const AclWorld world;
  const std::string name(200, 'n');
  const std::uint32_t id = AclWorld::load(OnnxGraph()
                                              .input(name, DataType::float32, {2})
                                              .node("Neg", {name}, {"y"})
                                              .output("y", DataType::float32, {2})
                                              .bytes());
  const TestDescription description(id);
  aclmdlIODims dims;
  ASSERT_EQ(aclmdlGetInputDims(description.get(), 0, &dims), ACL_SUCCESS);
  EXPECT_EQ(dims.name, "acl_modelId_" + std::to_string(id) + "_input_0");
  EXPECT_EQ(aclmdlGetTensorRealName(description.get(), dims.name), name);
  EXPECT_EQ(aclmdlGetInputNameByIndex(description.get(), 0), name);
}

TEST(Describe, APlainValueSaysThatThereIsNone) {
  EXPECT_EQ(aclmdlGetNumInputs(nullptr), 0U);
  EXPECT_EQ(aclmdlGetInputSizeByIndex(nullptr, 0), 0U);
  EXPECT_THAT(aclmdlGetOutputNameByIndex(nullptr, 0), StrEq(""));
  EXPECT_EQ(aclmdlGetInputDataType(nullptr, 0), ACL_DT_UNDEFINED);
  EXPECT_EQ(aclmdlGetOutputFormat(nullptr, 0), ACL_FORMAT_UNDEFINED);
  EXPECT_EQ(aclmdlGetDatasetBuffer(nullptr, 0), nullptr);
  EXPECT_EQ(aclGetDataBufferAddr(nullptr), nullptr);
  aclmdlDesc* const empty = aclmdlCreateDesc();
  EXPECT_EQ(aclmdlGetNumOutputs(empty), 0U);
  EXPECT_EQ(aclmdlDestroyDesc(empty), ACL_SUCCESS);
}

TEST(Describe, AModelOutlivesItsId) {
  const AclWorld world;
  const std::uint32_t id = AclWorld::load(batch_model());
  const TestDescription description(id);
  ASSERT_EQ(aclmdlUnload(id), ACL_SUCCESS);
  EXPECT_THAT(dims_by(aclmdlGetInputDims, description.get(), 0), ElementsAre(-1, 3));
}

TEST(GearForRows, ChoosesAsAsked) {
  const AclWorld world;
  const std::uint32_t id = AclWorld::load(batch_model());
  std::uint64_t batch = 0;
  ASSERT_EQ(dynbatchAclGearForRows(id, 5, DYNBATCH_ACL_UPPER, &batch), ACL_SUCCESS);
  EXPECT_EQ(batch, 8U);
  ASSERT_EQ(dynbatchAclGearForRows(id, 5, DYNBATCH_ACL_NEAREST, &batch), ACL_SUCCESS);
  EXPECT_EQ(batch, 4U);
  ASSERT_EQ(dynbatchAclGearForRows(id, 3, DYNBATCH_ACL_NEAREST, &batch), ACL_SUCCESS);
  EXPECT_EQ(batch, 4U) << "of two that are as near, the larger";
  ASSERT_EQ(dynbatchAclGearForRows(id, 7, DYNBATCH_ACL_LOWER, &batch), ACL_SUCCESS);
  EXPECT_EQ(batch, 4U);
}

}  // namespace
}  // namespace dynbatch::testing

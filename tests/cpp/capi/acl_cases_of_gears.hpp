// Codes of setting gears and executing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <dynbatch/acl.h>

#include "cpp/capi/acl_case.hpp"

namespace dynbatch::testing {

inline std::vector<Case> setting() {
  return {
      {"BatchOfZero", ACL_ERROR_INVALID_PARAM, [] { return Loaded().set(0); }},
      {"BatchThatIsNoGear", ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID,
       [] { return Loaded().set(3); }},
      {"OtherKindOfGear", ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID,
       [] {
         const Loaded loaded;
         const TestDataset input({96, 8});
         return aclmdlSetDynamicHWSize(loaded.id, input.get(), 1, 4, 4);
       }},
      {"GearOfAStaticModel", ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID,
       [] {
         const Loaded loaded;
         const std::uint32_t id = AclWorld::load(static_model());
         return aclmdlSetDynamicBatchSize(id, loaded.input.get(), 1, 2);
       }},
      {"DimsOfABatchModel", ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID,
       [] {
         const Loaded loaded;
         return set_dims(loaded.id, loaded.input, {4, 3});
       }},
      {"GearOfAnUnknownModel", ACL_ERROR_GE_EXEC_MODEL_ID_INVALID,
       [] {
         const Loaded loaded;
         return aclmdlSetDynamicBatchSize(loaded.id + 1, loaded.input.get(), 1, 2);
       }},
      {"IndexOfADataInput", ACL_ERROR_INVALID_PARAM,
       [] {
         const Loaded loaded;
         return aclmdlSetDynamicBatchSize(loaded.id, loaded.input.get(), 0, 2);
       }},
      {"IndexBeyond", ACL_ERROR_INVALID_PARAM,
       [] {
         const Loaded loaded;
         return aclmdlSetDynamicBatchSize(loaded.id, loaded.input.get(), 2, 2);
       }},
      {"NullShapeBuffer", ACL_ERROR_INVALID_PARAM,
       [] {
         Loaded loaded;
         loaded.input.tell_null(1, 4);
         return loaded.set(2);
       }},
      {"NullDataset", ACL_ERROR_INVALID_PARAM,
       [] {
         const Loaded loaded;
         return aclmdlSetDynamicBatchSize(loaded.id, nullptr, 1, 2);
       }},
      {"ShapeBufferOfThreeBytes", ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID,
       [] {
         Loaded loaded;
         loaded.input.tell(1, 3);
         return loaded.set(2);
       }},
      {"ImageSizeInFourBytes", ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID,
       [] {
         const Loaded loaded;
         return aclmdlSetDynamicHWSize(AclWorld::load(image_model()), loaded.input.get(), 1, 2, 3);
       }},
      {"ImageSizeOfZero", ACL_ERROR_INVALID_PARAM, [] { return set_image_size(2, 0); }},
      {"ImageSizeThatIsNoGear", ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID,
       [] { return set_image_size(3, 2); }},
      {"NullDimsOfAGear", ACL_ERROR_INVALID_PARAM,
       [] {
         const AclWorld world;
         const TestDataset input({80, 8});
         return aclmdlSetInputDynamicDims(AclWorld::load(dims_model()), input.get(), 1, nullptr);
       }},
      {"MoreDimsToSetThanThereIsRoomFor", ACL_ERROR_STORAGE_OVER_LIMIT,
       [] {
         const AclWorld world;
         const TestDataset input({80, 8});
         aclmdlIODims dims = {};
         dims.dimCount = 136;  // as many as the model has
         return aclmdlSetInputDynamicDims(AclWorld::load(wide_model()), input.get(), 1, &dims);
       }},
      {"TooFewDims", ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID,
       [] {
         const AclWorld world;
         return set_dims(AclWorld::load(dims_model()), TestDataset({80, 8}), {2, 2});
       }},
      {"AStaticDimThatChanges", ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID,
       [] {
         const AclWorld world;
         return set_dims(AclWorld::load(dims_model()), TestDataset({80, 8}), {2, 3, 5});
       }},
      {"DimsThatAreNoGear", ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID,
       [] {
         const AclWorld world;
         return set_dims(AclWorld::load(dims_model()), TestDataset({80, 8}), {2, 2, 1});
       }},
      {"RowsThatNoGearHolds", ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID,
       [] {
         const Loaded loaded;
         std::uint64_t batch = 0;
         return dynbatchAclGearForRows(loaded.id, 9, DYNBATCH_ACL_UPPER, &batch);
       }},
      {"TensorDescription", ACL_ERROR_API_NOT_SUPPORT,
       [] {
         const Loaded loaded;
         return aclmdlSetDatasetTensorDesc(loaded.input.get(), nullptr, 0);
       }},
      {"Aipp", ACL_ERROR_GE_AIPP_NOT_EXIST,
       [] {
         const Loaded loaded;
         aclmdlAIPP* const aipp = aclmdlCreateAIPP(8);
         const aclError code = aclmdlSetInputAIPP(loaded.id, loaded.input.get(), 0, aipp);
         aclmdlDestroyAIPP(aipp);
         return code;
       }},
  };
}

inline std::vector<Case> executing() {
  return {
      {"UnsetWithASmallInput", ACL_ERROR_GE_PARAM_INVALID,
       [] {
         Loaded loaded;
         loaded.input.tell(0, 95);
         return loaded.execute();
       }},
      {"SetWithASmallInput", ACL_ERROR_GE_PARAM_INVALID,
       [] {
         Loaded loaded;
         loaded.set(4);
         loaded.input.tell(0, 47);
         return loaded.execute();
       }},
      {"SetWithASmallOutput", ACL_ERROR_GE_PARAM_INVALID,
       [] {
         Loaded loaded;
         loaded.set(4);
         loaded.output.tell(0, 47);
         return loaded.execute();
       }},
      {"WithoutTheShapeInput", ACL_ERROR_GE_PARAM_INVALID,
       [] {
         const Loaded loaded;
         const TestDataset input({96});
         return aclmdlExecute(loaded.id, input.get(), loaded.output.get());
       }},
      {"ExecuteAnUnknownModel", ACL_ERROR_GE_EXEC_MODEL_ID_INVALID,
       [] {
         const Loaded loaded;
         return aclmdlExecute(loaded.id + 1, loaded.input.get(), loaded.output.get());
       }},
      {"OneOutputTooMany", ACL_ERROR_GE_PARAM_INVALID,
       [] {
         Loaded loaded;
         loaded.output.add(96);
         return loaded.execute();
       }},
      {"NullInput", ACL_ERROR_INVALID_PARAM,
       [] {
         Loaded loaded;
         loaded.input.tell_null(0, 96);
         return loaded.execute();
       }},
      {"DestroyedBuffer", ACL_ERROR_INVALID_PARAM,
       [] {
         const Loaded loaded;
         aclDestroyDataBuffer(loaded.output.buffer(0));
         return loaded.execute();
       }},
      {"NullShapeInput", ACL_ERROR_GE_DYNAMIC_INPUT_ADDR_INVALID,
       [] {
         Loaded loaded;
         loaded.input.tell_null(1, 4);
         return loaded.execute();
       }},
      {"ShortShapeInput", ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID,
       [] {
         Loaded loaded;
         loaded.input.tell(1, 3);
         return loaded.execute();
       }},
      {"GearOfAnotherModel", ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID,
       [] {
         const Loaded loaded;
         const std::uint32_t other = AclWorld::load(
             with_gears(doubled_plus_one({"n", 3}), GearKind::batch, {-1, 3}, {{5}, {6}}));
         aclmdlSetDynamicBatchSize(other, loaded.input.get(), 1, 5);
         return loaded.execute();
       }},
      {"ARunThatFails", ACL_ERROR_GE_FAILURE,
       [] {
         const AclWorld world;
         const TestDataset input({16});
         const TestDataset output({8});
         input.as<std::int64_t>(0)[1] = 7;
         return aclmdlExecute(AclWorld::load(failing_model()), input.get(), output.get());
       }},
      {"AsyncWithoutOutputMemory", ACL_ERROR_GE_PARAM_INVALID,
       [] {
         Loaded loaded;
         loaded.output.tell_null(0, 0);
         aclrtStream stream = nullptr;
         aclrtCreateStream(&stream);
         const aclError code =
             aclmdlExecuteAsync(loaded.id, loaded.input.get(), loaded.output.get(), stream);
         aclrtDestroyStream(stream);
         return code;
       }},
      {"AsyncCopyOfNull", ACL_ERROR_INVALID_PARAM,
       [] {
         char to[8];
         return aclrtMemcpyAsync(to, sizeof to, nullptr, 8, ACL_MEMCPY_DEFAULT, nullptr);
       }},
      {"AsyncWithoutStream", ACL_ERROR_INVALID_PARAM,
       [] {
         const Loaded loaded;
         return aclmdlExecuteAsync(loaded.id, loaded.input.get(), loaded.output.get(), nullptr);
       }},
  };
}

}  // namespace dynbatch::testing

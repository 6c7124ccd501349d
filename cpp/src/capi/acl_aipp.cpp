// AIPP, the preprocessing that a chip does: no model has it here, and the calls say so.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <dynbatch/acl.h>

#include "capi/answer.hpp"
#include "capi/dataset.hpp"
#include "capi/description.hpp"
#include "capi/handles.hpp"
#include "capi/models.hpp"

using namespace dynbatch::capi;  // NOLINT(google-build-using-namespace): C functions stand outside

aclmdlAIPP* aclmdlCreateAIPP(uint64_t batchSize) {
  return value_or<aclmdlAIPP*>(__func__, nullptr, [&] {
    require(batchSize > 0, "batchSize: expected at least 1, got 0");
    return reinterpret_cast<aclmdlAIPP*>(
        Handles<Aipp>::all().add(std::make_shared<Aipp>(Aipp{batchSize})));
  });
}

aclError aclmdlDestroyAIPP(const aclmdlAIPP* aippParmsSet) {
  return answer(__func__, [&] { taken<Aipp>(aippParmsSet, "aippParmsSet"); });
}

aclError aclmdlSetInputAIPP(uint32_t modelId, aclmdlDataset* dataset, size_t index,
                            const aclmdlAIPP* aippParmsSet) {
  return answer(__func__, [&] {
    const auto set = checked<Dataset>(dataset, "dataset");
    checked<Aipp>(aippParmsSet, "aippParmsSet");
    require(index < set->buffers.size(), "index: expected one of the dataset's buffers");
    find_model(modelId);
    refuse(ACL_ERROR_GE_AIPP_NOT_EXIST,
           "model " + std::to_string(modelId) +
               " has no AIPP: dynbatch compiles none (--insert_op_conf is refused); preprocess "
               "before the model");
  });
}

// Data buffers and datasets.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include <dynbatch/acl.h>

#include "capi/answer.hpp"
#include "capi/dataset.hpp"
#include "capi/handles.hpp"

namespace dynbatch::capi {
namespace {

aclDataBuffer* handle_of(DataBuffer* buffer) { return reinterpret_cast<aclDataBuffer*>(buffer); }

}  // namespace
}  // namespace dynbatch::capi

using namespace dynbatch::capi;  // NOLINT(google-build-using-namespace): C functions stand outside

aclDataBuffer* aclCreateDataBuffer(void* data, size_t size) {
  return value_or<aclDataBuffer*>(__func__, nullptr, [&] {
    auto buffer = std::make_shared<DataBuffer>(DataBuffer{.data = data, .size = size});
    return handle_of(Handles<DataBuffer>::all().add(std::move(buffer)));
  });
}

aclError aclDestroyDataBuffer(const aclDataBuffer* dataBuffer) {
  return answer(__func__, [&] { taken<DataBuffer>(dataBuffer, "dataBuffer")->destroyed = true; });
}

aclError aclUpdateDataBuffer(aclDataBuffer* dataBuffer, void* data, size_t size) {
  return answer(__func__, [&] {
    const auto buffer = checked<DataBuffer>(dataBuffer, "dataBuffer");
    buffer->data = data;
    buffer->size = size;
  });
}

void* aclGetDataBufferAddr(const aclDataBuffer* dataBuffer) {
  return value_or<void*>(__func__, nullptr,
                         [&] { return checked<DataBuffer>(dataBuffer, "dataBuffer")->data; });
}

uint32_t aclGetDataBufferSize(const aclDataBuffer* dataBuffer) {
  return static_cast<uint32_t>(std::min<size_t>(aclGetDataBufferSizeV2(dataBuffer), UINT32_MAX));
}

size_t aclGetDataBufferSizeV2(const aclDataBuffer* dataBuffer) {
  return value_or<size_t>(__func__, 0,
                          [&] { return checked<DataBuffer>(dataBuffer, "dataBuffer")->size; });
}

size_t aclDataTypeSize(aclDataType dataType) {
  switch (dataType) {
    case ACL_INT8:
    case ACL_UINT8:
    case ACL_BOOL: return 1;
    case ACL_FLOAT16:
    case ACL_INT16:
    case ACL_UINT16:
    case ACL_BF16: return 2;
    case ACL_FLOAT:
    case ACL_INT32:
    case ACL_UINT32: return 4;
    case ACL_INT64:
    case ACL_UINT64:
    case ACL_DOUBLE:
    case ACL_COMPLEX64: return 8;
    case ACL_COMPLEX128: return 16;
    default: return 0;
  }
}

aclmdlDataset* aclmdlCreateDataset() {
  return value_or<aclmdlDataset*>(__func__, nullptr, [] {
    return reinterpret_cast<aclmdlDataset*>(
        Handles<Dataset>::all().add(std::make_shared<Dataset>()));
  });
}

aclError aclmdlDestroyDataset(const aclmdlDataset* dataset) {
  return answer(__func__, [&] { taken<Dataset>(dataset, "dataset"); });
}

aclError aclmdlAddDatasetBuffer(aclmdlDataset* dataset, aclDataBuffer* dataBuffer) {
  return answer(__func__, [&] {
    const auto set = checked<Dataset>(dataset, "dataset");
    set->buffers.push_back(checked<DataBuffer>(dataBuffer, "dataBuffer"));
  });
}

size_t aclmdlGetDatasetNumBuffers(const aclmdlDataset* dataset) {
  return value_or<size_t>(__func__, 0,
                          [&] { return checked<Dataset>(dataset, "dataset")->buffers.size(); });
}

aclDataBuffer* aclmdlGetDatasetBuffer(const aclmdlDataset* dataset, size_t index) {
  return value_or<aclDataBuffer*>(__func__, nullptr, [&] {
    const auto set = checked<Dataset>(dataset, "dataset");
    require(index < set->buffers.size(), "index: expected one of the dataset's buffers");
    return handle_of(set->buffers[index].get());
  });
}

aclError aclmdlSetDatasetTensorDesc(aclmdlDataset* dataset, aclTensorDesc* /*tensorDesc*/,
                                    size_t /*index*/) {
  return answer(__func__, [&] {
    checked<Dataset>(dataset, "dataset");
    refuse(ACL_ERROR_API_NOT_SUPPORT,
           "shapes are set by gears here; models with a range of shapes are not supported");
  });
}

aclTensorDesc* aclmdlGetDatasetTensorDesc(const aclmdlDataset* dataset, size_t /*index*/) {
  return value_or<aclTensorDesc*>(__func__, nullptr, [&]() -> aclTensorDesc* {
    checked<Dataset>(dataset, "dataset");
    refuse(ACL_ERROR_API_NOT_SUPPORT, "a dataset has no tensor descriptions here");
  });
}

// The published call sequence, as a program for the real header makes it: C11, acl/acl.h, libascendcl.so. Every
// return value is checked, and so is every answer of y = 2 x + 1.
#include "acl/acl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition)                                                                       \
  do {                                                                                          \
    if (!(condition)) {                                                                         \
      fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, aclGetRecentErrMsg()); \
      exit(1);                                                                                  \
    }                                                                                           \
  } while (0)

enum { ROW = 3, LARGEST = 8 };

static aclmdlDataset* dataset_of(void** memory, const size_t* sizes, size_t count) {
  aclmdlDataset* dataset = aclmdlCreateDataset();
  EXPECT(dataset != NULL);
  for (size_t i = 0; i < count; ++i) {
    EXPECT(aclrtMalloc(&memory[i], sizes[i], ACL_MEM_MALLOC_HUGE_FIRST) == ACL_SUCCESS);
    aclDataBuffer* buffer = aclCreateDataBuffer(memory[i], sizes[i]);
    EXPECT(buffer != NULL);
    EXPECT(aclmdlAddDatasetBuffer(dataset, buffer) == ACL_SUCCESS);
  }
  EXPECT(aclmdlGetDatasetNumBuffers(dataset) == count);
  return dataset;
}

static void destroy(aclmdlDataset* dataset) {
  for (size_t i = 0; i < aclmdlGetDatasetNumBuffers(dataset); ++i) {
    aclDataBuffer* buffer = aclmdlGetDatasetBuffer(dataset, i);
    EXPECT(aclrtFree(aclGetDataBufferAddr(buffer)) == ACL_SUCCESS);
    EXPECT(aclDestroyDataBuffer(buffer) == ACL_SUCCESS);
  }
  EXPECT(aclmdlDestroyDataset(dataset) == ACL_SUCCESS);
}

static void describe(uint32_t model, aclmdlDesc* desc, size_t* shape_input) {
  EXPECT(aclmdlGetDesc(desc, model) == ACL_SUCCESS);
  EXPECT(aclmdlGetNumInputs(desc) == 2);
  EXPECT(aclmdlGetNumOutputs(desc) == 1);
  EXPECT(aclmdlGetInputIndexByName(desc, ACL_DYNAMIC_TENSOR_NAME, shape_input) == ACL_SUCCESS);
  EXPECT(*shape_input == 1);
  EXPECT(aclmdlGetInputDataType(desc, 1) == ACL_INT32);
  EXPECT(aclmdlGetInputFormat(desc, 1) == ACL_FORMAT_ND);
  EXPECT(aclmdlGetInputSizeByIndex(desc, 1) == 4);
  EXPECT(aclmdlGetInputSizeByIndex(desc, 0) == LARGEST * ROW * sizeof(float));
  aclmdlIODims dims;
  EXPECT(aclmdlGetInputDims(desc, 0, &dims) == ACL_SUCCESS);
  EXPECT(dims.dimCount == 2 && dims.dims[0] == -1 && dims.dims[1] == ROW);
  EXPECT(strcmp(dims.name, "x") == 0);
  EXPECT(aclmdlGetOutputDims(desc, 0, &dims) == ACL_SUCCESS);
  EXPECT(dims.dims[0] == LARGEST);
  aclmdlBatch batch;
  EXPECT(aclmdlGetDynamicBatch(desc, &batch) == ACL_SUCCESS);
  EXPECT(batch.batchCount == 4);
  EXPECT(batch.batch[0] == 4 && batch.batch[1] == 1 && batch.batch[2] == 8 && batch.batch[3] == 2);
}

static void execute(uint32_t model, aclmdlDesc* desc, aclmdlDataset* input, aclmdlDataset* output,
                    size_t shape_input, size_t rows) {
  float x[LARGEST * ROW];
  float y[LARGEST * ROW];
  for (size_t i = 0; i < rows * ROW; ++i) x[i] = (float)i;
  void* in = aclGetDataBufferAddr(aclmdlGetDatasetBuffer(input, 0));
  const void* out = aclGetDataBufferAddr(aclmdlGetDatasetBuffer(output, 0));
  const size_t bytes = rows * ROW * sizeof(float);
  EXPECT(aclrtMemcpy(in, sizeof x, x, bytes, ACL_MEMCPY_HOST_TO_DEVICE) == ACL_SUCCESS);
  EXPECT(aclmdlSetDynamicBatchSize(model, input, shape_input, rows) == ACL_SUCCESS);
  EXPECT(aclmdlExecute(model, input, output) == ACL_SUCCESS);
  aclmdlIODims dims;
  EXPECT(aclmdlGetCurOutputDims(desc, 0, &dims) == ACL_SUCCESS);
  EXPECT(dims.dimCount == 2 && dims.dims[0] == (int64_t)rows);
  EXPECT(aclrtMemcpy(y, sizeof y, out, bytes, ACL_MEMCPY_DEVICE_TO_HOST) == ACL_SUCCESS);
  for (size_t i = 0; i < rows * ROW; ++i) EXPECT(y[i] == 2 * x[i] + 1);
}

int main(int argc, char** argv) {
  EXPECT(argc == 2);
  EXPECT(aclInit(NULL) == ACL_SUCCESS);
  EXPECT(aclrtSetDevice(0) == ACL_SUCCESS);
  aclrtContext context = NULL;
  EXPECT(aclrtGetCurrentContext(&context) == ACL_SUCCESS);
  EXPECT(aclrtSetCurrentContext(context) == ACL_SUCCESS);
  aclrtRunMode mode;
  EXPECT(aclrtGetRunMode(&mode) == ACL_SUCCESS && mode == ACL_HOST);
  size_t work = 0;
  size_t weight = 0;
  EXPECT(aclmdlQuerySize(argv[1], &work, &weight) == ACL_SUCCESS);
  EXPECT(work == 2 * LARGEST * ROW * sizeof(float) && weight > 0);
  uint32_t model = 0;
  EXPECT(aclmdlLoadFromFile(argv[1], &model) == ACL_SUCCESS && model >= 1);
  aclmdlDesc* desc = aclmdlCreateDesc();
  size_t shape_input = 0;
  describe(model, desc, &shape_input);

  void* memory[3];
  const size_t in_sizes[] = {aclmdlGetInputSizeByIndex(desc, 0),
                             aclmdlGetInputSizeByIndex(desc, 1)};
  const size_t out_sizes[] = {aclmdlGetOutputSizeByIndex(desc, 0)};
  aclmdlDataset* input = dataset_of(memory, in_sizes, 2);
  aclmdlDataset* output = dataset_of(memory + 2, out_sizes, 1);
  const size_t gears[] = {1, 8, 2, 4};
  for (size_t i = 0; i < 4; ++i) execute(model, desc, input, output, shape_input, gears[i]);
  EXPECT(aclmdlSetDynamicBatchSize(model, input, shape_input, 3) ==
         ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID);

  destroy(input);
  destroy(output);
  EXPECT(aclmdlDestroyDesc(desc) == ACL_SUCCESS);
  EXPECT(aclmdlUnload(model) == ACL_SUCCESS);
  EXPECT(aclrtResetDevice(0) == ACL_SUCCESS);
  EXPECT(aclFinalize() == ACL_SUCCESS);
  EXPECT(dynbatchAclLiveHandles() == 0);
  return 0;
}

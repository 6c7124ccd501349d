// Batch sizes: `dynamic_batch MODEL.om`, a model of
//
//   dynbatch compile model.onnx --input_shape="x:-1,..." --dynamic_batch_size="1,2,4,8" --output=model
//
// executes every gear of it, in the calls of a program for Ascend. There, the header is acl/acl.h.
#include <dynbatch/acl.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Every call says whether it went well; a program that looks says why it did not.
#define CHECK(call)                                           \
  do {                                                        \
    const aclError code = (call);                             \
    if (code != ACL_SUCCESS) {                                \
      fprintf(stderr, "%d %s\n", code, aclGetRecentErrMsg()); \
      exit(1);                                                \
    }                                                         \
  } while (0)

// Memory for each input or output, as large as the largest gear needs.
static aclmdlDataset* make_dataset(aclmdlDesc* desc, int inputs) {
  aclmdlDataset* dataset = aclmdlCreateDataset();
  const size_t count = inputs ? aclmdlGetNumInputs(desc) : aclmdlGetNumOutputs(desc);
  for (size_t i = 0; i < count; ++i) {
    const size_t size =
        inputs ? aclmdlGetInputSizeByIndex(desc, i) : aclmdlGetOutputSizeByIndex(desc, i);
    void* memory = NULL;
    CHECK(aclrtMalloc(&memory, size, ACL_MEM_MALLOC_HUGE_FIRST));
    CHECK(aclrtMemset(memory, size, 0, size));
    CHECK(aclmdlAddDatasetBuffer(dataset, aclCreateDataBuffer(memory, size)));
  }
  return dataset;
}

static void destroy_dataset(aclmdlDataset* dataset) {
  for (size_t i = 0; i < aclmdlGetDatasetNumBuffers(dataset); ++i) {
    aclDataBuffer* buffer = aclmdlGetDatasetBuffer(dataset, i);
    CHECK(aclrtFree(aclGetDataBufferAddr(buffer)));
    CHECK(aclDestroyDataBuffer(buffer));
  }
  CHECK(aclmdlDestroyDataset(dataset));
}

// Copies the rows of a gear out, and prints their shape and their first value.
static void print_output(aclmdlDesc* desc, aclmdlDataset* output) {
  aclmdlIODims dims;
  CHECK(aclmdlGetCurOutputDims(desc, 0, &dims));
  size_t size = aclDataTypeSize(aclmdlGetOutputDataType(desc, 0));
  for (size_t i = 0; i < dims.dimCount; ++i) size *= (size_t)dims.dims[i];
  void* answers = NULL;
  CHECK(aclrtMallocHost(&answers, size));
  const void* from = aclGetDataBufferAddr(aclmdlGetDatasetBuffer(output, 0));
  CHECK(aclrtMemcpy(answers, size, from, size, ACL_MEMCPY_DEVICE_TO_HOST));
  for (size_t i = 0; i < dims.dimCount; ++i) printf(" %" PRId64, dims.dims[i]);
  float first;
  memcpy(&first, answers, sizeof first);
  printf(", first value %g\n", first);
  CHECK(aclrtFreeHost(answers));
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s MODEL.om\n", argv[0]);
    return 2;
  }
  CHECK(aclInit(NULL));
  CHECK(aclrtSetDevice(0));
  uint32_t model = 0;
  CHECK(aclmdlLoadFromFile(argv[1], &model));
  aclmdlDesc* desc = aclmdlCreateDesc();
  CHECK(aclmdlGetDesc(desc, model));
  aclmdlDataset* input = make_dataset(desc, 1);
  aclmdlDataset* output = make_dataset(desc, 0);

  size_t shape_input = 0;
  CHECK(aclmdlGetInputIndexByName(desc, ACL_DYNAMIC_TENSOR_NAME, &shape_input));
  aclmdlBatch gears;
  CHECK(aclmdlGetDynamicBatch(desc, &gears));
  for (size_t i = 0; i < gears.batchCount; ++i) {
    CHECK(aclmdlSetDynamicBatchSize(model, input, shape_input, gears.batch[i]));
    CHECK(aclmdlExecute(model, input, output));
    printf("gear %" PRIu64 ": output", gears.batch[i]);
    print_output(desc, output);
  }

  destroy_dataset(input);
  destroy_dataset(output);
  CHECK(aclmdlDestroyDesc(desc));
  CHECK(aclmdlUnload(model));
  CHECK(aclrtResetDevice(0));
  CHECK(aclFinalize());
  return 0;
}

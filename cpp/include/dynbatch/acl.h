// The AscendCL-shaped API: the calls with which a program for Ascend loads a model, sets its gear and executes
// it, on ONNX Runtime. In a library of its own, libdynbatch_acl; docs/ascendcl.md is its manual.
//
// C11 and C++. Every function that returns aclError returns 0 or one of the codes below; what went wrong in
// words is told by aclGetRecentErrMsg() on the same thread. A null, unknown or destroyed handle is answered
// with ACL_ERROR_INVALID_PARAM, or with the 0, null or "" that the function returns where it cannot answer; one
// that is destroyed until its address is given to another.
//
// Threads: any number may use one model id at a time, each with datasets of its own. A dataset, its buffers and
// a description serve one thread at a time. Sizes are bytes. Device memory is host memory. Nothing here is of
// use in a forked child.
//
// Names and values are those of the published API, so that programs compile unchanged; what is named
// dynbatchAcl... is ours.
#pragma once

#include <stddef.h>
#include <stdint.h>

// NOLINTBEGIN(readability-identifier-naming, modernize-*): names that must be as they are

#define DYNBATCH_ACL_EXPORT __attribute__((visibility("default")))

#define ACL_DYNAMIC_TENSOR_NAME "ascend_mbatch_shape_data"
#define ACL_DYNAMIC_AIPP_NAME "ascend_dynamic_aipp_data"
#define ACL_MAX_DIM_CNT 128
#define ACL_MAX_TENSOR_NAME_LEN 128
#define ACL_MAX_BATCH_NUM 128
#define ACL_MAX_HW_NUM 128

// Those of the published API. "never": nothing here returns it.
#define ACL_SUCCESS 0
#define ACL_ERROR_NONE 0
#define ACL_ERROR_INVALID_PARAM 100000  // null, an unknown or destroyed handle, an index, a name, 0
#define ACL_ERROR_UNINITIALIZE 100001   // aclFinalize() without aclInit()
#define ACL_ERROR_REPEAT_INITIALIZE 100002
#define ACL_ERROR_INVALID_FILE 100003            // the configuration of aclInit()
#define ACL_ERROR_INVALID_MODEL_ID 100011        // never: it is 145003
#define ACL_ERROR_MODEL_INPUT_NOT_MATCH 100017   // never: buffers that do not fit are 145000
#define ACL_ERROR_MODEL_OUTPUT_NOT_MATCH 100018  // never: likewise
#define ACL_ERROR_MODEL_NOT_DYNAMIC 100019       // never: it is 145013
#define ACL_ERROR_REPEAT_FINALIZE 100037         // aclFinalize() twice
#define ACL_ERROR_RT_PARAM_INVALID 107000        // no such device; a copy beyond its room
#define ACL_ERROR_RT_CONTEXT_NULL 107002         // aclrtSetDevice() was not called on this thread
// The number or size of buffers.
#define ACL_ERROR_GE_PARAM_INVALID 145000
#define ACL_ERROR_GE_EXEC_NOT_INIT 145001            // aclInit() was not called
#define ACL_ERROR_GE_EXEC_MODEL_PATH_INVALID 145002  // no file that can be read
#define ACL_ERROR_GE_EXEC_MODEL_ID_INVALID 145003    // unknown, or unloaded
// Damaged, cut off, or nothing that runs here, such as free dimensions without gears.
#define ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID 145006
#define ACL_ERROR_GE_EXEC_MODEL_ADDR_INVALID 145007  // never: null is 100000
// The shape input has no memory; or too little, or other dims than the model's were given.
#define ACL_ERROR_GE_DYNAMIC_INPUT_ADDR_INVALID 145011
#define ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID 145012
// Not a gear of the model, of whatever kind.
#define ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID 145013
#define ACL_ERROR_GE_AIPP_BATCH_EMPTY 145014   // never: no model here has AIPP
#define ACL_ERROR_GE_AIPP_NOT_EXIST 145015     // so that this is told
#define ACL_ERROR_GE_AIPP_MODE_INVALID 145016  // never: likewise
#define ACL_ERROR_GE_FORMAT_INVALID 145020     // never: callers give no formats,
#define ACL_ERROR_GE_SHAPE_INVALID 145021      // never: shapes,
#define ACL_ERROR_GE_DATATYPE_INVALID 145022   // never: or types, but bytes
#define ACL_ERROR_BAD_ALLOC 200000             // no memory, or no thread, for the library itself
#define ACL_ERROR_API_NOT_SUPPORT 200001       // tensor descriptions of datasets
#define ACL_ERROR_RT_MEMORY_ALLOCATION 207001  // aclrtMalloc() found none
#define ACL_ERROR_GE_MEMORY_ALLOCATION 245000  // never: it is 200000
#define ACL_ERROR_GE_DEVICE_MEMORY_ALLOCATION 245002  // never: it is 207001
#define ACL_ERROR_STORAGE_OVER_LIMIT 300000           // more than the arrays below hold
#define ACL_ERROR_INTERNAL_ERROR 500000               // a fault of dynbatch
#define ACL_ERROR_FAILURE 500001                      // never
#define ACL_ERROR_GE_FAILURE 500002                   // ONNX Runtime failed in a run
// Never: 545000 to 545009, the faults inside the published implementation.

#ifdef __cplusplus
extern "C" {
#endif

typedef int aclError;
typedef void* aclrtContext;
typedef void* aclrtStream;
typedef struct aclDataBuffer aclDataBuffer;
typedef struct aclTensorDesc aclTensorDesc;
typedef struct aclmdlDataset aclmdlDataset;
typedef struct aclmdlDesc aclmdlDesc;
typedef struct aclmdlAIPP aclmdlAIPP;

typedef struct aclmdlIODims {
  char name[ACL_MAX_TENSOR_NAME_LEN];
  size_t dimCount;  // 0: a scalar
  int64_t dims[ACL_MAX_DIM_CNT];
} aclmdlIODims;

typedef struct aclmdlBatch {
  size_t batchCount;
  uint64_t batch[ACL_MAX_BATCH_NUM];
} aclmdlBatch;

typedef struct aclmdlHW {
  size_t hwCount;
  uint64_t hw[ACL_MAX_HW_NUM][2];  // height, width
} aclmdlHW;

typedef enum aclDataType {
  ACL_DT_UNDEFINED = -1,
  ACL_FLOAT = 0,
  ACL_FLOAT16 = 1,
  ACL_INT8 = 2,
  ACL_INT32 = 3,
  ACL_UINT8 = 4,
  ACL_INT16 = 6,
  ACL_UINT16 = 7,
  ACL_UINT32 = 8,
  ACL_INT64 = 9,
  ACL_UINT64 = 10,
  ACL_DOUBLE = 11,
  ACL_BOOL = 12,
  ACL_STRING = 13,
  ACL_COMPLEX64 = 16,
  ACL_COMPLEX128 = 17,
  ACL_BF16 = 27,
} aclDataType;

typedef enum aclFormat {
  ACL_FORMAT_UNDEFINED = -1,
  ACL_FORMAT_NCHW = 0,
  ACL_FORMAT_NHWC = 1,
  ACL_FORMAT_ND = 2,
  ACL_FORMAT_NC1HWC0 = 3,
  ACL_FORMAT_NDHWC = 27,
  ACL_FORMAT_NCDHW = 30,
} aclFormat;

typedef enum aclrtMemcpyKind {
  ACL_MEMCPY_HOST_TO_HOST = 0,
  ACL_MEMCPY_HOST_TO_DEVICE = 1,
  ACL_MEMCPY_DEVICE_TO_HOST = 2,
  ACL_MEMCPY_DEVICE_TO_DEVICE = 3,
  ACL_MEMCPY_DEFAULT = 4,
} aclrtMemcpyKind;

typedef enum aclrtMemMallocPolicy {
  ACL_MEM_MALLOC_HUGE_FIRST = 0,
  ACL_MEM_MALLOC_HUGE_ONLY = 1,
  ACL_MEM_MALLOC_NORMAL_ONLY = 2,
  ACL_MEM_MALLOC_HUGE_FIRST_P2P = 3,
  ACL_MEM_MALLOC_HUGE_ONLY_P2P = 4,
  ACL_MEM_MALLOC_NORMAL_ONLY_P2P = 5,
  ACL_MEM_TYPE_LOW_BAND_WIDTH = 0x0100,
  ACL_MEM_TYPE_HIGH_BAND_WIDTH = 0x1000,
} aclrtMemMallocPolicy;

typedef enum aclrtRunMode { ACL_DEVICE = 0, ACL_HOST = 1 } aclrtRunMode;

// --- runtime -------------------------------------------------------------------------------------------

/// `configPath`: null, "" or a JSON file, of which nothing is used. A process may begin anew after aclFinalize().
DYNBATCH_ACL_EXPORT aclError aclInit(const char* configPath);
/// Waits for what streams have queued, and unloads what is still loaded.
DYNBATCH_ACL_EXPORT aclError aclFinalize(void);
/// Why the last call that failed on this thread did; "" if none has. Never null. Valid until the next one fails.
DYNBATCH_ACL_EXPORT const char* aclGetRecentErrMsg(void);

/// There is one device, 0. Makes its default context, of which there is one for all threads, the calling thread's.
DYNBATCH_ACL_EXPORT aclError aclrtSetDevice(int32_t deviceId);
/// Undoes one call of aclrtSetDevice(), on whatever thread. The default context goes with the last.
DYNBATCH_ACL_EXPORT aclError aclrtResetDevice(int32_t deviceId);
DYNBATCH_ACL_EXPORT aclError aclrtGetDeviceCount(uint32_t* count);
/// ACL_HOST, or what DYNBATCH_ACL_RUN_MODE says, "host" or "device". Needs no aclInit().
DYNBATCH_ACL_EXPORT aclError aclrtGetRunMode(aclrtRunMode* runMode);
/// The new context is the calling thread's.
DYNBATCH_ACL_EXPORT aclError aclrtCreateContext(aclrtContext* context, int32_t deviceId);
DYNBATCH_ACL_EXPORT aclError aclrtDestroyContext(aclrtContext context);
DYNBATCH_ACL_EXPORT aclError aclrtSetCurrentContext(aclrtContext context);
DYNBATCH_ACL_EXPORT aclError aclrtGetCurrentContext(aclrtContext* context);

/// A stream is a thread that does what is queued to it, in order.
DYNBATCH_ACL_EXPORT aclError aclrtCreateStream(aclrtStream* stream);
/// Waits until all that is queued is done.
DYNBATCH_ACL_EXPORT aclError aclrtDestroyStream(aclrtStream stream);
/// Waits likewise, and returns the first failure since the last call.
DYNBATCH_ACL_EXPORT aclError aclrtSynchronizeStream(aclrtStream stream);
/// The same for all streams.
DYNBATCH_ACL_EXPORT aclError aclrtSynchronizeDevice(void);

// --- memory --------------------------------------------------------------------------------------------

/// Aligned to 64 bytes, not cleared. `policy` is not used.
DYNBATCH_ACL_EXPORT aclError aclrtMalloc(void** devPtr, size_t size, aclrtMemMallocPolicy policy);
DYNBATCH_ACL_EXPORT aclError aclrtFree(void* devPtr);
DYNBATCH_ACL_EXPORT aclError aclrtMallocHost(void** hostPtr, size_t size);
DYNBATCH_ACL_EXPORT aclError aclrtFreeHost(void* hostPtr);
/// `kind` is not used.
DYNBATCH_ACL_EXPORT aclError aclrtMemcpy(void* dst, size_t destMax, const void* src, size_t count,
                                         aclrtMemcpyKind kind);
DYNBATCH_ACL_EXPORT aclError aclrtMemcpyAsync(void* dst, size_t destMax, const void* src,
                                              size_t count, aclrtMemcpyKind kind,
                                              aclrtStream stream);
DYNBATCH_ACL_EXPORT aclError aclrtMemset(void* devPtr, size_t maxCount, int32_t value,
                                         size_t count);

// --- data buffers and datasets -------------------------------------------------------------------------

/// Names memory of the caller's; never frees it. As an output (null, 0) asks aclmdlExecute() for memory.
DYNBATCH_ACL_EXPORT aclDataBuffer* aclCreateDataBuffer(void* data, size_t size);
DYNBATCH_ACL_EXPORT aclError aclDestroyDataBuffer(const aclDataBuffer* dataBuffer);
DYNBATCH_ACL_EXPORT aclError aclUpdateDataBuffer(aclDataBuffer* dataBuffer, void* data,
                                                 size_t size);
DYNBATCH_ACL_EXPORT void* aclGetDataBufferAddr(const aclDataBuffer* dataBuffer);
/// At most UINT32_MAX.
DYNBATCH_ACL_EXPORT uint32_t aclGetDataBufferSize(const aclDataBuffer* dataBuffer);
DYNBATCH_ACL_EXPORT size_t aclGetDataBufferSizeV2(const aclDataBuffer* dataBuffer);
DYNBATCH_ACL_EXPORT size_t aclDataTypeSize(aclDataType dataType);

DYNBATCH_ACL_EXPORT aclmdlDataset* aclmdlCreateDataset(void);
/// Leaves its buffers alone.
DYNBATCH_ACL_EXPORT aclError aclmdlDestroyDataset(const aclmdlDataset* dataset);
DYNBATCH_ACL_EXPORT aclError aclmdlAddDatasetBuffer(aclmdlDataset* dataset,
                                                    aclDataBuffer* dataBuffer);
DYNBATCH_ACL_EXPORT size_t aclmdlGetDatasetNumBuffers(const aclmdlDataset* dataset);
DYNBATCH_ACL_EXPORT aclDataBuffer* aclmdlGetDatasetBuffer(const aclmdlDataset* dataset,
                                                          size_t index);
/// Of models with a range of shapes, which are not supported: ACL_ERROR_API_NOT_SUPPORT and null.
DYNBATCH_ACL_EXPORT aclError aclmdlSetDatasetTensorDesc(aclmdlDataset* dataset,
                                                        aclTensorDesc* tensorDesc, size_t index);
DYNBATCH_ACL_EXPORT aclTensorDesc* aclmdlGetDatasetTensorDesc(const aclmdlDataset* dataset,
                                                              size_t index);

// --- loading -------------------------------------------------------------------------------------------

/// Work: the inputs and outputs of the largest gear (ONNX Runtime's own activations are not known beforehand).
/// Weight: the model's bytes, with those of its data files. Loads the model for it.
DYNBATCH_ACL_EXPORT aclError aclmdlQuerySize(const char* fileName, size_t* workSize,
                                             size_t* weightSize);
DYNBATCH_ACL_EXPORT aclError aclmdlQuerySizeFromMem(const void* model, size_t modelSize,
                                                    size_t* workSize, size_t* weightSize);
/// A model of `dynbatch compile`, or any ONNX model without free dimensions. Ids begin at 1.
DYNBATCH_ACL_EXPORT aclError aclmdlLoadFromFile(const char* modelPath, uint32_t* modelId);
/// `model` is not used after the call.
DYNBATCH_ACL_EXPORT aclError aclmdlLoadFromMem(const void* model, size_t modelSize,
                                               uint32_t* modelId);
/// The given memory is held against what aclmdlQuerySize() tells, and not used: ONNX Runtime brings its own.
DYNBATCH_ACL_EXPORT aclError aclmdlLoadFromFileWithMem(const char* modelPath, uint32_t* modelId,
                                                       void* workPtr, size_t workSize,
                                                       void* weightPtr, size_t weightSize);
DYNBATCH_ACL_EXPORT aclError aclmdlLoadFromMemWithMem(const void* model, size_t modelSize,
                                                      uint32_t* modelId, void* workPtr,
                                                      size_t workSize, void* weightPtr,
                                                      size_t weightSize);
/// Executions that are under way end well.
DYNBATCH_ACL_EXPORT aclError aclmdlUnload(uint32_t modelId);

// --- describing ----------------------------------------------------------------------------------------
// A model with gears has one more input, the last: ACL_DYNAMIC_TENSOR_NAME, INT32, [k].

DYNBATCH_ACL_EXPORT aclmdlDesc* aclmdlCreateDesc(void);
DYNBATCH_ACL_EXPORT aclError aclmdlDestroyDesc(aclmdlDesc* modelDesc);
DYNBATCH_ACL_EXPORT aclError aclmdlGetDesc(aclmdlDesc* modelDesc, uint32_t modelId);
DYNBATCH_ACL_EXPORT size_t aclmdlGetNumInputs(aclmdlDesc* modelDesc);
DYNBATCH_ACL_EXPORT size_t aclmdlGetNumOutputs(aclmdlDesc* modelDesc);
/// Enough for every gear.
DYNBATCH_ACL_EXPORT size_t aclmdlGetInputSizeByIndex(aclmdlDesc* modelDesc, size_t index);
DYNBATCH_ACL_EXPORT size_t aclmdlGetOutputSizeByIndex(aclmdlDesc* modelDesc, size_t index);
/// -1 where the gear says the size. A name of more than 127 characters is replaced by
/// acl_modelId_<id>_input_<index> (or output); aclmdlGetTensorRealName() tells it.
DYNBATCH_ACL_EXPORT aclError aclmdlGetInputDims(const aclmdlDesc* modelDesc, size_t index,
                                                aclmdlIODims* dims);
DYNBATCH_ACL_EXPORT aclError aclmdlGetInputDimsV2(const aclmdlDesc* modelDesc, size_t index,
                                                  aclmdlIODims* dims);
/// Those of the largest gear.
DYNBATCH_ACL_EXPORT aclError aclmdlGetOutputDims(const aclmdlDesc* modelDesc, size_t index,
                                                 aclmdlIODims* dims);
/// Those of the gear that was set last on this model id, through whatever dataset; see
/// dynbatchAclGetDatasetOutputDims().
DYNBATCH_ACL_EXPORT aclError aclmdlGetCurOutputDims(const aclmdlDesc* modelDesc, size_t index,
                                                    aclmdlIODims* dims);
/// Names are valid until the description is filled anew or destroyed.
DYNBATCH_ACL_EXPORT const char* aclmdlGetInputNameByIndex(const aclmdlDesc* modelDesc,
                                                          size_t index);
DYNBATCH_ACL_EXPORT const char* aclmdlGetOutputNameByIndex(const aclmdlDesc* modelDesc,
                                                           size_t index);
DYNBATCH_ACL_EXPORT const char* aclmdlGetTensorRealName(const aclmdlDesc* modelDesc,
                                                        const char* name);
DYNBATCH_ACL_EXPORT aclError aclmdlGetInputIndexByName(const aclmdlDesc* modelDesc,
                                                       const char* name, size_t* index);
DYNBATCH_ACL_EXPORT aclError aclmdlGetOutputIndexByName(const aclmdlDesc* modelDesc,
                                                        const char* name, size_t* index);
/// NCHW for four dimensions, else ND: ONNX does not tell.
DYNBATCH_ACL_EXPORT aclFormat aclmdlGetInputFormat(const aclmdlDesc* modelDesc, size_t index);
DYNBATCH_ACL_EXPORT aclFormat aclmdlGetOutputFormat(const aclmdlDesc* modelDesc, size_t index);
DYNBATCH_ACL_EXPORT aclDataType aclmdlGetInputDataType(const aclmdlDesc* modelDesc, size_t index);
DYNBATCH_ACL_EXPORT aclDataType aclmdlGetOutputDataType(const aclmdlDesc* modelDesc, size_t index);

// --- gears ---------------------------------------------------------------------------------------------

/// In the order of the compile option; a count of 0 if the gears are of another kind. `index` of
/// aclmdlGetDynamicHW() is not used; that of the two calls below it is -1.
DYNBATCH_ACL_EXPORT aclError aclmdlGetDynamicBatch(const aclmdlDesc* modelDesc, aclmdlBatch* batch);
DYNBATCH_ACL_EXPORT aclError aclmdlGetDynamicHW(const aclmdlDesc* modelDesc, size_t index,
                                                aclmdlHW* hw);
DYNBATCH_ACL_EXPORT aclError aclmdlGetInputDynamicGearCount(const aclmdlDesc* modelDesc,
                                                            size_t index, size_t* gearCount);
/// Each gear: all dims of all inputs, in the order of --input_shape. `gearCount`: room, at least the count.
DYNBATCH_ACL_EXPORT aclError aclmdlGetInputDynamicDims(const aclmdlDesc* modelDesc, size_t index,
                                                       aclmdlIODims* dims, size_t gearCount);

/// The gear of this dataset's executions from now on. `index` is that of the shape input, whose buffer gets the
/// values. A call that fails leaves the gear as it was. Without one it is the largest.
DYNBATCH_ACL_EXPORT aclError aclmdlSetDynamicBatchSize(uint32_t modelId, aclmdlDataset* dataset,
                                                       size_t index, uint64_t batchSize);
DYNBATCH_ACL_EXPORT aclError aclmdlSetDynamicHWSize(uint32_t modelId, aclmdlDataset* dataset,
                                                    size_t index, uint64_t height, uint64_t width);
DYNBATCH_ACL_EXPORT aclError aclmdlSetInputDynamicDims(uint32_t modelId, aclmdlDataset* dataset,
                                                       size_t index, const aclmdlIODims* dims);

// --- executing -----------------------------------------------------------------------------------------

/// Buffers of at least the gear's bytes, of which exactly those are read and written; smaller ones are answered
/// with ACL_ERROR_GE_PARAM_INVALID. Outputs must not overlap inputs, nor each other.
DYNBATCH_ACL_EXPORT aclError aclmdlExecute(uint32_t modelId, const aclmdlDataset* input,
                                           aclmdlDataset* output);
/// Checks at once and with the gear of now, runs later. Datasets may be changed after the call, their memory not.
DYNBATCH_ACL_EXPORT aclError aclmdlExecuteAsync(uint32_t modelId, const aclmdlDataset* input,
                                                aclmdlDataset* output, aclrtStream stream);

/// No model has AIPP here: setting it is answered with ACL_ERROR_GE_AIPP_NOT_EXIST.
DYNBATCH_ACL_EXPORT aclmdlAIPP* aclmdlCreateAIPP(uint64_t batchSize);
DYNBATCH_ACL_EXPORT aclError aclmdlDestroyAIPP(const aclmdlAIPP* aippParmsSet);
DYNBATCH_ACL_EXPORT aclError aclmdlSetInputAIPP(uint32_t modelId, aclmdlDataset* dataset,
                                                size_t index, const aclmdlAIPP* aippParmsSet);

// --- beyond the published API --------------------------------------------------------------------------

typedef enum dynbatchAclGearChoice {
  DYNBATCH_ACL_UPPER = 0,    // the smallest gear that holds the rows
  DYNBATCH_ACL_NEAREST = 1,  // the least difference, of two the larger
  DYNBATCH_ACL_LOWER = 2,    // the largest gear that the rows fill
} dynbatchAclGearChoice;

/// The batch gear for so many rows. ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID if there is none.
DYNBATCH_ACL_EXPORT aclError dynbatchAclGearForRows(uint32_t modelId, uint64_t rows,
                                                    dynbatchAclGearChoice choice,
                                                    uint64_t* batchSize);
/// As aclmdlGetCurOutputDims(), of the gear of this dataset, whatever other threads set on the model.
DYNBATCH_ACL_EXPORT aclError dynbatchAclGetDatasetOutputDims(uint32_t modelId,
                                                             const aclmdlDataset* dataset,
                                                             size_t index, aclmdlIODims* dims);
/// For models that are loaded later: ONNX Runtime's shared library (null or "": it is looked for), and the
/// threads of a run (1).
DYNBATCH_ACL_EXPORT aclError dynbatchAclSetRuntimeLibrary(const char* path);
DYNBATCH_ACL_EXPORT aclError dynbatchAclSetThreads(size_t threads);
/// How many models, handles and pieces of memory were made and not given back: 0 in the end.
DYNBATCH_ACL_EXPORT size_t dynbatchAclLiveHandles(void);

#ifdef __cplusplus
}  // extern "C"
#endif

// NOLINTEND(readability-identifier-naming, modernize-*)

// The part of ONNX Runtime's C interface that dynbatch calls, declared in its own words.
//
// The library hands out one table of function pointers, to which newer versions only append: a
// function is known by its slot, so that neither ONNX Runtime's headers nor its linker symbols are
// needed to build. tests/cpp/executor/ort_abi_test.cpp compares every slot and signature here with
// the real header. Functions carry ONNX Runtime's names, under which its documentation lists them.
//
// Every function may be called from any thread. Those that return a Status* give null for success,
// otherwise an object to be released.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dynbatch::ort {

struct Allocator;
struct Env;
struct MemoryInfo;
struct ModelMetadata;
struct RunOptions;
struct Session;
struct SessionOptions;
struct Status;
struct TensorTypeAndShapeInfo;
struct TypeInfo;
struct Value;

// Enumerations list the values that dynbatch uses. Their underlying types are those that the
// compiler gives to ONNX Runtime's C enumerations.
enum class ErrorCode : unsigned { ok = 0, fail = 1 };
enum class LogLevel : unsigned { error = 3, fatal = 4 };
enum class OptimizationLevel : unsigned { none = 0, all = 99 };
enum class AllocatorType : int { device = 0 };
enum class MemoryType : int { standard = 0 };
enum class ValueKind : unsigned {
  tensor = 1,
  sequence = 2,
  map = 3,
  sparse_tensor = 5,
  optional = 6
};
enum class ElementType : unsigned { string = 8 };  // DataType lists the others

using LogFunction = void (*)(void* context, LogLevel level, const char* category, const char* id,
                             const char* location, const char* message);

// X(slot, name, result, parameters). Release functions take null.
#define DYNBATCH_ORT_FUNCTIONS(X)                                                                  \
  X(0, CreateStatus, Status*, (ErrorCode, const char* message) noexcept)                           \
  X(1, GetErrorCode, ErrorCode, (const Status*) noexcept)                                          \
  X(2, GetErrorMessage, const char*, (const Status*) noexcept)                                     \
  X(4, CreateEnvWithCustomLogger, Status*,                                                         \
    (LogFunction, void* context, LogLevel, const char* id, Env** made) noexcept)                   \
  X(7, CreateSession, Status*,                                                                     \
    (const Env*, const char* model_path, const SessionOptions*, Session** made) noexcept)          \
  X(8, CreateSessionFromArray, Status*,                                                            \
    (const Env*, const void* model, std::size_t size, const SessionOptions*,                       \
     Session** made) noexcept)                                                                     \
  X(9, Run, Status*,                                                                               \
    (Session*, const RunOptions*, const char* const* input_names, const Value* const* inputs,      \
     std::size_t input_count, const char* const* output_names, std::size_t output_count,           \
     Value** outputs) noexcept)                                                                    \
  X(10, CreateSessionOptions, Status*, (SessionOptions**) noexcept)                                \
  X(22, SetSessionLogSeverityLevel, Status*, (SessionOptions*, int level) noexcept)                \
  X(23, SetSessionGraphOptimizationLevel, Status*, (SessionOptions*, OptimizationLevel) noexcept)  \
  X(24, SetIntraOpNumThreads, Status*, (SessionOptions*, int threads) noexcept)                    \
  X(25, SetInterOpNumThreads, Status*, (SessionOptions*, int threads) noexcept)                    \
  X(30, SessionGetInputCount, Status*, (const Session*, std::size_t* count) noexcept)              \
  X(31, SessionGetOutputCount, Status*, (const Session*, std::size_t* count) noexcept)             \
  X(33, SessionGetInputTypeInfo, Status*,                                                          \
    (const Session*, std::size_t index, TypeInfo** made) noexcept)                                 \
  X(34, SessionGetOutputTypeInfo, Status*,                                                         \
    (const Session*, std::size_t index, TypeInfo** made) noexcept)                                 \
  X(36, SessionGetInputName, Status*,                                                              \
    (const Session*, std::size_t index, Allocator*, char** made) noexcept)                         \
  X(37, SessionGetOutputName, Status*,                                                             \
    (const Session*, std::size_t index, Allocator*, char** made) noexcept)                         \
  X(39, CreateRunOptions, Status*, (RunOptions**) noexcept)                                        \
  X(46, RunOptionsSetTerminate, Status*, (RunOptions*) noexcept)                                   \
  X(49, CreateTensorWithDataAsOrtValue, Status*,                                                   \
    (const MemoryInfo*, void* data, std::size_t size, const std::int64_t* shape, std::size_t rank, \
     ElementType, Value** made) noexcept)                                                          \
  X(51, GetTensorMutableData, Status*, (Value*, void** data) noexcept)                             \
  X(55, CastTypeInfoToTensorInfo, Status*,                                                         \
    (const TypeInfo*, const TensorTypeAndShapeInfo** part) noexcept)                               \
  X(56, GetOnnxTypeFromTypeInfo, Status*, (const TypeInfo*, ValueKind*) noexcept)                  \
  X(60, GetTensorElementType, Status*, (const TensorTypeAndShapeInfo*, ElementType*) noexcept)     \
  X(61, GetDimensionsCount, Status*, (const TensorTypeAndShapeInfo*, std::size_t* rank) noexcept)  \
  X(62, GetDimensions, Status*,                                                                    \
    (const TensorTypeAndShapeInfo*, std::int64_t* dims, std::size_t rank) noexcept)                \
  X(63, GetSymbolicDimensions, Status*,                                                            \
    (const TensorTypeAndShapeInfo*, const char** names, std::size_t rank) noexcept)                \
  X(65, GetTensorTypeAndShape, Status*, (const Value*, TensorTypeAndShapeInfo** made) noexcept)    \
  X(69, CreateCpuMemoryInfo, Status*, (AllocatorType, MemoryType, MemoryInfo**) noexcept)          \
  X(76, AllocatorFree, Status*, (Allocator*, void* memory) noexcept)                               \
  X(78, GetAllocatorWithDefaultOptions, Status*, (Allocator**) noexcept)                           \
  X(93, ReleaseStatus, void, (Status*))                                                            \
  X(95, ReleaseSession, void, (Session*))                                                          \
  X(96, ReleaseValue, void, (Value*))                                                              \
  X(97, ReleaseRunOptions, void, (RunOptions*))                                                    \
  X(98, ReleaseTypeInfo, void, (TypeInfo*))                                                        \
  X(99, ReleaseTensorTypeAndShapeInfo, void, (TensorTypeAndShapeInfo*))                            \
  X(100, ReleaseSessionOptions, void, (SessionOptions*))                                           \
  X(111, SessionGetModelMetadata, Status*, (const Session*, ModelMetadata** made) noexcept)        \
  X(112, ModelMetadataGetProducerName, Status*,                                                    \
    (const ModelMetadata*, Allocator*, char** made) noexcept)                                      \
  X(113, ModelMetadataGetGraphName, Status*,                                                       \
    (const ModelMetadata*, Allocator*, char** made) noexcept)                                      \
  X(114, ModelMetadataGetDomain, Status*,                                                          \
    (const ModelMetadata*, Allocator*, char** made) noexcept)                                      \
  X(115, ModelMetadataGetDescription, Status*,                                                     \
    (const ModelMetadata*, Allocator*, char** made) noexcept)                                      \
  X(116, ModelMetadataLookupCustomMetadataMap, Status*,                                            \
    (const ModelMetadata*, Allocator*, const char* key, char** made) noexcept)                     \
  X(117, ModelMetadataGetVersion, Status*, (const ModelMetadata*, std::int64_t* version) noexcept) \
  X(118, ReleaseModelMetadata, void, (ModelMetadata*))                                             \
  X(123, ModelMetadataGetCustomMetadataMapKeys, Status*,                                           \
    (const ModelMetadata*, Allocator*, char*** made, std::int64_t* count) noexcept)                \
  X(124, AddFreeDimensionOverrideByName, Status*,                                                  \
    (SessionOptions*, const char* name, std::int64_t value) noexcept)                              \
  X(130, AddSessionConfigEntry, Status*,                                                           \
    (SessionOptions*, const char* key, const char* value) noexcept)                                \
  X(158, ModelMetadataGetGraphDescription, Status*,                                                \
    (const ModelMetadata*, Allocator*, char** made) noexcept)                                      \
  X(165, AddRunConfigEntry, Status*, (RunOptions*, const char* key, const char* value) noexcept)

/// The functions above, taken out of the library's table.
struct Api {
#define DYNBATCH_ORT_MEMBER(slot, name, result, parameters) result(*name) parameters = nullptr;
  DYNBATCH_ORT_FUNCTIONS(DYNBATCH_ORT_MEMBER)
#undef DYNBATCH_ORT_MEMBER
};

/// The library's table, of which nothing but the slots is known.
struct ApiTable;

/// What OrtGetApiBase, the library's one entry point, returns.
struct ApiBase {
  const ApiTable* (*GetApi)(std::uint32_t version) noexcept;  // null for a version it does not have
  const char* (*GetVersionString)() noexcept;
};
using GetApiBase = const ApiBase* (*)() noexcept;

inline Api read_table(const ApiTable* table) noexcept {
  using Slot = void (*)();
  const Slot* slots = reinterpret_cast<const Slot*>(table);
  Api api;
#define DYNBATCH_ORT_READ(slot, name, result, parameters) \
  api.name = reinterpret_cast<decltype(api.name)>(slots[slot]);
  DYNBATCH_ORT_FUNCTIONS(DYNBATCH_ORT_READ)
#undef DYNBATCH_ORT_READ
  return api;
}

}  // namespace dynbatch::ort

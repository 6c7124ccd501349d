// Compares what ort_abi.hpp declares with ONNX Runtime's own C header: every slot that is used,
// every signature, every number. The header names types of its own, which Real<> maps ours to.
#include "executor/ort_abi.hpp"

#include <gtest/gtest.h>

#include <dynbatch/tensor.hpp>

#ifdef DYNBATCH_HAVE_ORT_HEADER
#include <onnxruntime_c_api.h>

#include <cstddef>
#include <string>
#include <type_traits>

// Attributes such as warn_unused_result are no part of a function's type.
#pragma GCC diagnostic ignored "-Wignored-attributes"

namespace dynbatch::ort {
namespace {

template <class Type>
struct Real {
  using type = Type;
};
template <class Type>
using RealType = typename Real<Type>::type;

template <class Type>
struct Real<const Type> {
  using type = const RealType<Type>;
};
template <class Type>
struct Real<Type*> {
  using type = RealType<Type>*;
};
template <class Result, class... Parameters>
struct Real<Result(Parameters...)> {
  using type = RealType<Result>(RealType<Parameters>...);
};
template <class Result, class... Parameters>
struct Real<Result(Parameters...) noexcept> {
  using type = RealType<Result>(RealType<Parameters>...) noexcept;
};

#define DYNBATCH_MAP(ours, theirs) \
  template <>                      \
  struct Real<ours> {              \
    using type = theirs;           \
  };
DYNBATCH_MAP(Allocator, OrtAllocator)
DYNBATCH_MAP(ApiBase, OrtApiBase)
DYNBATCH_MAP(ApiTable, OrtApi)
DYNBATCH_MAP(Env, OrtEnv)
DYNBATCH_MAP(MemoryInfo, OrtMemoryInfo)
DYNBATCH_MAP(ModelMetadata, OrtModelMetadata)
DYNBATCH_MAP(RunOptions, OrtRunOptions)
DYNBATCH_MAP(Session, OrtSession)
DYNBATCH_MAP(SessionOptions, OrtSessionOptions)
DYNBATCH_MAP(Status, OrtStatus)
DYNBATCH_MAP(TensorTypeAndShapeInfo, OrtTensorTypeAndShapeInfo)
DYNBATCH_MAP(TypeInfo, OrtTypeInfo)
DYNBATCH_MAP(Value, OrtValue)
DYNBATCH_MAP(ErrorCode, OrtErrorCode)
DYNBATCH_MAP(LogLevel, OrtLoggingLevel)
DYNBATCH_MAP(OptimizationLevel, GraphOptimizationLevel)
DYNBATCH_MAP(AllocatorType, OrtAllocatorType)
DYNBATCH_MAP(MemoryType, OrtMemType)
DYNBATCH_MAP(ValueKind, ONNXType)
DYNBATCH_MAP(ElementType, ONNXTensorElementDataType)
#undef DYNBATCH_MAP

TEST(OrtAbi, EverySlotIsThatOfTheHeader) {
#define DYNBATCH_COMPARE(slot, name, result, parameters) \
  EXPECT_EQ(offsetof(OrtApi, name), slot * sizeof(void*)) << #name;
  DYNBATCH_ORT_FUNCTIONS(DYNBATCH_COMPARE)
#undef DYNBATCH_COMPARE
}

TEST(OrtAbi, EverySignatureIsThatOfTheHeader) {
#define DYNBATCH_COMPARE(slot, name, result, parameters) \
  EXPECT_TRUE((std::is_same_v<RealType<decltype(Api::name)>, decltype(OrtApi::name)>)) << #name;
  DYNBATCH_ORT_FUNCTIONS(DYNBATCH_COMPARE)
#undef DYNBATCH_COMPARE
}

TEST(OrtAbi, EntryPointIsThatOfTheHeader) {
  EXPECT_TRUE((std::is_same_v<RealType<GetApiBase>, decltype(&OrtGetApiBase)>));
  EXPECT_TRUE((std::is_same_v<RealType<LogFunction>, OrtLoggingFunction>));
  EXPECT_TRUE((std::is_same_v<RealType<decltype(ApiBase::GetApi)>, decltype(OrtApiBase::GetApi)>));
  EXPECT_TRUE((std::is_same_v<RealType<decltype(ApiBase::GetVersionString)>,
                              decltype(OrtApiBase::GetVersionString)>));
  EXPECT_EQ(offsetof(ApiBase, GetApi), offsetof(OrtApiBase, GetApi));
  EXPECT_EQ(offsetof(ApiBase, GetVersionString), offsetof(OrtApiBase, GetVersionString));
}

template <class Ours>
void expect_number(Ours ours, RealType<Ours> theirs, const char* name) {
  EXPECT_TRUE(
      (std::is_same_v<std::underlying_type_t<Ours>, std::underlying_type_t<RealType<Ours>>>))
      << name;
  EXPECT_EQ(static_cast<long>(ours), static_cast<long>(theirs)) << name;
}

TEST(OrtAbi, EveryNumberIsThatOfTheHeader) {
  expect_number(ErrorCode::ok, ORT_OK, "ok");
  expect_number(ErrorCode::fail, ORT_FAIL, "fail");
  expect_number(LogLevel::error, ORT_LOGGING_LEVEL_ERROR, "error");
  expect_number(LogLevel::fatal, ORT_LOGGING_LEVEL_FATAL, "fatal");
  expect_number(OptimizationLevel::none, ORT_DISABLE_ALL, "none");
  expect_number(OptimizationLevel::all, ORT_ENABLE_ALL, "all");
  expect_number(AllocatorType::device, OrtDeviceAllocator, "device");
  expect_number(MemoryType::standard, OrtMemTypeDefault, "standard");
  expect_number(ValueKind::tensor, ONNX_TYPE_TENSOR, "tensor");
  expect_number(ValueKind::sequence, ONNX_TYPE_SEQUENCE, "sequence");
  expect_number(ValueKind::map, ONNX_TYPE_MAP, "map");
  expect_number(ValueKind::sparse_tensor, ONNX_TYPE_SPARSETENSOR, "sparse_tensor");
  expect_number(ValueKind::optional, ONNX_TYPE_OPTIONAL, "optional");
  expect_number(ElementType::string, ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, "string");
}

TEST(OrtAbi, DataTypeHasTheNumbersOfTheHeader) {
  const auto expect_type = [](DataType ours, ONNXTensorElementDataType theirs) {
    EXPECT_EQ(static_cast<unsigned>(ours), static_cast<unsigned>(theirs)) << name_of(ours);
  };
  expect_type(DataType::float32, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
  expect_type(DataType::uint8, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8);
  expect_type(DataType::int8, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8);
  expect_type(DataType::uint16, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16);
  expect_type(DataType::int16, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16);
  expect_type(DataType::int32, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32);
  expect_type(DataType::int64, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64);
  expect_type(DataType::boolean, ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL);
  expect_type(DataType::float16, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16);
  expect_type(DataType::float64, ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE);
  expect_type(DataType::uint32, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32);
  expect_type(DataType::uint64, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64);
  expect_type(DataType::bfloat16, ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16);
}

}  // namespace
}  // namespace dynbatch::ort

#else

TEST(OrtAbi, HeaderIsThere) {
  FAIL() << "onnxruntime_c_api.h was not found: run third_party/fetch_debian.py, or configure with "
            "-DDYNBATCH_ORT_INCLUDE=<its folder>";
}

#endif

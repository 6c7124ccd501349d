#include "executor/ort_model_inspection.hpp"

#include <string>
#include <utility>

#include "executor/ort_handles.hpp"

namespace dynbatch {
namespace {

constexpr const char* kDoing = "cannot inspect the model";

ort::Allocator* default_allocator(const ort::Api& api) {
  ort::Allocator* allocator = nullptr;
  ort::check(api, api.GetAllocatorWithDefaultOptions(&allocator), kDoing);
  return allocator;
}

/// Memory that came from ONNX Runtime's allocator, given back when it goes out of scope.
class Allocated {
 public:
  Allocated(const ort::Api& api, void* memory) : api_(api), memory_(memory) {}
  Allocated(const Allocated&) = delete;
  Allocated& operator=(const Allocated&) = delete;
  ~Allocated() {
    if (memory_ != nullptr)
      ort::take_message(api_, api_.AllocatorFree(default_allocator(api_), memory_));
  }

 private:
  const ort::Api& api_;
  void* memory_;
};

/// The string that `get(allocator, &text)` makes.
template <class Get>
std::string read_string(const ort::Api& api, Get get) {
  char* text = nullptr;
  ort::check(api, get(default_allocator(api), &text), kDoing);
  const Allocated owned(api, text);
  return text == nullptr ? std::string() : std::string(text);
}

std::string kind_name(ort::ValueKind kind) {
  switch (kind) {
    case ort::ValueKind::tensor: return "tensor";
    case ort::ValueKind::sequence: return "sequence";
    case ort::ValueKind::map: return "map";
    case ort::ValueKind::sparse_tensor: return "sparse tensor";
    case ort::ValueKind::optional: return "optional";
  }
  return "opaque type";
}

[[noreturn]] void refuse_type(const std::string& what, const std::string& type) {
  throw Error(ErrorCode::model,
              what + " is a " + type +
                  ", and only tensors of numbers and booleans can be batched: " +
                  "re-export the model with that part left out, and run it before or after");
}

DataType read_element_type(const ort::Api& api, const ort::TensorTypeAndShapeInfo* tensor,
                           const std::string& what) {
  ort::ElementType element{};
  ort::check(api, api.GetTensorElementType(tensor, &element), kDoing);
  if (element == ort::ElementType::string) refuse_type(what, "tensor of strings");
  const auto number = static_cast<unsigned>(element);
  const auto type = static_cast<DataType>(number);
  if (number > 0xff || size_of(type) == 0) {
    refuse_type(what, "tensor of ONNX element type " + std::to_string(number));
  }
  return type;
}

OnnxTensorDeclaration read_declaration(const ort::Api& api, const ort::TypeInfo* type,
                                       std::string name, const char* role) {
  const std::string what = std::string(role) + " '" + name + "'";
  ort::ValueKind kind{};
  ort::check(api, api.GetOnnxTypeFromTypeInfo(type, &kind), kDoing);
  if (kind != ort::ValueKind::tensor) refuse_type(what, kind_name(kind));
  const ort::TensorTypeAndShapeInfo* tensor = nullptr;  // a part of `type`
  ort::check(api, api.CastTypeInfoToTensorInfo(type, &tensor), kDoing);

  OnnxTensorDeclaration declaration;
  declaration.name = std::move(name);
  declaration.dtype = read_element_type(api, tensor, what);
  std::size_t rank = 0;
  ort::check(api, api.GetDimensionsCount(tensor, &rank), kDoing);
  declaration.shape.resize(rank);
  ort::check(api, api.GetDimensions(tensor, declaration.shape.data(), rank), kDoing);
  std::vector<const char*> names(rank, nullptr);
  ort::check(api, api.GetSymbolicDimensions(tensor, names.data(), rank), kDoing);
  for (const char* dimension : names) {
    declaration.dimension_names.emplace_back(dimension == nullptr ? "" : dimension);
  }
  return declaration;
}

/// Reads all inputs, or all outputs, through the three functions that tell about them.
template <class Count, class Type, class Name>
std::vector<OnnxTensorDeclaration> read_all(const ort::Api& api, const ort::Session* session,
                                            const char* role, Count count_of, Type type_of,
                                            Name name_of_index) {
  std::size_t count = 0;
  ort::check(api, count_of(session, &count), kDoing);
  std::vector<OnnxTensorDeclaration> declarations;
  for (std::size_t index = 0; index < count; ++index) {
    const auto type = ort::make_handle<ort::TypeInfo>(
        api, api.ReleaseTypeInfo, kDoing, [&](auto made) { return type_of(session, index, made); });
    std::string name = read_string(api, [&](ort::Allocator* allocator, char** made) {
      return name_of_index(session, index, allocator, made);
    });
    declarations.push_back(read_declaration(api, type.get(), std::move(name), role));
  }
  return declarations;
}

}  // namespace

std::vector<OnnxTensorDeclaration> read_inputs(const ort::Api& api, const ort::Session* session) {
  return read_all(api, session, "input", api.SessionGetInputCount, api.SessionGetInputTypeInfo,
                  api.SessionGetInputName);
}

std::vector<OnnxTensorDeclaration> read_outputs(const ort::Api& api, const ort::Session* session) {
  return read_all(api, session, "output", api.SessionGetOutputCount, api.SessionGetOutputTypeInfo,
                  api.SessionGetOutputName);
}

OnnxModelMetadata read_metadata(const ort::Api& api, const ort::Session* session) {
  const auto owned = ort::make_handle<ort::ModelMetadata>(
      api, api.ReleaseModelMetadata, kDoing,
      [&](auto made) { return api.SessionGetModelMetadata(session, made); });
  const ort::ModelMetadata* source = owned.get();
  const auto text = [&](auto get) {
    return read_string(
        api, [&](ort::Allocator* allocator, char** made) { return get(source, allocator, made); });
  };
  OnnxModelMetadata metadata;
  metadata.producer_name = text(api.ModelMetadataGetProducerName);
  metadata.graph_name = text(api.ModelMetadataGetGraphName);
  metadata.domain = text(api.ModelMetadataGetDomain);
  metadata.description = text(api.ModelMetadataGetDescription);
  metadata.graph_description = text(api.ModelMetadataGetGraphDescription);
  ort::check(api, api.ModelMetadataGetVersion(source, &metadata.version), kDoing);

  char** keys = nullptr;
  std::int64_t count = 0;
  ort::check(
      api, api.ModelMetadataGetCustomMetadataMapKeys(source, default_allocator(api), &keys, &count),
      kDoing);
  const Allocated owned_keys(api, keys);
  for (std::int64_t index = 0; index < count; ++index) {
    const Allocated owned_key(api, keys[index]);
    metadata.custom[keys[index]] = read_string(api, [&](ort::Allocator* allocator, char** made) {
      return api.ModelMetadataLookupCustomMetadataMap(source, allocator, keys[index], made);
    });
  }
  return metadata;
}

}  // namespace dynbatch

#include "executor/ort_model_inspection.hpp"

#include <algorithm>
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

/// What no batch can hold about a type, such as "sequence"; "" for tensors of a DataType.
std::string obstacle_of(const ort::Api& api, const ort::TypeInfo* type) {
  ort::ValueKind kind{};
  ort::check(api, api.GetOnnxTypeFromTypeInfo(type, &kind), kDoing);
  if (kind != ort::ValueKind::tensor) return kind_name(kind);
  const ort::TensorTypeAndShapeInfo* tensor = nullptr;  // a part of `type`
  ort::check(api, api.CastTypeInfoToTensorInfo(type, &tensor), kDoing);
  ort::ElementType element{};
  ort::check(api, api.GetTensorElementType(tensor, &element), kDoing);
  if (element == ort::ElementType::string) return "tensor of strings";
  const auto number = static_cast<unsigned>(element);
  const bool known = number <= 0xff && size_of(static_cast<DataType>(number)) != 0;
  return known ? "" : "tensor of ONNX element type " + std::to_string(number);
}

/// Reads a tensor of a DataType.
OnnxTensorDeclaration read_declaration(const ort::Api& api, const ort::TypeInfo* type,
                                       std::string name) {
  const ort::TensorTypeAndShapeInfo* tensor = nullptr;  // a part of `type`
  ort::check(api, api.CastTypeInfoToTensorInfo(type, &tensor), kDoing);
  OnnxTensorDeclaration declaration;
  declaration.name = std::move(name);
  ort::ElementType element{};
  ort::check(api, api.GetTensorElementType(tensor, &element), kDoing);
  declaration.dtype = static_cast<DataType>(element);
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
/// `refuse(name, obstacle)` throws for what no batch can hold, or returns to leave it out.
template <class Count, class Type, class Name, class Refuse>
std::vector<OnnxTensorDeclaration> read_all(const ort::Api& api, const ort::Session* session,
                                            Count count_of, Type type_of, Name name_of_index,
                                            Refuse refuse) {
  std::size_t count = 0;
  ort::check(api, count_of(session, &count), kDoing);
  std::vector<OnnxTensorDeclaration> declarations;
  for (std::size_t index = 0; index < count; ++index) {
    const auto type = ort::make_handle<ort::TypeInfo>(
        api, api.ReleaseTypeInfo, kDoing, [&](auto made) { return type_of(session, index, made); });
    std::string name = read_string(api, [&](ort::Allocator* allocator, char** made) {
      return name_of_index(session, index, allocator, made);
    });
    const std::string obstacle = obstacle_of(api, type.get());
    if (obstacle.empty()) {
      declarations.push_back(read_declaration(api, type.get(), std::move(name)));
    } else {
      refuse(name, obstacle);
    }
  }
  return declarations;
}

constexpr const char* kOnlyNumbers = ", and only tensors of numbers and booleans can be batched: ";

}  // namespace

std::vector<OnnxTensorDeclaration> read_inputs(const ort::Api& api, const ort::Session* session) {
  const auto refuse = [](const std::string& name, const std::string& obstacle) {
    throw Error(ErrorCode::model, "input '" + name + "' is a " + obstacle + kOnlyNumbers +
                                      "re-export the model without that part, and run it before");
  };
  return read_all(api, session, api.SessionGetInputCount, api.SessionGetInputTypeInfo,
                  api.SessionGetInputName, refuse);
}

std::vector<OnnxTensorDeclaration> read_outputs(const ort::Api& api, const ort::Session* session,
                                                const std::vector<std::string>& wanted) {
  const auto refuse = [&](const std::string& name, const std::string& obstacle) {
    if (!wanted.empty() && std::ranges::count(wanted, name) == 0) return;
    throw Error(ErrorCode::model, "output '" + name + "' is a " + obstacle + kOnlyNumbers +
                                      "name the outputs that you want, without it");
  };
  return read_all(api, session, api.SessionGetOutputCount, api.SessionGetOutputTypeInfo,
                  api.SessionGetOutputName, refuse);
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

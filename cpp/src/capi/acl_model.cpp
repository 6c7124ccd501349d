// Loading and unloading.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <system_error>
#include <utility>

#include <dynbatch/acl.h>
#include <dynbatch/gear_model.hpp>
#include <dynbatch/onnxruntime_executor.hpp>

#include "capi/answer.hpp"
#include "capi/models.hpp"
#include "capi/readiness.hpp"

namespace dynbatch::capi {
namespace {

struct Models {
  std::shared_mutex mutex;
  std::uint32_t last_id = 0;     // under mutex
  std::uint64_t generation = 0;  // under mutex: how often all were unloaded
  std::map<std::uint32_t, std::shared_ptr<Model>> loaded;  // under mutex
};

Models& models() {
  static auto* const instance = new Models;
  return *instance;
}

struct Settings {
  std::mutex mutex;
  OnnxRuntimeOptions options;  // under mutex
};

Settings& settings() {
  static auto* const instance = new Settings;
  return *instance;
}

OnnxRuntimeOptions options() {
  const std::lock_guard lock(settings().mutex);
  return settings().options;
}

/// A model where its caller says: in a file, or in memory.
struct Source {
  const char* path = nullptr;
  const void* data = nullptr;
  std::size_t size = 0;
};

/// Memory that a caller brings for a model.
struct GivenMemory {
  const void* work = nullptr;
  std::size_t work_size = 0;
  const void* weight = nullptr;
  std::size_t weight_size = 0;
};

/// Of its graph alone.
std::uintmax_t bytes_of(const Source& source) {
  if (source.path == nullptr) return source.size;
  std::error_code error;
  const bool is_file = std::filesystem::is_regular_file(source.path, error);
  const std::uintmax_t size = is_file ? std::filesystem::file_size(source.path, error) : 0;
  if (!is_file || error || !std::ifstream(source.path, std::ios::binary)) {
    refuse(ACL_ERROR_GE_EXEC_MODEL_PATH_INVALID,
           std::string("cannot read the file ") + source.path);
  }
  return size;
}

/// With the files that its tensors keep their values in.
std::size_t weight_bytes(const Source& source) {
  if (source.path == nullptr) return source.size;
  return static_cast<std::size_t>(onnx_model_bytes(source.path));
}

Model opened(const Source& source, std::uint32_t id) {
  require(source.path != nullptr || source.data != nullptr, "model: expected one, got null");
  require_initialized();
  if (bytes_of(source) == 0) {
    refuse(ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID, "expected a model, got 0 bytes");
  }
  Model model;
  model.gears = source.path != nullptr
                    ? std::make_unique<const GearModel>(std::string(source.path), options())
                    : std::make_unique<const GearModel>(source.data, source.size, options());
  model.description = std::make_shared<ModelDescription>(id, *model.gears);
  return model;
}

void check_given(std::size_t size, std::size_t needed, const char* what) {
  if (size >= needed) return;
  refuse(ACL_ERROR_GE_PARAM_INVALID, std::string(what) + ": expected at least " +
                                         std::to_string(needed) + " bytes, got " +
                                         std::to_string(size));
}

/// An id for a model that is about to be opened, and what tells whether it may still be added then.
struct Place {
  std::uint32_t id;
  std::uint64_t generation;
};

Place next_place() {
  const std::unique_lock lock(models().mutex);
  return {++models().last_id, models().generation};
}

void load(const Source& source, std::uint32_t* id, const GivenMemory& given = {}) {
  require(id != nullptr, "modelId: expected where to put it, got null");
  const Place place = next_place();
  const auto model = std::make_shared<Model>(opened(source, place.id));  // outlives the lock
  if (given.work != nullptr) {
    check_given(given.work_size, model->description->work_bytes(), "workSize");
  }
  if (given.weight != nullptr) check_given(given.weight_size, weight_bytes(source), "weightSize");
  const std::unique_lock lock(models().mutex);
  if (models().generation != place.generation) {
    refuse(ACL_ERROR_GE_EXEC_NOT_INIT, "aclFinalize() was called while the model was loading");
  }
  models().loaded.emplace(place.id, model);
  *id = place.id;
}

void query(const Source& source, std::size_t* work, std::size_t* weight) {
  require(work != nullptr && weight != nullptr,
          "workSize, weightSize: expected where to put them, got null");
  const Model model = opened(source, 0);
  *work = model.description->work_bytes();
  *weight = weight_bytes(source);
}

[[noreturn]] void refuse_id(std::uint32_t id) {
  refuse(ACL_ERROR_GE_EXEC_MODEL_ID_INVALID,
         "modelId: no model " + std::to_string(id) + " is loaded");
}

}  // namespace

std::shared_ptr<Model> find_model(std::uint32_t id) {
  {
    const std::shared_lock lock(models().mutex);
    const auto found = models().loaded.find(id);
    if (found != models().loaded.end()) return found->second;
  }
  require_initialized();
  refuse_id(id);
}

void unload_all() {
  std::map<std::uint32_t, std::shared_ptr<Model>> loaded;
  {
    const std::unique_lock lock(models().mutex);
    loaded.swap(models().loaded);
    ++models().generation;
  }
  for (const auto& [id, model] : loaded) model->description->note_unloaded();
}

std::size_t loaded_models() {
  const std::shared_lock lock(models().mutex);
  return models().loaded.size();
}

}  // namespace dynbatch::capi

using namespace dynbatch::capi;  // NOLINT(google-build-using-namespace): C functions stand outside

aclError aclmdlQuerySize(const char* fileName, size_t* workSize, size_t* weightSize) {
  return answer(__func__, [&] { query({.path = fileName}, workSize, weightSize); });
}

aclError aclmdlQuerySizeFromMem(const void* model, size_t modelSize, size_t* workSize,
                                size_t* weightSize) {
  return answer(__func__, [&] { query({.data = model, .size = modelSize}, workSize, weightSize); });
}

aclError aclmdlLoadFromFile(const char* modelPath, uint32_t* modelId) {
  return answer(__func__, [&] { load({.path = modelPath}, modelId); });
}

aclError aclmdlLoadFromMem(const void* model, size_t modelSize, uint32_t* modelId) {
  return answer(__func__, [&] { load({.data = model, .size = modelSize}, modelId); });
}

aclError aclmdlLoadFromFileWithMem(const char* modelPath, uint32_t* modelId, void* workPtr,
                                   size_t workSize, void* weightPtr, size_t weightSize) {
  return answer(__func__, [&] {
    load({.path = modelPath}, modelId, {workPtr, workSize, weightPtr, weightSize});
  });
}

aclError aclmdlLoadFromMemWithMem(const void* model, size_t modelSize, uint32_t* modelId,
                                  void* workPtr, size_t workSize, void* weightPtr,
                                  size_t weightSize) {
  return answer(__func__, [&] {
    load({.data = model, .size = modelSize}, modelId, {workPtr, workSize, weightPtr, weightSize});
  });
}

aclError aclmdlUnload(uint32_t modelId) {
  return answer(__func__, [&] {
    find_model(modelId)->description->note_unloaded();
    std::shared_ptr<Model> unloaded;  // outlives the lock: freeing a session takes long
    const std::unique_lock lock(models().mutex);
    const auto found = models().loaded.find(modelId);
    if (found == models().loaded.end()) refuse_id(modelId);
    unloaded = std::move(found->second);
    models().loaded.erase(found);
  });
}

aclError dynbatchAclSetRuntimeLibrary(const char* path) {
  return answer(__func__, [&] {
    const std::lock_guard lock(settings().mutex);
    settings().options.library_path = path == nullptr ? "" : path;
  });
}

aclError dynbatchAclSetThreads(size_t threads) {
  return answer(__func__, [&] {
    require(threads > 0, "threads: expected at least 1, got 0");
    const std::lock_guard lock(settings().mutex);
    settings().options.intra_op_threads = threads;
  });
}

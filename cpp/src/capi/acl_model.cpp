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
  std::uint32_t last_id = 0;                               // under mutex
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

std::size_t bytes_of_file(const char* path) {
  std::error_code error;
  const bool is_file = std::filesystem::is_regular_file(path, error);
  if (!is_file || error || !std::ifstream(path, std::ios::binary)) {
    refuse(ACL_ERROR_GE_EXEC_MODEL_PATH_INVALID, std::string("cannot read the file ") + path);
  }
  return static_cast<std::size_t>(std::filesystem::file_size(path));
}

Model opened(const Source& source, std::uint32_t id) {
  require(source.path != nullptr || source.data != nullptr, "model: expected one, got null");
  require_initialized();
  Model model;
  model.weight_bytes = source.path != nullptr ? bytes_of_file(source.path) : source.size;
  if (model.weight_bytes == 0) {
    refuse(ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID, "expected a model, got 0 bytes");
  }
  model.gears = source.path != nullptr
                    ? std::make_unique<const GearModel>(std::string(source.path), options())
                    : std::make_unique<const GearModel>(source.data, source.size, options());
  model.description = std::make_shared<ModelDescription>(id, *model.gears);
  return model;
}

void check_given(const void* memory, std::size_t size, std::size_t needed, const char* what) {
  if (memory == nullptr || size >= needed) return;
  refuse(ACL_ERROR_GE_PARAM_INVALID, std::string(what) + ": expected at least " +
                                         std::to_string(needed) + " bytes, got " +
                                         std::to_string(size));
}

std::uint32_t next_id() {
  const std::unique_lock lock(models().mutex);
  return ++models().last_id;
}

void load(const Source& source, std::uint32_t* id, const GivenMemory& given = {}) {
  require(id != nullptr, "modelId: expected where to put it, got null");
  Model model = opened(source, next_id());
  check_given(given.work, given.work_size, model.description->work_bytes(), "workSize");
  check_given(given.weight, given.weight_size, model.weight_bytes, "weightSize");
  const std::uint32_t loaded_id = model.description->id();
  auto shared = std::make_shared<Model>(std::move(model));
  const std::unique_lock lock(models().mutex);
  models().loaded.emplace(loaded_id, std::move(shared));
  *id = loaded_id;
}

void query(const Source& source, std::size_t* work, std::size_t* weight) {
  require(work != nullptr && weight != nullptr,
          "workSize, weightSize: expected where to put them, got null");
  const Model model = opened(source, 0);
  *work = model.description->work_bytes();
  *weight = model.weight_bytes;
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

#include "executor/ort_library.hpp"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>

#include <dynbatch/error.hpp>

#include "executor/ort_handles.hpp"

namespace dynbatch {
namespace {

// Every slot that is used exists since API version 9. 14 belongs to release 1.14: a table that
// answers it is far from both ends.
constexpr std::uint32_t kApiVersion = 14;
// The oldest release whose Python package contains the library.
constexpr int kOldestMinor = 19;
constexpr const char* kEntryPoint = "OrtGetApiBase";
constexpr const char* kDefaultName = "libonnxruntime.so.1";
constexpr const char* kVariable = "DYNBATCH_ORT_LIB";

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorCode::model, message); }

void drop_message(void*, ort::LogLevel, const char*, const char*, const char*, const char*) {}

const ort::ApiBase* call_entry_point(void* symbol) {
  return reinterpret_cast<ort::GetApiBase>(symbol)();
}

const ort::ApiBase* open_library(const char* path, const std::string& origin) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    fail("cannot load ONNX Runtime's library" + origin + ": " + dlerror());
  }
  void* symbol = dlsym(library, kEntryPoint);
  if (symbol == nullptr) {
    fail("'" + std::string(path) + "'" + origin + " is not ONNX Runtime's library: it has no " +
         kEntryPoint);
  }
  return call_entry_point(symbol);
}

const ort::ApiBase* find_api_base(const OrtLibrarySource& source) {
  if (source.api_base != nullptr) return static_cast<const ort::ApiBase*>(source.api_base);
  if (!source.path.empty()) return open_library(source.path.c_str(), " (library_path)");
  const char* variable = std::getenv(kVariable);
  if (variable != nullptr && *variable != '\0') {
    return open_library(variable, std::string(" (") + kVariable + ")");
  }
  if (void* symbol = dlsym(RTLD_DEFAULT, kEntryPoint)) return call_entry_point(symbol);
  return open_library(kDefaultName, std::string(" (install the package onnxruntime, or set ") +
                                        kVariable + " or library_path)");
}

/// The file that holds the library's code.
std::string path_of(const ort::ApiBase* base) {
  Dl_info found;
  if (dladdr(reinterpret_cast<void*>(base->GetApi), &found) == 0 || found.dli_fname == nullptr) {
    return "the host's own ONNX Runtime";
  }
  std::error_code error;
  const std::filesystem::path path = std::filesystem::canonical(found.dli_fname, error);
  return error ? found.dli_fname : path.string();
}

void check_version(const OrtLibrary& library) {
  int major = 0;
  int minor = 0;
  const bool parsed = std::sscanf(library.version.c_str(), "%d.%d", &major, &minor) == 2;
  if (!parsed || major < 1 || (major == 1 && minor < kOldestMinor)) {
    fail("ONNX Runtime " + library.version + " ('" + library.path + "') is too old: version 1." +
         std::to_string(kOldestMinor) + " or newer is needed");
  }
}

/// Whether the table is laid out as it is declared here, as far as an error object can tell.
bool round_trip_succeeds(const ort::Api& api) {
  constexpr const char* kText = "dynbatch";
  ort::Status* status = api.CreateStatus(ort::ErrorCode::fail, kText);
  if (status == nullptr) return false;
  const bool same = api.GetErrorCode(status) == ort::ErrorCode::fail &&
                    std::strcmp(api.GetErrorMessage(status), kText) == 0;
  api.ReleaseStatus(status);
  return same;
}

bool same_file(const std::string& left, const std::string& right) {
  std::error_code error;
  return left == right || std::filesystem::equivalent(left, right, error);
}

void check_same_library(const OrtLibrary& loaded, const OrtLibrarySource& source) {
  const std::string in_use = "ONNX Runtime " + loaded.version + " is in use from '" + loaded.path +
                             "', and a process holds only one: ";
  if (source.api_base != nullptr && source.api_base != loaded.api_base) {
    fail(in_use + "the given api_base belongs to another library");
  }
  if (!source.path.empty() && !same_file(source.path, loaded.path)) {
    fail(in_use + "library_path '" + source.path + "' is another library");
  }
}

}  // namespace

OrtLibrary load_ort_library(const OrtLibrarySource& source) {
  OrtLibrary library;
  library.api_base = find_api_base(source);
  library.path = path_of(library.api_base);
  library.version = library.api_base->GetVersionString();
  check_version(library);
  const ort::ApiTable* table = library.api_base->GetApi(kApiVersion);
  if (table == nullptr) {
    fail("ONNX Runtime " + library.version + " ('" + library.path + "') has no API version " +
         std::to_string(kApiVersion));
  }
  library.api = ort::read_table(table);
  if (!round_trip_succeeds(library.api)) {
    fail("ONNX Runtime " + library.version + " ('" + library.path +
         "') does not answer as its C interface promises");
  }
  return library;
}

const OrtLibrary& use_ort_library(const OrtLibrarySource& source) {
  static std::mutex mutex;
  // Never destroyed: sessions that outlive static objects still need it.
  static const OrtLibrary* loaded = nullptr;
  const std::lock_guard lock(mutex);
  if (loaded != nullptr) {
    check_same_library(*loaded, source);
    return *loaded;
  }
  auto library = std::make_unique<OrtLibrary>(load_ort_library(source));
  const ort::Api& api = library->api;
  // A host that has an environment of this library already gets to share it, with its logger.
  ort::check(api,
             api.CreateEnvWithCustomLogger(drop_message, nullptr, ort::LogLevel::fatal, "dynbatch",
                                           &library->env),
             "cannot make ONNX Runtime's environment");
  ort::check(api,
             api.CreateCpuMemoryInfo(ort::AllocatorType::device, ort::MemoryType::standard,
                                     &library->cpu_memory),
             "cannot describe memory to ONNX Runtime");
  loaded = library.release();
  return *loaded;
}

}  // namespace dynbatch

// ONNX Runtime's shared library: found and loaded at run time, once a process, never unloaded.
//
// All models of a process share the library and its one environment, whose log messages are
// dropped: what goes wrong travels in errors. Every function may be called from any thread.
#pragma once

#include <string>

#include "executor/ort_abi.hpp"

namespace dynbatch {

/// Where the library is to come from. Both empty: the environment variable DYNBATCH_ORT_LIB, a
/// library that the process has loaded already, then the loader's own search.
struct OrtLibrarySource {
  std::string path;
  const void* api_base = nullptr;  // the host's own OrtApiBase*
};

struct OrtLibrary {
  ort::Api api;
  const ort::ApiBase* api_base = nullptr;
  ort::Env* env = nullptr;                // never released
  ort::MemoryInfo* cpu_memory = nullptr;  // "memory of ours, which you only use"; never released
  std::string path;
  std::string version;
};

/// The process's library; the first call that succeeds loads it. Throws Error(model) if none can be
/// loaded, or if the source names another one than was loaded.
const OrtLibrary& use_ort_library(const OrtLibrarySource& source);

/// Loads a library and checks that dynbatch can use it, without making it the process's.
OrtLibrary load_ort_library(const OrtLibrarySource& source);

}  // namespace dynbatch

#include "executor/ort_session.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>

namespace dynbatch {
namespace {

constexpr const char* kDoing = "cannot set ONNX Runtime's session options";
// Far above any machine, and inside the int that ONNX Runtime takes.
constexpr std::size_t kMostThreads = 4096;

void add_entry(const ort::Api& api, ort::SessionOptions* made, const std::string& key,
               const std::string& value) {
  ort::check(api, api.AddSessionConfigEntry(made, key.c_str(), value.c_str()),
             "session_config refuses '" + key + "' = '" + value + "'");
}

bool has_entry(const OnnxRuntimeOptions& options, const char* key) {
  return std::ranges::any_of(options.session_config,
                             [&](const auto& entry) { return entry.first == key; });
}

/// Whether the library knows for how long its threads are to spin. Others take the entry and ignore it.
bool bounds_spinning(const OrtLibrary& library) {
  constexpr int kOldestMinor = 31;  // the oldest one that was measured
  int major = 0;
  int minor = 0;
  return std::sscanf(library.version.c_str(), "%d.%d", &major, &minor) == 2 &&
         (major > 1 || minor >= kOldestMinor);
}

/// Threads that spin without end burn a CPU at a hundred runs a second; if they never spin, sleeping and
/// waking between two nodes of a small model takes longer than the second thread gains.
void bound_spinning(const OrtLibrary& library, ort::SessionOptions* made,
                    const OnnxRuntimeOptions& options) {
  constexpr const char* kSpinning = "session.intra_op.allow_spinning";
  constexpr const char* kDuration = "session.intra_op.spin_duration_us";
  constexpr const char* kDurationUs = "100";
  if (has_entry(options, kSpinning) || has_entry(options, kDuration)) return;
  if (bounds_spinning(library)) {
    add_entry(library.api, made, kDuration, kDurationUs);
  } else {
    add_entry(library.api, made, kSpinning, "0");
  }
}

ort::Handle<ort::SessionOptions> make_session_options(const OrtLibrary& library,
                                                      const OnnxRuntimeOptions& options) {
  const ort::Api& api = library.api;
  auto made = ort::make_handle<ort::SessionOptions>(
      api, api.ReleaseSessionOptions, kDoing,
      [&](auto handle) { return api.CreateSessionOptions(handle); });
  ort::SessionOptions* raw = made.get();
  // Failures travel in errors; a host's logger would print each of them as well.
  ort::check(api, api.SetSessionLogSeverityLevel(raw, static_cast<int>(ort::LogLevel::fatal)),
             kDoing);
  const int threads = static_cast<int>(options.intra_op_threads);
  ort::check(api, api.SetIntraOpNumThreads(raw, threads), kDoing);
  ort::check(api, api.SetInterOpNumThreads(raw, 1), kDoing);
  if (threads > 1) bound_spinning(library, raw, options);
  for (const auto& [key, value] : options.session_config) add_entry(api, raw, key, value);
  return made;
}

void check_file(const OnnxModelSource& model) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(model.path, error);
  if (!std::filesystem::exists(status)) {
    throw Error(ErrorCode::model, "no such file: '" + model.path + "'");
  }
  if (std::filesystem::is_directory(status)) {
    throw Error(ErrorCode::model, "'" + model.path + "' is a folder, not a model file");
  }
}

ort::Handle<ort::Session> open(const OrtLibrary& library, const OnnxModelSource& model,
                               const ort::SessionOptions* options) {
  if (model.data == nullptr) check_file(model);
  const ort::Api& api = library.api;
  return ort::make_handle<ort::Session>(
      api, api.ReleaseSession, "cannot load the model", [&](auto made) {
        return model.data == nullptr
                   ? api.CreateSession(library.env, model.path.c_str(), options, made)
                   : api.CreateSessionFromArray(library.env, model.data, model.size, options, made);
      });
}

void check_threads(const char* name, std::size_t threads, std::size_t least) {
  if (threads >= least && threads <= kMostThreads) return;
  throw Error(ErrorCode::invalid_argument,
              std::string(name) + ": expected " + std::to_string(least) + " to " +
                  std::to_string(kMostThreads) + ", got " + std::to_string(threads));
}

}  // namespace

ort::Handle<ort::Session> open_session(
    const OrtLibrary& library, const OnnxModelSource& model, const OnnxRuntimeOptions& options,
    const std::vector<std::pair<std::string, std::int64_t>>& dimension_overrides) {
  check_threads("intra_op_threads", options.intra_op_threads, 1);
  const ort::Api& api = library.api;
  const auto made = make_session_options(library, options);
  ort::check(api, api.SetSessionGraphOptimizationLevel(made.get(), ort::OptimizationLevel::all),
             kDoing);
  for (const auto& [name, value] : dimension_overrides) {
    ort::check(api, api.AddFreeDimensionOverrideByName(made.get(), name.c_str(), value), kDoing);
  }
  return open(library, model, made.get());
}

ort::Handle<ort::Session> open_lone_session(
    const OrtLibrary& library, const OnnxModelSource& model, const OnnxRuntimeOptions& options,
    const std::vector<std::pair<std::string, std::int64_t>>& dimension_overrides) {
  check_threads("lone_threads", options.lone_threads, options.intra_op_threads + 1);
  OnnxRuntimeOptions lone = options;
  lone.intra_op_threads = options.lone_threads;
  return open_session(library, model, lone, dimension_overrides);
}

ort::Handle<ort::Session> open_session_to_inspect(const OrtLibrary& library,
                                                  const OnnxModelSource& model,
                                                  const OnnxRuntimeOptions& options) {
  OnnxRuntimeOptions one_thread = options;
  one_thread.intra_op_threads = 1;
  const ort::Api& api = library.api;
  const auto made = make_session_options(library, one_thread);
  ort::check(api, api.SetSessionGraphOptimizationLevel(made.get(), ort::OptimizationLevel::none),
             kDoing);
  add_entry(api, made.get(), "session.disable_prepacking", "1");
  return open(library, model, made.get());
}

}  // namespace dynbatch

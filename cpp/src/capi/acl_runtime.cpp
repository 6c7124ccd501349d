// Initialising, messages, devices, contexts.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <dynbatch/acl.h>

#include "capi/answer.hpp"
#include "capi/configuration.hpp"
#include "capi/dataset.hpp"
#include "capi/description.hpp"
#include "capi/device_memory.hpp"
#include "capi/handles.hpp"
#include "capi/models.hpp"
#include "capi/readiness.hpp"
#include "capi/stream.hpp"

namespace dynbatch::capi {
namespace {

struct Context {};

struct Process {
  std::mutex mutex;
  bool initialized = false;
  bool finalized = false;                 // once at least
  const void* default_context = nullptr;  // a handle, null while nobody has set the device
  std::size_t device_sets = 0;            // and not reset since
};

Process& process() {
  static auto* const instance = new Process;
  return *instance;
}

thread_local const void* current_context = nullptr;  // a handle, perhaps of what is destroyed

void check_device(std::int32_t id) {
  if (id == 0) return;
  refuse(ACL_ERROR_RT_PARAM_INVALID,
         "deviceId: expected 0, the only device, got " + std::to_string(id));
}

void set_device(std::int32_t id) {
  check_device(id);
  const std::lock_guard lock(process().mutex);
  if (process().default_context == nullptr) {
    process().default_context = Handles<Context>::all().add(std::make_shared<Context>());
  }
  ++process().device_sets;
  current_context = process().default_context;
}

/// Under the mutex of process().
void drop_default_context() {
  Handles<Context>::all().take(process().default_context);
  process().default_context = nullptr;
  process().device_sets = 0;
}

void reset_device(std::int32_t id) {
  check_device(id);
  const std::lock_guard lock(process().mutex);
  if (process().device_sets > 0) --process().device_sets;
  if (process().device_sets == 0) drop_default_context();
}

aclrtRunMode run_mode() {
  const char* const said = std::getenv("DYNBATCH_ACL_RUN_MODE");
  const std::string_view mode = said == nullptr ? "" : said;
  if (mode.empty() || mode == "host") return ACL_HOST;
  if (mode == "device") return ACL_DEVICE;
  refuse(ACL_ERROR_INVALID_PARAM,
         "DYNBATCH_ACL_RUN_MODE: expected host or device, got " + std::string(mode));
}

void initialize(const char* configuration) {
  const std::lock_guard lock(process().mutex);
  if (process().initialized) {
    refuse(ACL_ERROR_REPEAT_INITIALIZE, "it was called before, and aclFinalize() not since");
  }
  if (configuration != nullptr && *configuration != '\0') check_configuration(configuration);
  process().initialized = true;
}

void finalize() {
  {
    const std::lock_guard lock(process().mutex);
    if (!process().initialized) {
      refuse(process().finalized ? ACL_ERROR_REPEAT_FINALIZE : ACL_ERROR_UNINITIALIZE,
             "expected a call of aclInit() before it");
    }
    process().initialized = false;
    process().finalized = true;
  }
  // What is queued uses models, and memory of the caller's.
  std::vector<std::shared_ptr<Stream>> streams;
  Handles<Stream>::all().for_each([&](const auto& stream) { streams.push_back(stream); });
  for (const auto& stream : streams) static_cast<void>(stream->synchronize());
  unload_all();
  const std::lock_guard lock(process().mutex);
  drop_default_context();
}

}  // namespace

void require_context() {
  if (Handles<Context>::all().find(current_context) != nullptr) return;
  refuse(
      ACL_ERROR_RT_CONTEXT_NULL,
      "the calling thread has no context: call aclrtSetDevice() or aclrtSetCurrentContext() on it");
}

void require_initialized() {
  const std::lock_guard lock(process().mutex);
  if (!process().initialized) refuse(ACL_ERROR_GE_EXEC_NOT_INIT, "call aclInit() first");
}

}  // namespace dynbatch::capi

using namespace dynbatch::capi;  // NOLINT(google-build-using-namespace): C functions stand outside

aclError aclInit(const char* configPath) {
  return answer(__func__, [&] { initialize(configPath); });
}

aclError aclFinalize() {
  return answer(__func__, [] { finalize(); });
}

const char* aclGetRecentErrMsg() { return recent_message(); }

aclError aclrtSetDevice(int32_t deviceId) {
  return answer(__func__, [&] { set_device(deviceId); });
}

aclError aclrtResetDevice(int32_t deviceId) {
  return answer(__func__, [&] { reset_device(deviceId); });
}

aclError aclrtGetDeviceCount(uint32_t* count) {
  return answer(__func__, [&] {
    require(count != nullptr, "count: expected where to put it, got null");
    *count = 1;
  });
}

aclError aclrtGetRunMode(aclrtRunMode* runMode) {
  return answer(__func__, [&] {
    require(runMode != nullptr, "runMode: expected where to put it, got null");
    *runMode = run_mode();
  });
}

aclError aclrtCreateContext(aclrtContext* context, int32_t deviceId) {
  return answer(__func__, [&] {
    require(context != nullptr, "context: expected where to put it, got null");
    check_device(deviceId);
    *context = Handles<Context>::all().add(std::make_shared<Context>());
    current_context = *context;
  });
}

aclError aclrtDestroyContext(aclrtContext context) {
  return answer(__func__, [&] {
    {
      const std::lock_guard lock(process().mutex);
      require(context == nullptr || context != process().default_context,
              "context: the default one goes with aclrtResetDevice()");
    }
    taken<Context>(context, "context");
  });
}

aclError aclrtSetCurrentContext(aclrtContext context) {
  return answer(__func__, [&] {
    checked<Context>(context, "context");
    current_context = context;
  });
}

aclError aclrtGetCurrentContext(aclrtContext* context) {
  return answer(__func__, [&] {
    require(context != nullptr, "context: expected where to put it, got null");
    require_context();
    *context = const_cast<void*>(current_context);
  });
}

size_t dynbatchAclLiveHandles() {
  return value_or<size_t>(__func__, 0, [] {
    return Handles<Context>::all().size() + Handles<DataBuffer>::all().size() +
           Handles<Dataset>::all().size() + Handles<Description>::all().size() +
           Handles<Stream>::all().size() + Handles<Aipp>::all().size() + loaded_models() +
           live_allocations();
  });
}

// Streams.
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <dynbatch/acl.h>

#include "capi/answer.hpp"
#include "capi/device_memory.hpp"
#include "capi/handles.hpp"
#include "capi/readiness.hpp"
#include "capi/stream.hpp"

using namespace dynbatch::capi;  // NOLINT(google-build-using-namespace): C functions stand outside

aclError aclrtCreateStream(aclrtStream* stream) {
  return answer(__func__, [&] {
    require(stream != nullptr, "stream: expected where to put it, got null");
    require_context();
    *stream = Handles<Stream>::all().add(std::make_shared<Stream>());
  });
}

aclError aclrtDestroyStream(aclrtStream stream) {
  return answer(__func__, [&] {
    // Others may be waiting for it, and hold it: who destroys it waits as well.
    const auto last = taken<Stream>(stream, "stream");
    static_cast<void>(last->synchronize());
  });
}

aclError aclrtSynchronizeStream(aclrtStream stream) {
  return answer(__func__, [&] {
    if (const auto failure = checked<Stream>(stream, "stream")->synchronize()) throw *failure;
  });
}

aclError aclrtSynchronizeDevice() {
  return answer(__func__, [] {
    require_context();
    std::vector<std::shared_ptr<Stream>> streams;
    Handles<Stream>::all().for_each([&](const auto& stream) { streams.push_back(stream); });
    std::optional<Refusal> first;
    for (const auto& stream : streams) {
      auto failure = stream->synchronize();
      if (!first) first = std::move(failure);
    }
    if (first) throw *first;
  });
}

aclError aclrtMemcpyAsync(void* dst, size_t destMax, const void* src, size_t count,
                          aclrtMemcpyKind /*kind*/, aclrtStream stream) {
  return answer(__func__, [&] {
    require(dst != nullptr && src != nullptr, "dst, src: expected addresses, got null");
    check_room(destMax, count);
    checked<Stream>(stream, "stream")->add(Copy{dst, src, count});
  });
}

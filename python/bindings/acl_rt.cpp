#include <cstddef>
#include <cstdint>

#include <dynbatch/acl.h>

#include "acl_register.hpp"

namespace dynbatch::python {
namespace {

// The library uses neither.
constexpr auto kPolicy = ACL_MEM_MALLOC_HUGE_FIRST;
constexpr auto kKind = ACL_MEMCPY_DEFAULT;

// Copying this much takes about as long as giving the GIL up and getting it back.
constexpr std::size_t kShortCopyBytes = std::size_t{64} * 1024;

template <class Call>
aclError copied(std::size_t count, Call call) {
  return count < kShortCopyBytes ? call() : without_gil(call);
}

void register_devices(py::module_& module) {
  module.def(
      "set_device", [](std::int32_t id) { return aclrtSetDevice(id); }, py::arg("device_id"));
  module.def(
      "reset_device", [](std::int32_t id) { return aclrtResetDevice(id); }, py::arg("device_id"));
  module.def("get_device_count", [] {
    std::uint32_t count = 0;
    const aclError code = aclrtGetDeviceCount(&count);
    return py::make_tuple(count, code);
  });
  module.def("get_run_mode", [] {
    aclrtRunMode mode = ACL_HOST;
    const aclError code = aclrtGetRunMode(&mode);
    return py::make_tuple(static_cast<int>(mode), code);
  });
  module.def(
      "create_context",
      [](std::int32_t id) {
        aclrtContext context = nullptr;
        const aclError code = aclrtCreateContext(&context, id);
        return py::make_tuple(address_of(context), code);
      },
      py::arg("device_id"));
  module.def(
      "destroy_context", [](Address context) { return aclrtDestroyContext(at(context)); },
      py::arg("context"));
  module.def(
      "set_context", [](Address context) { return aclrtSetCurrentContext(at(context)); },
      py::arg("context"));
  module.def("get_context", [] {
    aclrtContext context = nullptr;
    const aclError code = aclrtGetCurrentContext(&context);
    return py::make_tuple(address_of(context), code);
  });
}

void register_streams(py::module_& module) {
  module.def("create_stream", [] {
    aclrtStream stream = nullptr;
    const aclError code = aclrtCreateStream(&stream);
    return py::make_tuple(address_of(stream), code);
  });
  module.def(
      "destroy_stream",
      [](Address stream) { return without_gil([&] { return aclrtDestroyStream(at(stream)); }); },
      py::arg("stream"));
  module.def(
      "synchronize_stream",
      [](Address stream) {
        return without_gil([&] { return aclrtSynchronizeStream(at(stream)); });
      },
      py::arg("stream"));
  module.def("synchronize_device", [] { return without_gil(aclrtSynchronizeDevice); });
}

void register_memory(py::module_& module) {
  module.def(
      "malloc",
      [](std::size_t size, int) {
        void* memory = nullptr;
        const aclError code = aclrtMalloc(&memory, size, kPolicy);
        return py::make_tuple(address_of(memory), code);
      },
      py::arg("size"), py::arg("policy"));
  module.def("free", [](Address ptr) { return aclrtFree(at(ptr)); }, py::arg("ptr"));
  module.def(
      "malloc_host",
      [](std::size_t size) {
        void* memory = nullptr;
        const aclError code = aclrtMallocHost(&memory, size);
        return py::make_tuple(address_of(memory), code);
      },
      py::arg("size"));
  module.def("free_host", [](Address ptr) { return aclrtFreeHost(at(ptr)); }, py::arg("ptr"));
  module.def(
      "memcpy",
      [](Address dst, std::size_t dest_max, Address src, std::size_t count, int) {
        return copied(count, [&] { return aclrtMemcpy(at(dst), dest_max, at(src), count, kKind); });
      },
      py::arg("dst"), py::arg("dest_max"), py::arg("src"), py::arg("count"), py::arg("kind"));
  module.def(
      "memcpy_async",
      [](Address dst, std::size_t dest_max, Address src, std::size_t count, int, Address stream) {
        return aclrtMemcpyAsync(at(dst), dest_max, at(src), count, kKind, at(stream));
      },
      py::arg("dst"), py::arg("dest_max"), py::arg("src"), py::arg("count"), py::arg("kind"),
      py::arg("stream"));
  module.def(
      "memset",
      [](Address ptr, std::size_t max_count, std::int32_t value, std::size_t count) {
        return copied(count, [&] { return aclrtMemset(at(ptr), max_count, value, count); });
      },
      py::arg("ptr"), py::arg("max_count"), py::arg("value"), py::arg("count"));
}

}  // namespace

void register_acl_rt(py::module_& module) {
  register_devices(module);
  register_streams(module);
  register_memory(module);
}

}  // namespace dynbatch::python

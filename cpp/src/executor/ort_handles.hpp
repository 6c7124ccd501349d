// Ownership of ONNX Runtime's objects, and its errors as ours.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <dynbatch/error.hpp>

#include "executor/ort_abi.hpp"

namespace dynbatch::ort {

template <class Object>
struct Releaser {
  void (*release)(Object*) = nullptr;
  void operator()(Object* object) const { release(object); }
};

/// An object of ONNX Runtime's that is released with its handle.
template <class Object>
using Handle = std::unique_ptr<Object, Releaser<Object>>;

/// The message of a failed call's status, which is released; "" for null, that is for success.
inline std::string take_message(const Api& api, Status* status) {
  if (status == nullptr) return {};
  const Handle<Status> owned(status, {api.ReleaseStatus});
  return api.GetErrorMessage(status);
}

/// Throws Error(model, "<doing>: <ONNX Runtime's message>") unless the call has succeeded.
inline void check(const Api& api, Status* status, std::string_view doing) {
  if (status == nullptr) return;
  throw Error(dynbatch::ErrorCode::model, std::string(doing) + ": " + take_message(api, status));
}

/// The object that `make(&object)` makes; throws as check() does.
template <class Object, class Make>
Handle<Object> make_handle(const Api& api, void (*release)(Object*), std::string_view doing,
                           Make make) {
  Object* object = nullptr;
  check(api, make(&object), doing);
  return Handle<Object>(object, {release});
}

}  // namespace dynbatch::ort

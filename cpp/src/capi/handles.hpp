// Handles<T>: the live objects of one type, by the address that callers hold. A handle that is not one is
// found out instead of followed, and who has found an object keeps it until done, whoever destroys it meanwhile.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "capi/answer.hpp"

namespace dynbatch::capi {

template <class T>
class Handles {
 public:
  /// Never destroyed: calls may come while static objects die.
  static Handles& all() {
    static auto* const instance = new Handles;
    return *instance;
  }

  T* add(std::shared_ptr<T> object) {
    T* const handle = object.get();
    const std::unique_lock lock(mutex_);
    objects_.emplace(handle, std::move(object));
    return handle;
  }
  /// Null if there is none.
  std::shared_ptr<T> find(const void* handle) const {
    const std::shared_lock lock(mutex_);
    const auto found = objects_.find(handle);
    return found == objects_.end() ? nullptr : found->second;
  }
  std::shared_ptr<T> take(const void* handle) {
    const std::unique_lock lock(mutex_);
    const auto found = objects_.find(handle);
    if (found == objects_.end()) return nullptr;
    std::shared_ptr<T> object = std::move(found->second);
    objects_.erase(found);
    return object;
  }
  template <class Visit>
  void for_each(Visit visit) const {
    const std::shared_lock lock(mutex_);
    for (const auto& [handle, object] : objects_) visit(object);
  }
  std::size_t size() const {
    const std::shared_lock lock(mutex_);
    return objects_.size();
  }

 private:
  mutable std::shared_mutex mutex_;
  std::unordered_map<const void*, std::shared_ptr<T>> objects_;  // under mutex_
};

[[noreturn]] inline void refuse_handle(const void* handle, const char* argument) {
  refuse(ACL_ERROR_INVALID_PARAM,
         std::string(argument) + ": expected a live handle, got " +
             (handle == nullptr ? "null" : "one that is unknown or destroyed"));
}

template <class T>
std::shared_ptr<T> checked(const void* handle, const char* argument) {
  auto object = Handles<T>::all().find(handle);
  if (object == nullptr) refuse_handle(handle, argument);
  return object;
}

template <class T>
std::shared_ptr<T> taken(const void* handle, const char* argument) {
  auto object = Handles<T>::all().take(handle);
  if (object == nullptr) refuse_handle(handle, argument);
  return object;
}

}  // namespace dynbatch::capi

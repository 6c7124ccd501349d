// Memory by pages: address space that becomes resident where it is first touched.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dynbatch {

/// Zeroed, page-aligned memory, owned. Pages cost nothing until they are touched.
class Pages {
 public:
  Pages() = default;
  /// Throws Error(model) if the system refuses. 0 bytes: no memory.
  explicit Pages(std::size_t size_bytes);
  Pages(Pages&& other) noexcept;
  Pages& operator=(Pages&& other) noexcept;
  ~Pages();

  std::byte* data() const noexcept { return data_; }
  std::size_t size_bytes() const noexcept { return size_bytes_; }
  /// Lets the system take the whole pages of a range back; what they held is zero afterwards. Nobody may
  /// use them meanwhile. Returns their bytes, resident or not.
  std::size_t give_back(std::size_t offset, std::size_t size_bytes) noexcept;
  /// Bytes that the system counts as resident.
  std::size_t resident_bytes() const noexcept;

 private:
  std::byte* data_ = nullptr;
  std::size_t size_bytes_ = 0;
};

/// Reads one byte of each page, so that a later copy does not stop at a fault.
void touch_for_reading(const void* data, std::size_t size_bytes) noexcept;

}  // namespace dynbatch

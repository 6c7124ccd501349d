#include "base/pages.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <dynbatch/error.hpp>

namespace dynbatch {
namespace {

std::size_t page_bytes() noexcept {
  static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

}  // namespace

Pages::Pages(std::size_t size_bytes) : size_bytes_(size_bytes) {
  if (size_bytes == 0) return;
  void* const memory = mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    throw Error(ErrorCode::model, "cannot reserve " + std::to_string(size_bytes) +
                                      " bytes of gear memory: " + std::strerror(errno));
  }
  data_ = static_cast<std::byte*>(memory);
}

Pages::Pages(Pages&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_bytes_(std::exchange(other.size_bytes_, 0)) {}

Pages& Pages::operator=(Pages&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_bytes_, other.size_bytes_);
  return *this;
}

Pages::~Pages() {
  if (data_ != nullptr) munmap(data_, size_bytes_);
}

std::size_t Pages::give_back(std::size_t offset, std::size_t size_bytes) noexcept {
  const std::size_t page = page_bytes();
  const std::size_t first = (offset + page - 1) / page * page;
  const std::size_t end = (offset + size_bytes) / page * page;
  if (first >= end || madvise(data_ + first, end - first, MADV_DONTNEED) != 0) return 0;
  return end - first;
}

std::size_t Pages::resident_bytes() const noexcept {
  if (data_ == nullptr) return 0;
  const std::size_t page = page_bytes();
  const std::size_t pages = (size_bytes_ + page - 1) / page;
  std::size_t resident = 0;
  constexpr std::size_t kChunk = 4096;
  unsigned char state[kChunk];
  for (std::size_t first = 0; first < pages; first += kChunk) {
    const std::size_t count = pages - first < kChunk ? pages - first : kChunk;
    if (mincore(data_ + first * page, count * page, state) != 0) return 0;
    for (std::size_t i = 0; i < count; ++i) resident += state[i] & 1u;
  }
  return resident * page;
}

void touch_for_reading(const void* data, std::size_t size_bytes) noexcept {
  const auto* const bytes = static_cast<const volatile std::byte*>(data);
  for (std::size_t offset = 0; offset < size_bytes; offset += page_bytes()) {
    [[maybe_unused]] const std::byte value = bytes[offset];
  }
}

}  // namespace dynbatch

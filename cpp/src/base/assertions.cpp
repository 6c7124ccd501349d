#include "base/assertions.hpp"

#include <cstdio>
#include <cstdlib>

namespace dynbatch {

void assertion_failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "dynbatch: internal error: %s does not hold (%s:%d)\n", condition, file,
               line);
  std::abort();
}

}  // namespace dynbatch

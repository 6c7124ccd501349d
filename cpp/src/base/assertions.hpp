// Assertions at three prices. None of them judges what a user gave: that gets an Error.
//   DYNBATCH_ASSERT            cheap, always on
//   DYNBATCH_DEBUG_ASSERT      in builds without NDEBUG
//   DYNBATCH_EXPENSIVE_ASSERT  walks structures; in builds with DYNBATCH_EXPENSIVE_CHECKS
#pragma once

namespace dynbatch {

/// Tells which promise of the library's own code is broken, then stops the process.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace dynbatch

#define DYNBATCH_ASSERT(condition)    \
  ((condition) ? static_cast<void>(0) \
               : ::dynbatch::assertion_failed(#condition, __FILE__, __LINE__))
#ifdef NDEBUG
#define DYNBATCH_DEBUG_ASSERT(condition) static_cast<void>(0)
#else
#define DYNBATCH_DEBUG_ASSERT(condition) DYNBATCH_ASSERT(condition)
#endif
#ifdef DYNBATCH_EXPENSIVE_CHECKS
#define DYNBATCH_EXPENSIVE_ASSERT(condition) DYNBATCH_ASSERT(condition)
#else
#define DYNBATCH_EXPENSIVE_ASSERT(condition) static_cast<void>(0)
#endif

// For tests that load ONNX Runtime under ThreadSanitizer: half of how it uses mutexes is seen, through
// libstdc++ and at exit, where its frames cannot be named in a suppression, so misused mutexes are not
// reported in these tests. They are in all others, and races are everywhere.
#pragma once

#if defined(__SANITIZE_THREAD__)
extern "C" [[gnu::visibility("default"), gnu::used]] inline const char* __tsan_default_options() {
  return "report_mutex_bugs=0";
}
#endif

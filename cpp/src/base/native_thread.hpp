// A thread that C++ makes: it blocks all signals, so that the host's handlers run on host threads.
#pragma once

#include <functional>
#include <thread>

namespace dynbatch {

/// Throws Error(model) if the system has no thread to give, std::bad_alloc without memory.
std::thread make_native_thread(std::function<void()> body);

}  // namespace dynbatch

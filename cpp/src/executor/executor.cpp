#include <dynbatch/executor.hpp>

namespace dynbatch {

RunOutputs::~RunOutputs() = default;

Executor::~Executor() = default;

void Executor::prepare(const PreparedMemory&) {}

void Executor::terminate() noexcept {}

bool Executor::runs_on_callers() const noexcept { return true; }

bool Executor::reruns() const noexcept { return true; }

bool Executor::offers_lone_runs() const noexcept { return false; }

void Executor::keep_lone_runs(bool) noexcept {}

}  // namespace dynbatch

#include <dynbatch/completion_port.hpp>

#include "batch/completion_list.hpp"

namespace dynbatch {

CompletionPort::CompletionPort() : implementation_(std::make_unique<Implementation>()) {}

CompletionPort::~CompletionPort() = default;

int CompletionPort::fd() const noexcept { return implementation_->event().fd(); }

void CompletionPort::wait() noexcept { implementation_->event().wait(); }

void CompletionPort::wake() noexcept { implementation_->event().signal(); }

void CompletionPort::drain(std::vector<void*>& contexts) { implementation_->drain(contexts); }

}  // namespace dynbatch

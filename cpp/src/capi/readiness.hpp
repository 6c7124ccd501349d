// Whether the process is initialised, and the calling thread has a context. There is one device, and a context is
// no more than a name that a thread has taken.
#pragma once

namespace dynbatch::capi {

/// Refuses with ACL_ERROR_GE_EXEC_NOT_INIT before aclInit() and after aclFinalize().
void require_initialized();
/// Refuses with ACL_ERROR_RT_CONTEXT_NULL if the calling thread has no context.
void require_context();

}  // namespace dynbatch::capi

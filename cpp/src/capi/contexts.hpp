// Devices and contexts. There is one device, and a context is no more than a name that a thread has taken.
#pragma once

namespace dynbatch::capi {

/// Refuses with ACL_ERROR_RT_CONTEXT_NULL if the calling thread has no context.
void require_context();
/// Drops the device's default context, if it has one.
void drop_default_context();

/// Refuses with ACL_ERROR_GE_EXEC_NOT_INIT before aclInit() and after aclFinalize().
void require_initialized();

}  // namespace dynbatch::capi

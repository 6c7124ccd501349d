// Sizes in the form of the C API.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <dynbatch/acl.h>

namespace dynbatch::capi {

/// Refuses null, and with ACL_ERROR_STORAGE_OVER_LIMIT more sizes than there is room for.
void put_dims(aclmdlIODims* dims, const std::string& name, const std::vector<std::int64_t>& sizes);

}  // namespace dynbatch::capi

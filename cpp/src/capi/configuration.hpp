// The file that aclInit() may be given. Nothing in it is of use here; that it is JSON is checked all the same.
#pragma once

#include <string>

namespace dynbatch::capi {

/// Refuses with ACL_ERROR_INVALID_FILE what cannot be read, or is not one JSON object.
void check_configuration(const std::string& path);

}  // namespace dynbatch::capi

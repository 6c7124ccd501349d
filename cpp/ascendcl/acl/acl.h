// The header's published name, for programs that are compiled with DYNBATCH_BUILD_ASCENDCL's include path.
#pragma once

#include <dynbatch/acl.h>

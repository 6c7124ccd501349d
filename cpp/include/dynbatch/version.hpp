// The one place that states the version: CMake, the wheel and dynbatch.__version__ read it.
#pragma once

#define DYNBATCH_VERSION "0.1.0"

// Where the models are that programs run: programs.py tells by environment variables.
#pragma once

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace dynbatch::bench {

/// The path in DYNBATCH_BENCH_<name>, in capitals.
inline std::string model_path(const char* name) {
  std::string variable = "DYNBATCH_BENCH_";
  for (const char* at = name; *at != '\0'; ++at)
    variable += *at >= 'a' && *at <= 'z' ? static_cast<char>(*at - 'a' + 'A') : *at;
  const char* const path = std::getenv(variable.c_str());
  if (path == nullptr)
    throw std::invalid_argument(variable + ": expected the path of a model, got nothing");
  return path;
}

}  // namespace dynbatch::bench

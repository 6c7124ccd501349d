#include <dynbatch/compile.hpp>

#include <utility>

namespace dynbatch {

CompileError::CompileError(std::string code, std::string option, std::string given,
                           std::string allowed)
    : Error(ErrorCode::invalid_argument,
            code + ": --" + option + ": expected " + allowed + "; got '" + given + "'"),
      atc_code_(std::move(code)),
      option_(std::move(option)),
      given_(std::move(given)),
      allowed_(std::move(allowed)) {}

CompileError::~CompileError() = default;

}  // namespace dynbatch

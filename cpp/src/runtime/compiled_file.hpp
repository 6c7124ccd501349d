// Writes a compiled model: the bytes of the model with its gears in the metadata.
#pragma once

#include <string>
#include <vector>

#include <dynbatch/compiled_model.hpp>

namespace dynbatch {

/// Replaces `output` in one step. Data files are copied beside it if its folder is another one, and told in
/// `warnings`; one that is there already must be as large. Throws Error(model).
void write_compiled(const std::string& model_path, const std::string& output,
                    const CompiledModel& model, std::vector<std::string>& warnings);

}  // namespace dynbatch

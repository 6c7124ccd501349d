// ONNX files as bytes: a ModelProto in the wire format of protocol buffers, of which only what is needed here is
// read. Pure functions. Throw Error(model) for what is not of the format.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dynbatch {

/// The model with this entry of metadata, and without others of that key; all else as it stands. Throws Error(model)
/// also if that is more than the 2 GiB of an ONNX file.
std::string with_metadata(std::string_view model, std::string_view key, std::string_view value);

/// The files in which tensors of the model keep their values, relative to the model's own folder; each once.
std::vector<std::string> external_locations(std::string_view model);

}  // namespace dynbatch

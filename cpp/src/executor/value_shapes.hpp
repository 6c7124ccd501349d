// Whether shapes inside an ONNX model follow from the shapes of its inputs alone, or also from their values. What
// cannot be told for sure is taken to follow: operators of other domains; branches of an If whose condition follows
// from shapes; branches that make different shapes; windows (Slice, Range) whose two ends come from values, since their
// length may be constant; what a Scan carries on from its first step; graphs nested 100 deep.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace dynbatch {

/// A node that makes a shape of values.
struct ShapeFromValues {
  std::string node;   // "'name' (Op)", or "Op of 'output'" of a node without a name
  std::string input;  // whose values depend on those of the model's inputs
};

/// The first of them, of an ONNX file's bytes. Pure. Throws Error(model) for what is no ONNX file.
std::optional<ShapeFromValues> shape_from_values(std::string_view model);

}  // namespace dynbatch

// Which axis of each input of a model is the batch.
//
//   declared                          as it says
//   axis 0 is free                    axis 0, or the one axis whose name says batch, as in [time, batch, 4]
//   another axis has a batch's name   that axis; a batch's name is one that stands on a batch axis
//   none of these                     the input is shared
// Where no axis 0 is free, the one name that all inputs with free dimensions have is the batch's, if no
// fixed batch could be meant; and where there is none, equal leading dimensions are a fixed batch.
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "executor/onnx_messages.hpp"

namespace dynbatch::onnx {

/// What is known of one input while its batch axis is looked for.
struct InputRole {
  const OnnxTensorDeclaration* declaration = nullptr;
  Dims dims;                  // bound
  InputDeclaration declared;  // default-made: nothing is
  bool ragged = false;        // its rows lie on no axis of their own
  bool made_whole = false;    // one of BatchInput's targets: made of a batch, and no part of it
  std::optional<std::size_t> batch_axis;  // found; none for these two, and if the input is shared

  bool is_shared() const { return !ragged && !made_whole && !batch_axis; }
};

struct BatchAxes {
  std::size_t fixed_batch = 0;  // 0: batches of any size
  std::set<std::string> names;  // of free dimensions that are the batch
};

/// Settles InputRole::batch_axis. Throws Error(invalid_argument) where a declaration does not fit, and
/// Error(model) where there is no batch axis, or where it cannot be told.
BatchAxes find_batch_axes(std::vector<InputRole>& inputs);

}  // namespace dynbatch::onnx

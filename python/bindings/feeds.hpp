// What a caller feeds, as views that a request can be made of.
//
// A C-contiguous, aligned array of the machine's byte order passes without a copy. Anything else
// (nested lists, Fortran order, strides, foreign byte order, numbers, other array types) is copied
// once, here, before the request takes a place in the queue; the copies are counted.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include <dynbatch/tensor.hpp>

namespace dynbatch::python {

namespace py = pybind11;

/// The inputs and outputs of a model, with their names as Python strings.
struct Signature {
  explicit Signature(const ModelSpec& spec);

  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
  std::vector<py::str> input_names;
  std::vector<py::str> output_names;
  std::vector<py::str> given_names;  // of the inputs that callers may give
  std::size_t only_input = kNone;    // the one that they have to give, if it is one

  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
};

/// Lives on the stack of one call, and keeps the caller's arrays alive for it.
class Feeds {
 public:
  /// `feeds`: a mapping from input name to array, or the bare array of a model with one input. Masks
  /// and lengths that the runtime can make may be left out, and their views are default-made; what it
  /// makes of a batch must be. Raises InvalidInput naming the input, what was expected and what came. Types and shapes that
  /// an array can have at all are left to the core to judge.
  Feeds(const Signature& signature, py::handle feeds);

  std::span<const InputView> views() const noexcept;
  std::size_t copied_arrays() const noexcept { return copied_arrays_; }
  std::size_t size_bytes() const noexcept { return size_bytes_; }
  /// What the views are of, by name.
  py::dict arrays(const Signature& signature) const;

 private:
  void set(std::size_t index, const TensorSpec& spec, py::handle value);
  void set_all(const Signature& signature, const py::dict& feeds);

  // Models of up to four inputs, nearly all of them, need no allocation.
  static constexpr std::size_t kInline = 4;
  std::size_t count_;
  std::array<InputView, kInline> inline_views_;
  std::array<py::object, kInline> inline_owners_;
  std::vector<InputView> more_views_;
  std::vector<py::object> more_owners_;
  std::size_t copied_arrays_ = 0;
  std::size_t size_bytes_ = 0;
};

}  // namespace dynbatch::python

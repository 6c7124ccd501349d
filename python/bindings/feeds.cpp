#include "feeds.hpp"

#include <string>
#include <utility>

#include "arrays.hpp"
#include "exceptions.hpp"

namespace dynbatch::python {
namespace {

/// "a, b, c" of anything whose items are names.
template <class Names>
std::string joined(const Names& names) {
  std::string text;
  for (const py::handle name : names) {
    if (!text.empty()) text += ", ";
    text += std::string(py::str(name));
  }
  return text.empty() ? "none" : text;
}

std::string type_name(py::handle value) {
  return py::str(py::type::handle_of(value).attr("__name__"));
}

[[noreturn]] void refuse(const TensorSpec& spec, const std::string& got) {
  raise(ErrorCode::invalid_input, "input '" + spec.name + "': expected an array of " +
                                      dynbatch::name_of(spec.dtype) + ", got " + got);
}

/// ONNX Runtime's own containers have no place in a batch; says what to feed instead.
void refuse_runtime_containers(const TensorSpec& spec, py::handle value) {
  const std::string name = type_name(value);
  if (name == "OrtValue") {
    refuse(spec, "an OrtValue: feed its .numpy()");
  }
  if (name == "SparseTensor") refuse(spec, "a SparseTensor: feed a dense array");
}

/// Whether a request has none: it is made of a whole batch.
bool is_of_batch(const TensorSpec& spec) noexcept {
  return spec.made != Made::no && spec.made != Made::mask && spec.made != Made::length;
}

/// An array of what is none. Lists and numbers have no element type of their own, so they take the
/// input's; everything else keeps the type that it has.
py::array converted(const TensorSpec& spec, py::handle value) {
  refuse_runtime_containers(spec, value);
  const bool typeless = PyList_Check(value.ptr()) || PyTuple_Check(value.ptr()) ||
                        PyFloat_Check(value.ptr()) || PyLong_Check(value.ptr());
  try {
    if (!typeless) return py::module_::import("numpy").attr("asarray")(value);
    return py::module_::import("dynbatch._tensors").attr("typed")(value, dtype_of(spec.dtype));
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_ValueError) && !error.matches(PyExc_TypeError)) throw;
    refuse(spec, std::string(py::str(error.value())));
  }
}

void refuse_unknown(const Signature& signature, const py::dict& feeds) {
  for (const auto& [name, value] : feeds) {
    bool known = false;
    for (const py::str& input : signature.input_names) known = known || name.equal(input);
    if (!known) {
      raise(ErrorCode::invalid_input, "there is no input '" + std::string(py::str(name)) +
                                          "': expected " + joined(signature.given_names));
    }
  }
}

}  // namespace

Signature::Signature(const ModelSpec& spec) : inputs(spec.inputs), outputs(spec.outputs) {
  const auto interned = [](const std::vector<TensorSpec>& tensors) {
    std::vector<py::str> names;
    for (const TensorSpec& tensor : tensors) {
      PyObject* name = py::str(tensor.name).release().ptr();
      PyUnicode_InternInPlace(&name);
      names.push_back(py::reinterpret_steal<py::str>(name));
    }
    return names;
  };
  input_names = interned(inputs);
  output_names = interned(outputs);
  std::size_t needed = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!is_of_batch(inputs[i])) given_names.push_back(input_names[i]);
    if (inputs[i].made != Made::no) continue;
    only_input = ++needed == 1 ? i : kNone;
  }
}

Feeds::Feeds(const Signature& signature, py::handle feeds) : count_(signature.inputs.size()) {
  if (count_ > kInline) {
    more_views_.resize(count_);
    more_owners_.resize(count_);
  }
  if (PyDict_Check(feeds.ptr())) {
    set_all(signature, py::reinterpret_borrow<py::dict>(feeds));
  } else if (!py::isinstance<py::array>(feeds) && py::hasattr(feeds, "keys")) {
    set_all(signature, py::dict(py::reinterpret_borrow<py::object>(feeds)));
  } else if (signature.only_input != Signature::kNone) {
    set(signature.only_input, signature.inputs[signature.only_input], feeds);
  } else {
    raise(ErrorCode::invalid_input, "feeds: expected a mapping with the inputs " +
                                        joined(signature.given_names) + ", got " +
                                        type_name(feeds));
  }
}

void Feeds::set_all(const Signature& signature, const py::dict& feeds) {
  std::size_t given = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    const TensorSpec& spec = signature.inputs[i];
    PyObject* const value = PyDict_GetItemWithError(feeds.ptr(), signature.input_names[i].ptr());
    if (value != nullptr && !is_of_batch(spec)) {
      set(i, spec, value);
      ++given;
    } else if (value != nullptr) {
      raise(ErrorCode::invalid_input, "input '" + spec.name +
                                          "' is made by the runtime for each batch: expected " +
                                          joined(signature.given_names));
    } else if (PyErr_Occurred() != nullptr) {
      throw py::error_already_set();
    } else if (spec.made == Made::no) {
      raise(ErrorCode::invalid_input, "input '" + spec.name + "' is missing: expected " +
                                          joined(signature.given_names) + ", got " +
                                          joined(py::list(feeds)));
    }
  }
  if (feeds.size() != given) refuse_unknown(signature, feeds);
}

void Feeds::set(std::size_t index, const TensorSpec& spec, py::handle value) {
  const bool is_array = py::isinstance<py::array>(value);
  auto array = is_array ? py::reinterpret_borrow<py::array>(value) : converted(spec, value);
  if (!is_array) ++copied_arrays_;
  const auto type = data_type_of(array.dtype());
  if (!type) refuse(spec, name_of(array.dtype()));
  if (!is_plain(array)) {
    array = plain_copy(array);
    ++copied_arrays_;
  }
  InputView& view = count_ > kInline ? more_views_[index] : inline_views_[index];
  view.data = array.data();
  view.dtype = *type;
  view.shape = shape_of(array);
  size_bytes_ += static_cast<std::size_t>(array.nbytes());
  // ONNX Runtime takes one element for a scalar, and so do its users.
  if (spec.shared && spec.row_shape.rank() == 0 && view.shape == Shape{1}) view.shape = Shape{};
  (count_ > kInline ? more_owners_[index] : inline_owners_[index]) = std::move(array);
}

py::dict Feeds::arrays(const Signature& signature) const {
  py::dict arrays;
  for (std::size_t i = 0; i < count_; ++i) {
    const py::object& owner = count_ > kInline ? more_owners_[i] : inline_owners_[i];
    if (owner) arrays[signature.input_names[i]] = owner;  // else it was left out
  }
  return arrays;
}

std::span<const InputView> Feeds::views() const noexcept {
  return {count_ > kInline ? more_views_.data() : inline_views_.data(), count_};
}

}  // namespace dynbatch::python

#include <dynbatch/executor.hpp>

#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "arrays.hpp"
#include "core.hpp"
#include "exceptions.hpp"
#include "gil.hpp"
#include "python_executor.hpp"
#include "register.hpp"

namespace dynbatch::python {
namespace {

thread_local const Core* running = nullptr;

class InsideRun {
 public:
  explicit InsideRun(const Core* core) noexcept : before_(std::exchange(running, core)) {}
  InsideRun(const InsideRun&) = delete;
  InsideRun& operator=(const InsideRun&) = delete;
  ~InsideRun() { running = before_; }

 private:
  const Core* before_;
};

bool rows_fit(const Shape& shape, const Shape& row_shape) noexcept {
  if (!shape.valid() || shape.rank() != row_shape.rank() + 1) return false;
  for (std::size_t axis = 0; axis < row_shape.rank(); ++axis) {
    if (row_shape[axis] != -1 && row_shape[axis] != shape[axis + 1]) return false;
  }
  return true;
}

/// Where output `index` is to be written; null where it has to be brought, as all are of rows that
/// differ in shape.
std::byte* memory_for(const Batch& batch, std::size_t index) noexcept {
  return batch.input_shapes.empty() ? batch.outputs[index] : nullptr;
}

/// "float32 [4, -1] (-1: any)".
std::string expected_output(const TensorSpec& output, const Batch& batch) {
  const std::string type = dynbatch::name_of(output.dtype);
  if (!batch.input_shapes.empty()) {
    return type + " of at most " + std::to_string(Shape::kMaxRank) + " dimensions";
  }
  return type + " " + to_string(with_rows(batch.rows, output.row_shape)) + " (-1: any)";
}

/// Hands over a copy of the array's elements: it is freed on any thread, without the GIL.
void hand_over(std::size_t index, const py::array& array, RunOutputs& outputs) {
  const auto size_bytes = static_cast<std::size_t>(array.nbytes());
  void* const memory = std::malloc(size_bytes > 0 ? size_bytes : 1);
  if (memory == nullptr) throw std::bad_alloc();
  if (size_bytes > 0) std::memcpy(memory, array.data(), size_bytes);
  outputs.adopt(index, memory, shape_of(array), std::free, memory);
}

py::capsule capsule_of(std::shared_ptr<Core> core) {
  return {new std::shared_ptr<Core>(std::move(core)),
          [](void* kept) { delete static_cast<std::shared_ptr<Core>*>(kept); }};
}

}  // namespace

PythonExecutor::PythonExecutor(ModelSpec spec, py::function function, py::object terminate,
                               bool reruns, bool may_keep_arrays)
    : spec_(std::move(spec)),
      reruns_(reruns),
      may_keep_arrays_(may_keep_arrays),
      function_(function.release().ptr()),
      terminate_(terminate.is_none() ? nullptr : terminate.release().ptr()) {}

PythonExecutor::~PythonExecutor() {
  drop(function_);
  drop(terminate_);
}

bool PythonExecutor::running_for(const Core* core) noexcept { return running == core; }

const Core* PythonExecutor::running_here() noexcept { return running; }

void PythonExecutor::attach(const std::shared_ptr<Core>& core) noexcept {
  core_ = core;
  core_address_ = core.get();
}

Failure PythonExecutor::run(const Batch& batch, RunOutputs& outputs) noexcept {
  const py::gil_scoped_acquire gil;
  const InsideRun inside(core_address_);
  try {
    drop_deferred();
    const py::object owner = capsule_of(core_.lock());
    const py::list inputs = input_arrays(batch, owner);
    take(batch, outputs, call(batch, inputs, output_arrays(batch, owner)));
    return {};
  } catch (py::error_already_set& error) {
    // The frames of the user's function, which the exception that callers get shows as its cause.
    if (error.trace()) PyException_SetTraceback(error.value().ptr(), error.trace().ptr());
    return failure_of(error.value());
  } catch (const std::exception& error) {
    return {ErrorCode::execution, error.what(), nullptr};
  }
}

py::object PythonExecutor::call(const Batch& batch, const py::list& inputs,
                                const py::list& outputs) const {
  const auto function = py::reinterpret_borrow<py::object>(function_);
  try {
    return function(inputs, outputs);
  } catch (py::error_already_set&) {
    // At load, an output that has not a row for each of the batch does not fit into its memory.
    // Without that memory the run shows the output's own shape, which says what is wrong.
    if (!reruns_ || batch.output_slot != Batch::kNoSlot || !batch.input_shapes.empty()) throw;
    py::list nowhere;
    for (std::size_t i = 0; i < outputs.size(); ++i) nowhere.append(py::none());
    return function(inputs, nowhere);
  }
}

py::list PythonExecutor::input_arrays(const Batch& batch, const py::object& owner) const {
  py::list arrays(spec_.inputs.size());
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    const TensorSpec& input = spec_.inputs[i];
    const Shape shape = !batch.input_shapes.empty() ? batch.input_shapes[i]
                        : input.shared              ? input.row_shape
                                                    : with_rows(batch.rows, input.row_shape);
    // Requests share the bytes of a shared input, so that nobody may write them.
    const py::array view = view_of(batch.inputs[i], input.dtype, shape, owner, !input.shared);
    // Memory without a slot lives for this run alone, and nothing that a function keeps can hold it.
    const bool gone_after_run =
        may_keep_arrays_ && (batch.input_slot == Batch::kNoSlot || input.shared);
    arrays[i] = gone_after_run ? py::object(view.attr("copy")()) : py::object(view);
  }
  return arrays;
}

py::list PythonExecutor::output_arrays(const Batch& batch, const py::object& owner) const {
  py::list arrays(spec_.outputs.size());
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    const TensorSpec& output = spec_.outputs[i];
    arrays[i] = memory_for(batch, i) == nullptr
                    ? py::object(py::none())
                    : view_of(batch.outputs[i], output.dtype,
                              with_rows(batch.rows, output.row_shape), owner, true);
  }
  return arrays;
}

void PythonExecutor::take(const Batch& batch, RunOutputs& outputs, const py::object& answer) const {
  py::object arrays = answer;
  if (py::isinstance<py::tuple>(answer)) {
    const auto pair = py::reinterpret_borrow<py::tuple>(answer);
    arrays = pair[0];
    for (const auto& [row, exception] : py::reinterpret_borrow<py::dict>(pair[1])) {
      outputs.fail_row(py::cast<std::size_t>(row),
                       failure_of(py::reinterpret_borrow<py::object>(exception)));
    }
  }
  const auto list = py::cast<py::list>(arrays);
  if (list.size() != spec_.outputs.size()) {
    raise(ErrorCode::execution, "the run returned " + std::to_string(list.size()) +
                                    " outputs, expected " + std::to_string(spec_.outputs.size()));
  }
  for (std::size_t i = 0; i < list.size(); ++i) take_output(i, batch, outputs, list[i]);
}

void PythonExecutor::take_output(std::size_t index, const Batch& batch, RunOutputs& outputs,
                                 py::handle answer) const {
  std::byte* const memory = memory_for(batch, index);
  if (answer.is_none() && memory != nullptr) return;
  const TensorSpec& output = spec_.outputs[index];
  auto array = py::array::ensure(answer);
  if (!array) throw py::error_already_set();
  if (!is_plain(array)) array = plain_copy(array);
  const Shape shape = shape_of(array);
  // The core judges the leading dimension of what it is handed (at load it is the model's fault), and
  // the whole shape where rows differ in it.
  const bool staged = !batch.input_shapes.empty();
  const bool has_rows =
      !staged && shape.rank() > 0 && shape[0] == static_cast<std::int64_t>(batch.rows);
  const bool fits = staged ? shape.valid() : !has_rows || rows_fit(shape, output.row_shape);
  if (data_type_of(array.dtype()) != output.dtype || !fits) {
    raise(ErrorCode::execution, "output '" + output.name + "': expected " +
                                    expected_output(output, batch) + ", got " +
                                    name_of(array.dtype()) + " " + to_string(shape));
  }
  if (has_rows && memory != nullptr) {
    const auto size_bytes = static_cast<std::size_t>(array.nbytes());
    if (size_bytes > 0) std::memcpy(memory, array.data(), size_bytes);
    return;
  }
  hand_over(index, array, outputs);
}

void PythonExecutor::terminate() noexcept {
  if (terminate_ == nullptr) return;
  const py::gil_scoped_acquire gil;
  try {
    py::reinterpret_borrow<py::object>(terminate_)();
  } catch (py::error_already_set& error) {
    error.discard_as_unraisable("dynbatch: ending runs early");
  }
}

void register_executor(py::module_& module) {
  py::class_<Executor, py::smart_holder>(
      module, "Executor", "What runs batches, before a Batcher or a GearModel has taken it.")
      .def_property_readonly("spec", [](const Executor& self) { return self.spec(); });
  module.def(
      "make_python_executor",
      [](ModelSpec spec, py::function function, py::object terminate, bool reruns,
         bool may_keep_arrays) {
        return std::unique_ptr<Executor>(std::make_unique<PythonExecutor>(
            std::move(spec), std::move(function), std::move(terminate), reruns, may_keep_arrays));
      },
      py::arg("spec"), py::arg("function"), py::arg("terminate"), py::arg("reruns"),
      py::arg("may_keep_arrays"),
      "An executor that calls function(inputs, outputs) for each batch, with the GIL held.");
}

}  // namespace dynbatch::python

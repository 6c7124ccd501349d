// PythonExecutor: an executor whose batches are run by a Python function over gear memory.
//
// It runs on workers only, which are threads that Python made; each run takes the GIL for as long as
// the function keeps it.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include <dynbatch/executor.hpp>

namespace dynbatch::python {

namespace py = pybind11;

class Core;

class PythonExecutor final : public Executor {
 public:
  /// `function(inputs, outputs)`: inputs are arrays over the batch's rows, valid until it returns;
  /// outputs are arrays to write into, or None where the shape is known only after the run, as are
  /// all where rows differ in shape. It returns one array (or None: written in place) for each output, or a pair of that list and a
  /// dict from row to the exception that the row's request gets. `terminate()`, or None, is called
  /// when runs are to end early. `may_keep_arrays`: memory that is gone after a run is copied for
  /// the function, so that an array that it keeps stays readable.
  PythonExecutor(ModelSpec spec, py::function function, py::object terminate, bool reruns,
                 bool may_keep_arrays);
  /// On any thread.
  ~PythonExecutor() override;

  /// Whether this thread is inside a run that `core` asked for.
  static bool running_for(const Core* core) noexcept;
  /// Whose run this thread is inside; null: nobody's.
  static const Core* running_here() noexcept;
  /// Arrays that the function keeps hold the core, and so the memory under them.
  void attach(const std::shared_ptr<Core>& core) noexcept;

  const ModelSpec& spec() const noexcept override { return spec_; }
  Failure run(const Batch& batch, RunOutputs& outputs) noexcept override;
  void terminate() noexcept override;
  bool runs_on_callers() const noexcept override { return false; }
  bool reruns() const noexcept override { return reruns_; }

 private:
  py::object call(const Batch& batch, const py::list& inputs, const py::list& outputs) const;
  py::list input_arrays(const Batch& batch, const py::object& owner) const;
  py::list output_arrays(const Batch& batch, const py::object& owner) const;
  void take(const Batch& batch, RunOutputs& outputs, const py::object& answer) const;
  void take_output(std::size_t index, const Batch& batch, RunOutputs& outputs,
                   py::handle answer) const;

  const ModelSpec spec_;
  const bool reruns_;
  const bool may_keep_arrays_;
  PyObject* function_;
  PyObject* terminate_;  // null: none
  std::weak_ptr<Core> core_;
  const Core* core_address_ = nullptr;
};

}  // namespace dynbatch::python

// dynbatch._core: libdynbatch for the Python package. Private; its names may change at any time.
#include <pybind11/pybind11.h>

#include <dynbatch/version.hpp>

#include "gil.hpp"
#include "register.hpp"

PYBIND11_MODULE(_core, module, pybind11::multiple_interpreters::not_supported()) {
  using namespace dynbatch::python;
  module.doc() = "libdynbatch for the Python package. Private: use the names of dynbatch itself.";
  module.attr("__version__") = DYNBATCH_VERSION;
  // In the order in which signatures name each other's types.
  register_error(module);
  register_tensor(module);
  register_options(module);
  register_gear(module);
  register_stats(module);
  register_executor(module);
  register_onnxruntime_executor(module);
  register_synthetic_executor(module);
  register_ticket(module);
  register_batcher(module);
  register_completion_port(module);
  register_compiled_model(module);
  register_gear_model(module);
  register_compile(module);
  module.def("_after_fork", &after_fork,
             "Tells every object of this process's parent that it is "
             "in a child now. Called once, in the child.");
}

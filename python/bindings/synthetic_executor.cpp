#include <dynbatch/synthetic_executor.hpp>

#include "register.hpp"
#include "seconds.hpp"

namespace dynbatch::python {

void register_synthetic_executor(py::module_& module) {
  module.def(
      "make_synthetic_executor",
      [](std::size_t row_elements, double fixed, double per_row, std::size_t fixed_batch,
         float poison, bool runs_on_callers) {
        SyntheticOptions options;
        options.row_elements = row_elements;
        options.fixed = to_duration("fixed", fixed);
        options.per_row = to_duration("per_row", per_row);
        options.fixed_batch = fixed_batch;
        options.poison = poison;
        options.runs_on_callers = runs_on_callers;
        return make_synthetic_executor(std::move(options));
      },
      py::kw_only(), py::arg("row_elements") = 16, py::arg("fixed") = 0.0, py::arg("per_row") = 0.0,
      py::arg("fixed_batch") = 0, py::arg("poison") = __builtin_nanf(""),
      py::arg("runs_on_callers") = true,
      "y = 2 x + 1 over float32 rows, after a busy time of fixed + per_row * rows seconds.");
}

}  // namespace dynbatch::python

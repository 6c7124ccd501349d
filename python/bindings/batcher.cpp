#include <dynbatch/batcher.hpp>

#include <pybind11/stl.h>

#include "bound_ticket.hpp"
#include "core.hpp"
#include "loop_port.hpp"
#include "register.hpp"
#include "seconds.hpp"

namespace dynbatch::python {

void register_batcher(py::module_& module) {
  py::class_<LoadReport>(module, "LoadReport")
      .def_readonly("probed", &LoadReport::probed)
      .def_readonly("rows_independent", &LoadReport::rows_independent)
      .def_readonly("bit_equal", &LoadReport::bit_equal)
      .def_readonly("difference", &LoadReport::difference)
      .def_readonly("merges", &LoadReport::merges)
      .def_readonly("warning", &LoadReport::warning);

  py::class_<Core, std::shared_ptr<Core>>(module, "Batcher", "One executor behind its queue.")
      .def(py::init(&Core::make), py::arg("executor"), py::arg("options"), py::arg("examples"),
           "Takes the executor over, warms it up, probes it and starts the workers.")
      .def(
          "run",
          [](Core& self, py::handle feeds, const std::optional<OutputIndices>& outputs,
             OnFull on_full) {
            Ticket ticket = self.infer(feeds, on_full, std::nullopt);
            return result_list(ticket, *self.signature(), outputs ? &*outputs : nullptr);
          },
          py::arg("feeds"), py::arg("outputs"), py::arg("on_full"),
          "The outputs with these indices, or all, as a list. Blocks without the GIL.")
      .def(
          "infer",
          [](Core& self, py::handle feeds, OnFull on_full, py::handle timeout) {
            Ticket ticket = self.infer(feeds, on_full, seconds_of("timeout", timeout));
            return result_dict(ticket, *self.signature());
          },
          py::arg("feeds"), py::arg("on_full"), py::arg("timeout"),
          "All outputs by name. Blocks without the GIL.")
      .def(
          "submit",
          [](const std::shared_ptr<Core>& self, py::handle feeds, OnFull on_full) {
            return BoundTicket(self, self->submit(feeds, on_full));
          },
          py::arg("feeds"), py::arg("on_full"))
      .def(
          "try_submit",
          [](const std::shared_ptr<Core>& self, py::handle feeds) -> std::optional<BoundTicket> {
            auto ticket = std::make_shared<Ticket>(self->try_submit(feeds));
            if (!ticket->accepted()) return std::nullopt;
            return BoundTicket(self, std::move(ticket));
          },
          py::arg("feeds"), "None where the queue is full: the caller is to ask again.")
      .def("loop_submitter", &loop_submitter,
           "A function that submits feeds on the running loop: an Answer to await; None where the "
           "queue "
           "is full; False where the loop has no LoopPort.")
      .def("exceeds_queue", py::overload_cast<py::handle>(&Core::exceeds_queue, py::const_),
           py::arg("feeds"))
      .def("arrays", &Core::arrays, py::arg("feeds"),
           "The feeds by name, as arrays that pass without a copy.")
      .def("work", &Core::work, "Lends this thread as a worker, without the GIL, until close().")
      .def("wait_for_workers", &Core::wait_for_workers,
           "Blocks, without the GIL, until as many threads as there are workers are in work().")
      .def("close", &Core::close, py::arg("drain"))
      .def_property_readonly("closed", &Core::closed)
      .def_property_readonly("spec", [](const Core& self) { return self.batcher().spec(); })
      .def_property_readonly("gears", [](const Core& self) { return self.batcher().gears(); })
      .def_property_readonly("report", [](const Core& self) { return self.batcher().report(); })
      .def("memory_plan", [](const Core& self) { return self.batcher().memory_plan(); })
      .def("stats", &Core::stats)
      .def_property_readonly("copied_arrays", &Core::copied_arrays)
      .def_property_readonly("runs_with_gil", &Core::runs_with_gil)
      .def_property(
          "max_queue_delay",
          [](const Core& self) { return to_seconds(self.batcher().max_queue_delay()); },
          [](Core& self, double seconds) {
            const auto delay = to_duration("max_queue_delay", seconds);
            const GilRelease release;
            self.batcher().set_max_queue_delay(delay);
          },
          "In seconds.");
}

}  // namespace dynbatch::python

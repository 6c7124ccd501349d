#include <dynbatch/stats.hpp>

#include <pybind11/stl.h>

#include "register.hpp"

namespace dynbatch::python {

void register_stats(py::module_& module) {
  py::class_<Quantiles>(module, "Quantiles")
      .def_readonly("count", &Quantiles::count)
      .def_readonly("p50", &Quantiles::p50)
      .def_readonly("p90", &Quantiles::p90)
      .def_readonly("p99", &Quantiles::p99)
      .def_readonly("max", &Quantiles::max);
  py::class_<Stats>(module, "Stats")
      .def_readonly("accepted", &Stats::accepted)
      .def_readonly("succeeded", &Stats::succeeded)
      .def_readonly("failed", &Stats::failed)
      .def_readonly("cancelled", &Stats::cancelled)
      .def_readonly("timed_out", &Stats::timed_out)
      .def_readonly("in_flight", &Stats::in_flight)
      .def_readonly("refused", &Stats::refused)
      .def_readonly("rows", &Stats::rows)
      .def_readonly("padded_rows", &Stats::padded_rows)
      .def_readonly("elements", &Stats::elements)
      .def_readonly("padded_elements", &Stats::padded_elements)
      .def_readonly("batches", &Stats::batches)
      .def_readonly("failed_runs", &Stats::failed_runs)
      .def_readonly("reruns", &Stats::reruns)
      .def_readonly("batches_by_size", &Stats::batches_by_size)
      .def_readonly("closed_full", &Stats::closed_full)
      .def_readonly("closed_idle", &Stats::closed_idle)
      .def_readonly("closed_delay", &Stats::closed_delay)
      .def_readonly("closed_space", &Stats::closed_space)
      .def_readonly("closed_drain", &Stats::closed_drain)
      .def_readonly("runs_on_callers", &Stats::runs_on_callers)
      .def_readonly("runs_on_workers", &Stats::runs_on_workers)
      .def_readonly("runs_alone", &Stats::runs_alone)
      .def_readonly("worker_wakeups", &Stats::worker_wakeups)
      .def_readonly("queue_wait", &Stats::queue_wait)
      .def_readonly("run_time", &Stats::run_time)
      .def_readonly("gear_table", &Stats::gear_table)
      .def_readonly("resident_bytes", &Stats::resident_bytes)
      .def_readonly("given_back_bytes", &Stats::given_back_bytes)
      .def_readonly("shrinks", &Stats::shrinks)
      .def_readonly("unread_bytes", &Stats::unread_bytes)
      .def_readonly("workers", &Stats::workers)
      .def_readonly("runs_under_way", &Stats::runs_under_way);
}

}  // namespace dynbatch::python

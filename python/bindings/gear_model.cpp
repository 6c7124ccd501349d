#include <dynbatch/gear_model.hpp>

#include <pybind11/stl.h>

#include <cstring>
#include <utility>

#include "arrays.hpp"
#include "exceptions.hpp"
#include "feeds.hpp"
#include "gil.hpp"
#include "register.hpp"

namespace dynbatch::python {
namespace {

/// A GearModel that answers a second thread with an error rather than with a race.
class BoundGearModel {
 public:
  BoundGearModel(std::unique_ptr<Executor> executor, const std::vector<std::size_t>& gears)
      : signature_(executor->spec()), fork_generation_(python::fork_generation()) {
    const GilRelease release;
    model_ = std::make_unique<GearModel>(std::move(executor), gears);
  }
  BoundGearModel(const BoundGearModel&) = delete;
  BoundGearModel& operator=(const BoundGearModel&) = delete;
  ~BoundGearModel() {
    const GilRelease release;
    model_.reset();
  }

  void set_dynamic_batch_size(std::size_t batch_size) {
    const Turn turn(*this);
    model_->set_dynamic_batch_size(batch_size);
  }
  std::size_t dynamic_batch_size() const noexcept { return model_->dynamic_batch_size(); }

  py::dict execute(py::handle feeds) {
    const Turn turn(*this);
    const Feeds views(signature_, feeds);
    std::vector<OutputView> outputs;
    {
      const GilRelease release;
      outputs = model_->execute(views.views());
    }
    py::dict arrays;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      py::array copy = empty_array(outputs[i].dtype, outputs[i].shape);
      if (outputs[i].size_bytes > 0) {
        std::memcpy(copy.mutable_data(), outputs[i].data, outputs[i].size_bytes);
      }
      arrays[signature_.output_names[i]] = std::move(copy);
    }
    return arrays;
  }

  const GearModel& model() const noexcept { return *model_; }

 private:
  class Turn {
   public:
    explicit Turn(BoundGearModel& model) : busy_(model.busy_) {
      if (python::fork_generation() != model.fork_generation_) {
        raise(ErrorCode::closed,
              "the model was loaded before this process was forked: load after "
              "fork");
      }
      if (busy_) {
        raise(ErrorCode::invalid_argument,
              "a GearModel serves one thread at a time, and another one is inside: use "
              "dynbatch.load() for concurrent callers");
      }
      busy_ = true;
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() { busy_ = false; }

   private:
    bool& busy_;
  };

  Signature signature_;
  std::uint32_t fork_generation_;
  bool busy_ = false;  // guarded by the GIL
  std::unique_ptr<GearModel> model_;
};

}  // namespace

void register_gear_model(py::module_& module) {
  py::class_<BoundGearModel>(module, "GearModel", "The gear calls themselves, without batching.")
      .def(py::init<std::unique_ptr<Executor>, std::vector<std::size_t>>(), py::arg("executor"),
           py::arg("gears"))
      .def("set_dynamic_batch_size", &BoundGearModel::set_dynamic_batch_size, py::arg("batch_size"))
      .def_property_readonly("dynamic_batch_size", &BoundGearModel::dynamic_batch_size)
      .def("execute", &BoundGearModel::execute, py::arg("feeds"))
      .def_property_readonly("spec", [](const BoundGearModel& self) { return self.model().spec(); })
      .def_property_readonly("gears",
                             [](const BoundGearModel& self) { return self.model().gears(); })
      .def("memory_plan", [](const BoundGearModel& self) { return self.model().memory_plan(); });
}

}  // namespace dynbatch::python

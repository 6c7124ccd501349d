#include <dynbatch/gear_model.hpp>

#include <pybind11/native_enum.h>
#include <pybind11/stl.h>

#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "exceptions.hpp"
#include "feeds.hpp"
#include "gil.hpp"
#include "model_source.hpp"
#include "register.hpp"

namespace dynbatch::python {
namespace {

/// A GearModel that answers a second thread with an error rather than with a race.
class BoundGearModel {
 public:
  explicit BoundGearModel(std::unique_ptr<GearModel> model)
      : signature_(model->spec()),
        fork_generation_(python::fork_generation()),
        model_(std::move(model)) {}
  BoundGearModel(const BoundGearModel&) = delete;
  BoundGearModel& operator=(const BoundGearModel&) = delete;
  ~BoundGearModel() {
    const GilRelease release;
    model_.reset();
  }

  /// Calls `choose(model)` as the one thread that is inside.
  template <class Choose>
  void choose(Choose choose) {
    const Turn turn(*this);
    choose(*model_);
  }

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

std::unique_ptr<BoundGearModel> over_executor(std::unique_ptr<Executor> executor,
                                              const std::vector<std::size_t>& gears) {
  std::unique_ptr<GearModel> model;
  {
    const GilRelease release;
    model = std::make_unique<GearModel>(std::move(executor), gears);
  }
  return std::make_unique<BoundGearModel>(std::move(model));
}

using InputShapes = std::vector<std::pair<std::string, std::vector<std::int64_t>>>;

/// Without gears, those that the model brings.
std::unique_ptr<BoundGearModel> load(const py::object& source, const OnnxRuntimeOptions& options,
                                     GearKind kind,
                                     const std::vector<std::vector<std::int64_t>>& gears,
                                     const InputShapes& input_shape) {
  CompiledModel told;
  told.kind = kind;
  for (const auto& [name, shape] : input_shape)
    told.inputs.push_back({name, DataType::float32, shape});
  for (const std::vector<std::int64_t>& sizes : gears) told.gears.push_back({sizes, {}, 0.0});
  return std::make_unique<BoundGearModel>(load_source(source, [&](const auto&... from) {
    return gears.empty() ? std::make_unique<GearModel>(from..., options)
                         : std::make_unique<GearModel>(from..., std::move(told), options);
  }));
}

void register_choosing(py::class_<BoundGearModel>& bound) {
  bound
      .def(
          "set_dynamic_batch_size",
          [](BoundGearModel& self, std::size_t batch_size) {
            self.choose([&](GearModel& model) { model.set_dynamic_batch_size(batch_size); });
          },
          py::arg("batch_size"))
      .def(
          "set_dynamic_image_size",
          [](BoundGearModel& self, std::int64_t height, std::int64_t width) {
            self.choose([&](GearModel& model) { model.set_dynamic_image_size(height, width); });
          },
          py::arg("height"), py::arg("width"))
      .def(
          "set_input_dynamic_dims",
          [](BoundGearModel& self, const std::vector<std::int64_t>& dims) {
            self.choose([&](GearModel& model) { model.set_input_dynamic_dims(dims); });
          },
          py::arg("dims"))
      .def_property_readonly(
          "dynamic_batch_size",
          [](const BoundGearModel& self) { return self.model().dynamic_batch_size(); })
      .def_property_readonly("chosen_gear",
                             [](const BoundGearModel& self) { return self.model().chosen_gear(); })
      .def(
          "gear_for",
          [](const BoundGearModel& self, std::size_t rows, GearChoice choice) {
            return self.model().gear_for(rows, choice);
          },
          py::arg("rows"), py::arg("choice"));
}

}  // namespace

void register_gear_model(py::module_& module) {
  py::native_enum<GearChoice>(module, "GearChoice", "enum.Enum", "How a batch gear is chosen.")
      .value("upper", GearChoice::upper)
      .value("nearest", GearChoice::nearest)
      .value("lower", GearChoice::lower)
      .finalize();
  py::class_<BoundGearModel> bound(module, "GearModel",
                                   "The gear calls themselves, without batching.");
  bound.def(py::init(&over_executor), py::arg("executor"), py::arg("gears"))
      .def_static("load", &load, py::arg("model"), py::arg("options"), py::arg("kind"),
                  py::arg("gears"), py::arg("input_shape"),
                  "A path or bytes, on whole tensors; no gears: those that the model brings.")
      .def("execute", &BoundGearModel::execute, py::arg("feeds"))
      .def_property_readonly("spec", [](const BoundGearModel& self) { return self.model().spec(); })
      .def_property_readonly("gears",
                             [](const BoundGearModel& self) { return self.model().gears(); })
      .def_property_readonly("description",
                             [](const BoundGearModel& self) -> std::optional<OnnxModelDescription> {
                               const OnnxModelDescription* found = self.model().description();
                               if (found == nullptr) return std::nullopt;
                               return *found;
                             })
      .def("memory_plan", [](const BoundGearModel& self) { return self.model().memory_plan(); });
  register_choosing(bound);
}

}  // namespace dynbatch::python

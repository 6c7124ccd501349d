// ModelRun: one execution, checked and on its own: no dataset is needed any more.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "capi/dataset.hpp"
#include "capi/model_description.hpp"
#include "capi/models.hpp"

namespace dynbatch::capi {

struct ModelRun {
  std::shared_ptr<Model> model;
  std::size_t gear = 0;
  std::vector<const void*> inputs;
  std::vector<void*> outputs;

  /// Refuses with ACL_ERROR_GE_FAILURE if the model fails.
  void execute() const;
};

/// The gear of a dataset's executions: the one that was set, or the largest.
std::size_t gear_for(const Dataset& dataset, const ModelDescription& model);

}  // namespace dynbatch::capi

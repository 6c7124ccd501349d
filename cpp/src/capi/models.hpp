// The loaded models, by id. Whoever has found one keeps it until done, also when it is unloaded meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include <dynbatch/gear_model.hpp>

#include "capi/model_description.hpp"

namespace dynbatch::capi {

struct Model {
  std::unique_ptr<const GearModel> gears;
  std::shared_ptr<ModelDescription> description;  // never null
};

/// Refuses with ACL_ERROR_GE_EXEC_MODEL_ID_INVALID, before aclInit() with ACL_ERROR_GE_EXEC_NOT_INIT.
std::shared_ptr<Model> find_model(std::uint32_t id);
void unload_all();
std::size_t loaded_models();

}  // namespace dynbatch::capi

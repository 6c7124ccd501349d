// What aclmdlDesc and aclmdlAIPP stand for.
#pragma once

#include <cstdint>
#include <memory>

#include "capi/model_description.hpp"

namespace dynbatch::capi {

struct Description {
  std::shared_ptr<const ModelDescription> model;  // null until it is filled
};

struct Aipp {
  std::uint64_t batch_size = 0;
};

}  // namespace dynbatch::capi

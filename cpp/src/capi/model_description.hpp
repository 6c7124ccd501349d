// ModelDescription: what a loaded model tells about itself, and the gear that was set on it last. It outlives the
// model in the descriptions that callers have got. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include <dynbatch/acl.h>
#include <dynbatch/compiled_model.hpp>
#include <dynbatch/gear_model.hpp>

namespace dynbatch::capi {

/// An input or output as callers see it.
struct TensorDescription {
  std::string name;
  std::string short_name;          // fits aclmdlIODims::name
  std::vector<std::int64_t> dims;  // of an input with -1; of an output in the largest gear
  std::size_t bytes = 0;           // enough for every gear
  aclDataType type = ACL_DT_UNDEFINED;
  aclFormat format = ACL_FORMAT_UNDEFINED;
};

class ModelDescription {
 public:
  ModelDescription(std::uint32_t id, const GearModel& model);

  std::uint32_t id() const noexcept { return id_; }
  /// In the order of the model, with the shape input, if there are gears, as the last.
  const std::vector<TensorDescription>& inputs() const noexcept { return inputs_; }
  const std::vector<TensorDescription>& outputs() const noexcept { return outputs_; }
  const CompiledModel& compiled() const noexcept { return compiled_; }

  bool has_gears() const noexcept { return gear_values() > 0; }
  /// Numbers that name a gear: 1 for a batch, 2 for an image size, of dims the number of -1.
  std::size_t gear_values() const noexcept { return compiled_.gears.front().sizes.size(); }
  std::size_t largest_gear() const noexcept { return largest_; }
  /// Refuses with ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID, naming the gears, what is none of them.
  std::size_t gear_of(GearKind kind, const std::vector<std::int64_t>& sizes) const;
  /// Inputs and outputs of the largest gear.
  std::size_t work_bytes() const noexcept { return work_bytes_; }

  void remember_gear(std::size_t gear);
  /// The gear that was set last, at first the largest. Refuses with ACL_ERROR_GE_EXEC_MODEL_ID_INVALID once the
  /// model is unloaded.
  std::size_t remembered_gear() const;
  void note_unloaded();

 private:
  void describe_inputs(const GearModel& model);
  void describe_outputs(const GearModel& model);

  std::uint32_t id_;
  CompiledModel compiled_;
  std::size_t largest_;
  std::vector<TensorDescription> inputs_;
  std::vector<TensorDescription> outputs_;
  std::size_t work_bytes_ = 0;

  mutable std::mutex mutex_;
  std::size_t last_gear_;  // under mutex_
  bool unloaded_ = false;  // under mutex_
};

}  // namespace dynbatch::capi

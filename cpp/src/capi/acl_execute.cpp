// Executing: buffers are held against the gear that is set, then the model runs on them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <dynbatch/acl.h>
#include <dynbatch/error.hpp>
#include <dynbatch/gear_model.hpp>

#include "capi/answer.hpp"
#include "capi/dataset.hpp"
#include "capi/device_memory.hpp"
#include "capi/handles.hpp"
#include "capi/model_run.hpp"
#include "capi/models.hpp"
#include "capi/stream.hpp"

namespace dynbatch::capi {
namespace {

void check_count(const char* argument, const Dataset& dataset, std::size_t expected) {
  if (dataset.buffers.size() == expected) return;
  refuse(ACL_ERROR_GE_PARAM_INVALID, std::string(argument) + ": expected " +
                                         std::to_string(expected) + " buffers, got " +
                                         std::to_string(dataset.buffers.size()));
}

void check_buffer(const char* argument, std::size_t index, const DataBuffer& buffer,
                  std::size_t needed) {
  const bool has_address = buffer.data != nullptr || needed == 0;
  if (!buffer.destroyed && buffer.size >= needed && has_address) return;
  const std::string place = std::string(argument) + " " + std::to_string(index) + ": ";
  if (buffer.destroyed) refuse(ACL_ERROR_INVALID_PARAM, place + "its buffer is destroyed");
  if (buffer.size >= needed) refuse(ACL_ERROR_INVALID_PARAM, place + "its address is null");
  refuse(ACL_ERROR_GE_PARAM_INVALID, place + "expected at least " + std::to_string(needed) +
                                         " bytes for the gear that is set, got " +
                                         std::to_string(buffer.size));
}

void check_shape_input(const Dataset& dataset, const ModelDescription& model) {
  const DataBuffer& buffer = *dataset.buffers.back();
  require(!buffer.destroyed, "input: the shape input's buffer is destroyed");
  if (buffer.data == nullptr) {
    refuse(ACL_ERROR_GE_DYNAMIC_INPUT_ADDR_INVALID, "input: the shape input's address is null");
  }
  if (buffer.size < model.inputs().back().bytes) {
    refuse(ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID,
           "input: the shape input's buffer: expected at least " +
               std::to_string(model.inputs().back().bytes) + " bytes, got " +
               std::to_string(buffer.size));
  }
}

bool wants_memory(const DataBuffer& buffer) {
  return buffer.data == nullptr && buffer.size == 0 && !buffer.destroyed;
}

void take_inputs(ModelRun& run, const Dataset& input) {
  const ModelDescription& description = *run.model->description;
  check_count("input", input, description.inputs().size());
  if (description.has_gears()) check_shape_input(input, description);
  const std::size_t count = input.buffers.size() - (description.has_gears() ? 1 : 0);
  run.inputs.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const DataBuffer& buffer = *input.buffers[i];
    check_buffer("input", i, buffer, run.model->gears->input_bytes(run.gear, i));
    run.inputs.push_back(buffer.data);
  }
}

void take_outputs(ModelRun& run, const Dataset& output, bool gives_memory) {
  check_count("output", output, run.model->description->outputs().size());
  run.outputs.reserve(output.buffers.size());
  for (std::size_t i = 0; i < output.buffers.size(); ++i) {
    const DataBuffer& buffer = *output.buffers[i];
    if (!gives_memory || !wants_memory(buffer)) {
      check_buffer("output", i, buffer, run.model->gears->output_bytes(run.gear, i));
    }
    run.outputs.push_back(buffer.data);
  }
}

ModelRun prepared(std::uint32_t id, const Dataset& input, const Dataset& output,
                  bool gives_memory) {
  ModelRun run{.model = find_model(id)};
  run.gear = gear_for(input, *run.model->description);
  take_inputs(run, input);
  take_outputs(run, output, gives_memory);
  return run;
}

/// Memory for the outputs that came without. It is taken back unless the run succeeds.
class GivenOutputs {
 public:
  GivenOutputs() = default;
  GivenOutputs(const GivenOutputs&) = delete;
  GivenOutputs& operator=(const GivenOutputs&) = delete;
  ~GivenOutputs() {
    for (const Given& given : given_) release(given.memory, MemoryKind::device);
  }

  void give(ModelRun& run, const Dataset& output) {
    for (std::size_t i = 0; i < output.buffers.size(); ++i) {
      const std::size_t bytes = run.model->description->outputs()[i].bytes;
      if (!wants_memory(*output.buffers[i]) || bytes == 0) continue;
      const auto is_same = [&](const Given& each) {
        return each.buffer == output.buffers[i].get();
      };
      require(std::ranges::none_of(given_, is_same),
              "output: one buffer without memory stands for several outputs");
      given_.reserve(given_.size() + 1);
      run.outputs[i] = allocate(bytes, MemoryKind::device);
      given_.push_back({output.buffers[i].get(), run.outputs[i], bytes});
    }
  }

  void keep() {
    for (const Given& given : given_) {
      given.buffer->data = given.memory;
      given.buffer->size = given.bytes;
    }
    given_.clear();
  }

 private:
  struct Given {
    DataBuffer* buffer;
    void* memory;
    std::size_t bytes;
  };
  std::vector<Given> given_;
};

}  // namespace

std::size_t gear_for(const Dataset& dataset, const ModelDescription& model) {
  if (!dataset.gear) return model.largest_gear();
  return model.gear_of(dataset.gear->kind, dataset.gear->sizes);
}

void ModelRun::execute() const {
  const Failure failure = model->gears->run(gear, inputs, outputs);
  if (failure) refuse(ACL_ERROR_GE_FAILURE, failure.message);
}

}  // namespace dynbatch::capi

using namespace dynbatch::capi;  // NOLINT(google-build-using-namespace): C functions stand outside

aclError aclmdlExecute(uint32_t modelId, const aclmdlDataset* input, aclmdlDataset* output) {
  return answer(__func__, [&] {
    const auto in = checked<Dataset>(input, "input");
    const auto out = checked<Dataset>(output, "output");
    ModelRun run = prepared(modelId, *in, *out, true);
    GivenOutputs given;
    given.give(run, *out);
    run.execute();
    given.keep();
  });
}

aclError aclmdlExecuteAsync(uint32_t modelId, const aclmdlDataset* input, aclmdlDataset* output,
                            aclrtStream stream) {
  return answer(__func__, [&] {
    const auto in = checked<Dataset>(input, "input");
    const auto out = checked<Dataset>(output, "output");
    const auto queue = checked<Stream>(stream, "stream");
    queue->add(prepared(modelId, *in, *out, false));
  });
}

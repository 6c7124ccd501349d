// Stager: gathers the requests of one batch into the tensors that the model reads, and takes the answers
// apart again. Where one request fills the batch by itself and nothing is padded, the model reads what the
// request brought, and nothing is copied.
//
// Stateless but for what is settled at load; any number of threads may use it, each with a Staging of its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <dynbatch/error.hpp>
#include <dynbatch/tensor.hpp>

#include "base/pages.hpp"
#include "batch/output_layout.hpp"
#include "batch/payload.hpp"
#include "batch/shape_plan.hpp"
#include "kernels/pad.hpp"
#include "queue/staged_key.hpp"

namespace dynbatch {

/// One part of a batch that runs.
struct StagedPart {
  const std::byte* payload = nullptr;
  const StagedKey* key = nullptr;
  std::uint32_t rows = 0;
  std::uint32_t first_row = 0;  // in the batch
  void* owner = nullptr;        // whoever staged it knows
};

/// One batch in the making: memory that grows as batches need it, and what lies there.
struct Staging {
  std::vector<StagedPart> parts;
  std::size_t rows = 0;                                     // of the parts
  std::size_t run_rows = 0;                                 // with those that complete a gear
  StagedKey::Sizes sizes{};                                 // of the batch
  std::array<bool, ModelSpec::kMaxDimensions> is_padded{};  // per dimension: some part is shorter
  std::vector<const std::byte*> inputs;
  std::vector<Shape> shapes;
  std::vector<Shape> outputs;         // whole shapes, once it has run
  std::uint64_t elements = 0;         // of batched inputs, padding included
  std::uint64_t padded_elements = 0;  // of them, those that no request brought

  Pages memory;
  std::size_t used_bytes = 0;
  std::uint32_t runs_with_less = 0;   // in a row, that needed a quarter of the memory or less
  std::vector<std::byte> fill_row;    // scratch
  std::vector<Shape> request_shapes;  // scratch, of one input

  Staging() = default;
  Staging(const ModelSpec& spec, std::size_t most_parts, std::size_t fill_row_bytes);
};

struct StagerSetup {
  ShapePlan plan;
  std::vector<OutputLayout> outputs;
  std::vector<std::size_t> fill_gears;           // rising; empty: batches run at their own size
  std::vector<std::vector<std::byte>> fill_row;  // per input; of `fill_sizes`
  StagedKey::Sizes fill_sizes{};
};

class Stager {
 public:
  Stager(const ModelSpec& spec, StagerSetup setup);

  /// Puts staging.parts (set by the caller, but for first_row) into tensors. `shared`: per input, those of the
  /// batch's key. A failure: no memory.
  Failure stage(Staging& staging, std::span<const std::vector<std::byte>> shared) const;
  /// Whether the outputs of the run, of these whole shapes, can be taken apart.
  Failure check(const Staging& staging, std::span<const Shape> outputs) const;
  /// The shape of part `part`'s own rows of output `output`.
  Shape part_shape(const Staging& staging, std::size_t part, std::size_t output,
                   const Shape& whole) const noexcept;
  /// Copies the part's own rows to `target`, which has part_shape().
  void cut(Staging& staging, std::size_t part, std::size_t output, const Shape& whole,
           const std::byte* from, std::byte* target) const noexcept;
  /// Whether the only part's answers are the outputs as they are.
  bool is_whole(const Staging& staging, std::span<const Shape> outputs) const noexcept;

  /// Of a request of no rows.
  Shape empty_shape(std::size_t output, const StagedKey::Sizes& sizes) const noexcept;

  /// Of the largest tensor of the row that completes gears; 0: none does.
  std::size_t fill_row_bytes() const noexcept;

  const ShapePlan& plan() const noexcept { return setup_.plan; }
  const OutputLayout& layout(std::size_t output) const noexcept { return setup_.outputs[output]; }

 private:
  Failure check_counts(const Staging& staging) const;
  void settle_sizes(Staging& staging) const noexcept;
  Shape target_shape(const Staging& staging, std::size_t input) const noexcept;
  Shape made_shape(Staging& staging, std::size_t input) const noexcept;
  bool reads_in_place(const Staging& staging, std::size_t input) const noexcept;
  void gather(Staging& staging, std::size_t input, std::byte* target) const noexcept;
  void gather_rows(Staging& staging, std::size_t input, std::byte* target) const noexcept;
  void make_rows(const Staging& staging, const StagedPart& part, std::size_t input,
                 std::byte* target) const noexcept;
  void fill(Staging& staging, std::size_t input, std::byte* target) const noexcept;
  void list_requests(Staging& staging, std::size_t source) const noexcept;
  Shape own_input_shape(std::size_t input, const StagedKey::Sizes& sizes,
                        std::size_t rows) const noexcept;

  const ModelSpec& spec_;
  const StagerSetup setup_;
  std::vector<PadValue> pads_;  // per input
};

}  // namespace dynbatch

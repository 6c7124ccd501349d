#include "results.hpp"

#include <cstring>
#include <utility>

#include "arrays.hpp"

namespace dynbatch::python {
namespace {

// Below this a copy costs less than the capsule, and than a block that is missing in the pool.
constexpr std::size_t kHandOverBytes = std::size_t{64} * 1024;

class Results {
 public:
  explicit Results(Ticket& ticket) : ticket_(&ticket), whole_block_(ticket.owns_whole_block()) {}
  explicit Results(const std::shared_ptr<Ticket>& ticket)
      : ticket_(ticket.get()), shared_(ticket), whole_block_(ticket->owns_whole_block()) {}

  py::array array(std::size_t index) {
    const OutputView output = ticket_->output(index);
    if (whole_block_ && output.size_bytes >= kHandOverBytes) {
      return view_of(output.data, output.dtype, output.shape, owner(), true);
    }
    py::array copy = empty_array(output.dtype, output.shape);
    if (output.size_bytes > 0) std::memcpy(copy.mutable_data(), output.data, output.size_bytes);
    return copy;
  }

 private:
  const py::object& owner() {
    if (owner_) return owner_;
    if (!shared_) {
      shared_ = std::make_shared<Ticket>(std::move(*ticket_));
      ticket_ = shared_.get();
    }
    owner_ = py::capsule(new std::shared_ptr<Ticket>(shared_),
                         [](void* kept) { delete static_cast<std::shared_ptr<Ticket>*>(kept); });
    return owner_;
  }

  Ticket* ticket_;
  std::shared_ptr<Ticket> shared_;
  bool whole_block_;
  py::object owner_;
};

py::dict dict_of(Results results, const Signature& signature) {
  py::dict dict;
  for (std::size_t i = 0; i < signature.outputs.size(); ++i) {
    dict[signature.output_names[i]] = results.array(i);
  }
  return dict;
}

}  // namespace

py::list result_list(Ticket& ticket, const Signature& signature, const OutputIndices* wanted) {
  Results results(ticket);
  py::list list(wanted != nullptr ? wanted->size() : signature.outputs.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::size_t index = wanted != nullptr ? (*wanted)[i] : i;
    std::size_t earlier = 0;
    while (wanted != nullptr && earlier < i && (*wanted)[earlier] != index) ++earlier;
    list[i] = wanted != nullptr && earlier < i ? py::object(list[earlier]) : results.array(index);
  }
  return list;
}

py::dict result_dict(Ticket& ticket, const Signature& signature) {
  return dict_of(Results(ticket), signature);
}

py::dict result_dict(const std::shared_ptr<Ticket>& ticket, const Signature& signature) {
  return dict_of(Results(ticket), signature);
}

}  // namespace dynbatch::python

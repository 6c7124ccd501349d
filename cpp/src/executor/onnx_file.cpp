#include "executor/onnx_file.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>

#include <dynbatch/error.hpp>

#include "executor/protobuf.hpp"

namespace dynbatch {
namespace {

using protobuf::Fields;
using protobuf::put_bytes;

/// Fields of the messages that are walked, as onnx.proto numbers them.
constexpr std::uint64_t kMetadataOfModel = 14;
constexpr std::uint64_t kExternalDataOfTensor = 13;
constexpr std::uint64_t kKey = 1;  // of StringStringEntryProto
constexpr std::uint64_t kValue = 2;

// Protocol buffers end there, and so does what ONNX Runtime reads.
constexpr std::size_t kMostBytes = std::numeric_limits<std::int32_t>::max();

enum class Message : std::uint8_t {
  model,
  graph,
  node,
  attribute,
  function,
  sparse_tensor,
  tensor,
  training
};

struct Child {
  Message parent;
  std::uint64_t field;
  Message message;
};

/// Where tensors may stand.
constexpr Child kChildren[] = {
    {Message::model, 7, Message::graph},
    {Message::model, 20, Message::training},
    {Message::model, 25, Message::function},
    {Message::training, 1, Message::graph},
    {Message::training, 2, Message::graph},
    {Message::function, 7, Message::node},
    {Message::function, 11, Message::attribute},
    {Message::graph, 1, Message::node},
    {Message::graph, 5, Message::tensor},
    {Message::graph, 15, Message::sparse_tensor},
    {Message::node, 5, Message::attribute},
    {Message::attribute, 5, Message::tensor},
    {Message::attribute, 6, Message::graph},
    {Message::attribute, 10, Message::tensor},
    {Message::attribute, 11, Message::graph},
    {Message::attribute, 22, Message::sparse_tensor},
    {Message::attribute, 23, Message::sparse_tensor},
    {Message::sparse_tensor, 1, Message::tensor},
    {Message::sparse_tensor, 2, Message::tensor},
};

/// The value of a StringStringEntryProto under that key.
std::optional<std::string_view> entry_value(std::string_view entry, std::string_view key) {
  std::string_view own_key;
  std::string_view value;
  Fields fields(entry);
  while (const auto field = fields.next()) {
    if (!field->is_bytes()) continue;
    if (field->number == kKey) own_key = field->content;
    if (field->number == kValue) value = field->content;
  }
  if (own_key != key) return std::nullopt;
  return value;
}

void collect(Message message, std::string_view bytes, int depth,
             std::vector<std::string>& locations) {
  if (depth > protobuf::kDeepest) protobuf::fail("its graphs are nested too deeply");
  Fields fields(bytes);
  while (const auto field = fields.next()) {
    if (!field->is_bytes()) continue;
    if (message == Message::tensor) {
      if (field->number != kExternalDataOfTensor) continue;
      const auto location = entry_value(field->content, "location");
      if (location && std::ranges::find(locations, *location) == locations.end())
        locations.emplace_back(*location);
      continue;
    }
    const auto* const child = std::ranges::find_if(kChildren, [&](const Child& each) {
      return each.parent == message && each.field == field->number;
    });
    if (child != std::end(kChildren)) collect(child->message, field->content, depth + 1, locations);
  }
}

}  // namespace

std::string with_metadata(std::string_view model, std::string_view key, std::string_view value) {
  std::string entry;
  put_bytes(entry, kKey, key);
  put_bytes(entry, kValue, value);
  std::string last;
  put_bytes(last, kMetadataOfModel, entry);
  std::vector<std::string_view> kept;
  std::size_t size = last.size();
  Fields fields(model);
  while (const auto field = fields.next()) {
    const bool is_entry = field->number == kMetadataOfModel && field->is_bytes();
    if (is_entry && entry_value(field->content, key)) continue;
    kept.push_back(field->whole);
    size += field->whole.size();
  }
  if (size > kMostBytes) {
    throw Error(ErrorCode::model, "with its gears the model has " + std::to_string(size) +
                                      " bytes, and an ONNX file at most " +
                                      std::to_string(kMostBytes) +
                                      ": export it with its weights in files of their own");
  }
  std::string written;
  written.reserve(size);
  for (const std::string_view field : kept) written += field;
  return written += last;
}

std::vector<std::string> external_locations(std::string_view model) {
  std::vector<std::string> locations;
  collect(Message::model, model, 0, locations);
  return locations;
}

}  // namespace dynbatch

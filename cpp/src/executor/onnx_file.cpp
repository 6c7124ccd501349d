#include "executor/onnx_file.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>

#include <dynbatch/error.hpp>

namespace dynbatch {
namespace {

[[noreturn]] void fail(const char* what) {
  throw Error(ErrorCode::model, std::string("the model is no ONNX file: ") + what);
}

enum class Wire : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

struct Field {
  std::uint64_t number = 0;
  std::uint64_t wire = 0;
  std::string_view whole;    // with its key
  std::string_view content;  // of wire type bytes
};

/// The fields of a message, one after the other.
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}

  std::optional<Field> next() {
    if (rest_.empty()) return std::nullopt;
    const std::string_view start = rest_;
    const std::uint64_t key = take_varint();
    Field field{.number = key >> 3, .wire = key & 7, .whole = {}, .content = {}};
    switch (static_cast<Wire>(field.wire)) {
      case Wire::varint: take_varint(); break;
      case Wire::fixed64: take(8); break;
      case Wire::fixed32: take(4); break;
      case Wire::bytes: field.content = take(take_varint()); break;
      default: fail("it has a field of an unknown kind");
    }
    if (field.number == 0) fail("it has a field without a number");
    field.whole = start.substr(0, start.size() - rest_.size());
    return field;
  }

 private:
  std::uint64_t take_varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) fail("it ends too early");
      const auto byte = static_cast<std::uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    fail("it has a number of more than 64 bits");
  }
  std::string_view take(std::uint64_t size) {
    if (size > rest_.size()) fail("it ends too early");
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view rest_;
};

bool is_bytes(const Field& field) { return field.wire == static_cast<std::uint64_t>(Wire::bytes); }

/// Fields of the messages that are walked, as onnx.proto numbers them.
constexpr std::uint64_t kMetadataOfModel = 14;
constexpr std::uint64_t kExternalDataOfTensor = 13;
constexpr std::uint64_t kKey = 1;  // of StringStringEntryProto
constexpr std::uint64_t kValue = 2;

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

// Deeper graphs within graphs are not walked; ONNX Runtime refuses them earlier.
constexpr int kDeepest = 100;

/// The value of a StringStringEntryProto under that key.
std::optional<std::string_view> entry_value(std::string_view entry, std::string_view key) {
  std::string_view own_key;
  std::string_view value;
  Fields fields(entry);
  while (const auto field = fields.next()) {
    if (!is_bytes(*field)) continue;
    if (field->number == kKey) own_key = field->content;
    if (field->number == kValue) value = field->content;
  }
  if (own_key != key) return std::nullopt;
  return value;
}

void collect(Message message, std::string_view bytes, int depth,
             std::vector<std::string>& locations) {
  if (depth > kDeepest) fail("its graphs are nested too deeply");
  Fields fields(bytes);
  while (const auto field = fields.next()) {
    if (!is_bytes(*field)) continue;
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

void put_varint(std::string& bytes, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7f) | 0x80);
  bytes += static_cast<char>(value);
}

void put_bytes(std::string& bytes, std::uint64_t number, std::string_view content) {
  put_varint(bytes, number << 3 | static_cast<std::uint64_t>(Wire::bytes));
  put_varint(bytes, content.size());
  bytes += content;
}

}  // namespace

std::string with_metadata(std::string_view model, std::string_view key, std::string_view value) {
  std::string entry;
  put_bytes(entry, kKey, key);
  put_bytes(entry, kValue, value);
  std::string written;
  written.reserve(model.size() + entry.size() + 16);
  Fields fields(model);
  while (const auto field = fields.next()) {
    const bool is_entry = field->number == kMetadataOfModel && is_bytes(*field);
    if (is_entry && entry_value(field->content, key)) continue;
    written += field->whole;
  }
  put_bytes(written, kMetadataOfModel, entry);
  return written;
}

std::vector<std::string> external_locations(std::string_view model) {
  std::vector<std::string> locations;
  collect(Message::model, model, 0, locations);
  return locations;
}

}  // namespace dynbatch

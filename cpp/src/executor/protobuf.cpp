#include "executor/protobuf.hpp"

#include <dynbatch/error.hpp>

namespace dynbatch::protobuf {
namespace {

enum class Wire : std::uint8_t {
  varint = 0,
  fixed64 = 1,
  bytes = 2,
  group = 3,
  end_of_group = 4,
  fixed32 = 5
};

std::uint64_t key_of(std::uint64_t field, Wire wire) noexcept {
  return field << 3 | static_cast<std::uint64_t>(wire);
}

}  // namespace

void fail(const char* what) {
  throw Error(ErrorCode::model, std::string("the model is no ONNX file: ") + what);
}

bool Field::is_bytes() const noexcept { return wire == static_cast<std::uint64_t>(Wire::bytes); }

std::optional<Field> Fields::next() {
  if (rest_.empty()) return std::nullopt;
  const std::string_view start = rest_;
  Field field = take_field(0);
  if (field.wire == static_cast<std::uint64_t>(Wire::end_of_group))
    fail("a group ends that did not begin");
  field.whole = start.substr(0, start.size() - rest_.size());
  return field;
}

Field Fields::take_field(int depth) {
  const std::uint64_t key = take_varint();
  Field field{.number = key >> 3, .wire = key & 7, .whole = {}, .content = {}};
  if (field.number == 0) fail("it has a field without a number");
  switch (static_cast<Wire>(field.wire)) {
    case Wire::varint: take_varint(); break;
    case Wire::fixed64: take(8); break;
    case Wire::fixed32: take(4); break;
    case Wire::bytes: field.content = take(take_varint()); break;
    case Wire::group: take_group(field.number, depth + 1); break;
    case Wire::end_of_group: break;
    default: fail("it has a field of an unknown kind");
  }
  return field;
}

/// ONNX has no groups, and readers skip those that they do not know.
void Fields::take_group(std::uint64_t number, int depth) {
  if (depth > kDeepest) fail("its groups are nested too deeply");
  for (;;) {
    const Field field = take_field(depth);
    if (field.wire != static_cast<std::uint64_t>(Wire::end_of_group)) continue;
    if (field.number != number) fail("a group ends that did not begin");
    return;
  }
}

std::uint64_t Fields::take_varint() {
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

std::string_view Fields::take(std::uint64_t size) {
  if (size > rest_.size()) fail("it ends too early");
  const std::string_view taken = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return taken;
}

void put_varint(std::string& bytes, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7f) | 0x80);
  bytes += static_cast<char>(value);
}

void put_number(std::string& bytes, std::uint64_t field, std::uint64_t value) {
  put_varint(bytes, key_of(field, Wire::varint));
  put_varint(bytes, value);
}

void put_bytes(std::string& bytes, std::uint64_t field, std::string_view content) {
  put_varint(bytes, key_of(field, Wire::bytes));
  put_varint(bytes, content.size());
  bytes += content;
}

}  // namespace dynbatch::protobuf

// The wire format of protocol buffers, in which ONNX files are written. Pure; throw Error(model) for what is not of
// the format.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dynbatch::protobuf {

/// Messages in messages, or groups in groups, deeper than this are refused; ONNX Runtime refuses them earlier.
constexpr int kDeepest = 100;

struct Field {
  std::uint64_t number = 0;
  std::uint64_t wire = 0;
  std::string_view whole;    // with its key
  std::string_view content;  // of wire type bytes

  bool is_bytes() const noexcept;
};

/// The fields of a message, one after the other.
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}

  std::optional<Field> next();

 private:
  Field take_field(int depth);
  void take_group(std::uint64_t number, int depth);
  std::uint64_t take_varint();
  std::string_view take(std::uint64_t size);

  std::string_view rest_;
};

void put_varint(std::string& bytes, std::uint64_t value);
void put_number(std::string& bytes, std::uint64_t field, std::uint64_t value);
void put_bytes(std::string& bytes, std::uint64_t field, std::string_view content);

/// Says what makes the model no ONNX file.
[[noreturn]] void fail(const char* what);

}  // namespace dynbatch::protobuf

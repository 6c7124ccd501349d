#include "executor/onnx_file.hpp"

#include <gmock/gmock.h>

#include <cstring>
#include <string>
#include <string_view>

#include <dynbatch/onnxruntime_executor.hpp>

#include "base/pages.hpp"
#include "cpp/executor/affine_model.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::affine;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const OnnxModelMetadata& metadata_of(const Executor& executor) {
  return onnx_description(executor)->metadata;
}

std::unique_ptr<Executor> open(const std::string& bytes) {
  return make_onnxruntime_executor(
      bytes.data(), bytes.size(),
      {.library_path = dynbatch::testing::ort_library_path(), .api_base = nullptr});
}

/// A field of wire type bytes, of at most 16383 bytes.
std::string field(int number, const std::string& content) {
  std::string size(1, static_cast<char>(content.size() % 128));
  if (content.size() >= 128) {
    size[0] = static_cast<char>(size[0] | 0x80);
    size += static_cast<char>(content.size() / 128);
  }
  return std::string(1, static_cast<char>(number << 3 | 2)) + size + content;
}

TEST(OnnxFile, TellsWhatWasWritten) {
  const std::string written = with_metadata(affine({"n", 2}).bytes(), "key", "two\nlines");
  EXPECT_EQ(metadata_of(*open(written)).custom.at("key"), "two\nlines");
}

TEST(OnnxFile, ReplacesAnEntryAndKeepsOthers) {
  const std::string first = with_metadata(affine({"n", 2}).bytes(), "key", "old");
  const std::string other = with_metadata(first, "other", "kept");
  const std::string written = with_metadata(other, "key", "new");
  EXPECT_EQ(metadata_of(*open(written)).custom,
            (std::map<std::string, std::string>{{"key", "new"}, {"other", "kept"}}));
  EXPECT_EQ(with_metadata(written, "key", "new"), written);
}

TEST(OnnxFile, RefusesWhatIsNoOnnxFile) {
  for (const std::string& bytes :
       {std::string("\x0a\x05"
                    "abc"),
        std::string(1, '\x80'), std::string("\x07"),
        std::string("\x02\x01"
                    "a"),
        std::string("\x0b"), std::string(11, '\xff'), std::string("\x0c"), std::string("\x0b\x14"),
        std::string(200, '\x0b') + std::string(200, '\x0c')}) {
    EXPECT_THAT(dynbatch::testing::message_of([&] { with_metadata(bytes, "key", "value"); }),
                HasSubstr("no ONNX file"));
  }
}

TEST(OnnxFile, SkipsGroups) {
  const std::string model = affine({"n", 2}).bytes();
  const std::string group = "\xab\x06\x0b\x08\x01\x0c\x12\x01z\xac\x06";  // another within
  const std::string written = with_metadata(group + model, "key", "value");
  EXPECT_TRUE(written.starts_with(group + model));
  EXPECT_EQ(metadata_of(*open(written)).custom.at("key"), "value");
}

TEST(OnnxFile, RefusesToWriteMoreThanTwoGibibytes) {
  const std::size_t most = (std::size_t{1} << 31) - 1;
  const Pages memory(most);  // a graph of zeros, which is not looked into
  const std::string key("\x3a\xf9\xff\xff\xff\x07", 6);
  std::memcpy(memory.data(), key.data(), key.size());
  const std::string_view model(reinterpret_cast<const char*>(memory.data()), most);
  EXPECT_THAT(dynbatch::testing::message_of([&] { with_metadata(model, "key", "value"); }),
              AllOf(HasSubstr("at most 2147483647"), HasSubstr("weights in files of their own")));
}

TEST(OnnxFile, FindsDataFilesWhereverTensorsStand) {
  const auto tensor = [](const std::string& location) {
    return field(13, field(1, "location") + field(2, location)) +
           field(13, field(1, "offset") + field(2, "16"));
  };
  const std::string node = field(5, field(6, field(5, tensor("in_subgraph"))));
  const std::string graph = field(5, tensor("weights")) + field(5, tensor("weights")) +
                            field(1, node) + field(15, field(1, tensor("sparse")));
  EXPECT_THAT(external_locations(field(7, graph)), ElementsAre("weights", "in_subgraph", "sparse"));
  EXPECT_TRUE(external_locations(affine({"n", 2}).bytes()).empty());
}

}  // namespace
}  // namespace dynbatch

#include "executor/ort_library.hpp"

#include <dlfcn.h>
#include <gmock/gmock.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "cpp/executor/test_surroundings.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::message_of;
using dynbatch::testing::ort_library_path;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string canonical(const std::string& path) { return std::filesystem::canonical(path).string(); }

/// Sets DYNBATCH_ORT_LIB while it lives; null unsets it.
class LibraryVariable {
 public:
  explicit LibraryVariable(const char* value) : before_(ort_library_path()) { set(value); }
  LibraryVariable(const LibraryVariable&) = delete;
  LibraryVariable& operator=(const LibraryVariable&) = delete;
  ~LibraryVariable() { set(before_.c_str()); }

 private:
  static void set(const char* value) {
    if (value == nullptr) {
      unsetenv("DYNBATCH_ORT_LIB");
    } else {
      setenv("DYNBATCH_ORT_LIB", value, 1);
    }
  }
  std::string before_;
};

/// A folder of this process's own, removed at the end.
class OwnFolder {
 public:
  OwnFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "dynbatch-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  OwnFolder(const OwnFolder&) = delete;
  OwnFolder& operator=(const OwnFolder&) = delete;
  ~OwnFolder() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

// A library that is not ONNX Runtime, with every slot that dynbatch reads.

struct FakeLibrary {
  static const char* version() noexcept { return version_text; }
  static const ort::ApiTable* get_api(std::uint32_t) noexcept {
    return has_api ? reinterpret_cast<const ort::ApiTable*>(slots.data()) : nullptr;
  }
  static ort::Status* create_status(ort::ErrorCode, const char*) noexcept {
    return reinterpret_cast<ort::Status*>(&slots);
  }
  static ort::ErrorCode error_code(const ort::Status*) noexcept { return ort::ErrorCode::fail; }
  static const char* error_message(const ort::Status*) noexcept { return message; }
  static void release_status(ort::Status*) {}

  FakeLibrary() {
    version_text = "1.31.1";
    has_api = true;
    message = "dynbatch";
    slots[0] = reinterpret_cast<Slot>(create_status);
    slots[1] = reinterpret_cast<Slot>(error_code);
    slots[2] = reinterpret_cast<Slot>(error_message);
    slots[93] = reinterpret_cast<Slot>(release_status);
  }

  using Slot = void (*)();
  inline static std::array<Slot, 256> slots{};
  inline static const char* version_text = nullptr;
  inline static const char* message = nullptr;
  inline static bool has_api = true;
  ort::ApiBase base{get_api, version};
};

TEST(OrtLibrary, LoadsTheGivenPath) {
  const OrtLibrary library = load_ort_library({.path = ort_library_path()});
  EXPECT_EQ(library.path, canonical(ort_library_path()));
  EXPECT_THAT(library.path, HasSubstr(library.version));
}

TEST(OrtLibrary, LoadsWhatTheEnvironmentNames) {
  EXPECT_EQ(load_ort_library({}).path, canonical(ort_library_path()));
}

TEST(OrtLibrary, GivenPathWinsOverTheEnvironment) {
  const std::string path = ort_library_path();
  const LibraryVariable variable("/no/such/library.so");
  EXPECT_EQ(load_ort_library({.path = path}).path, canonical(path));
}

TEST(OrtLibrary, FindsALibraryThatTheProcessHasLoaded) {
  ASSERT_NE(dlopen(ort_library_path().c_str(), RTLD_NOW | RTLD_GLOBAL), nullptr);
  const std::string path = canonical(ort_library_path());
  const LibraryVariable variable(nullptr);
  EXPECT_EQ(load_ort_library({}).path, path);
}

TEST(OrtLibrary, TakesTheHostsOwnApiBase) {
  const OrtLibrary loaded = load_ort_library({.path = ort_library_path()});
  EXPECT_EQ(load_ort_library({.path = {}, .api_base = loaded.api_base}).path, loaded.path);
}

TEST(OrtLibrary, NamesTheVariableWhoseLibraryCannotBeLoaded) {
  const LibraryVariable variable("/no/such/library.so");
  EXPECT_THAT(message_of([] { load_ort_library({}); }),
              AllOf(HasSubstr("DYNBATCH_ORT_LIB"), HasSubstr("/no/such/library.so")));
}

TEST(OrtLibrary, RefusesALibraryThatIsNoOnnxRuntime) {
  EXPECT_THAT(message_of([] { load_ort_library({.path = "libm.so.6"}); }),
              AllOf(HasSubstr("libm.so.6"), HasSubstr("is not ONNX Runtime's library")));
}

TEST(OrtLibrary, RefusesVersionsThatAreTooOld) {
  FakeLibrary fake;
  FakeLibrary::version_text = "1.18.1";
  EXPECT_THAT(message_of([&] { load_ort_library({.path = {}, .api_base = &fake.base}); }),
              AllOf(HasSubstr("1.18.1"), HasSubstr("too old"), HasSubstr("1.19")));
}

TEST(OrtLibrary, AcceptsLaterVersionsThatAnswerAsPromised) {
  FakeLibrary fake;
  FakeLibrary::version_text = "2.0.0";
  EXPECT_EQ(load_ort_library({.path = {}, .api_base = &fake.base}).version, "2.0.0");
}

TEST(OrtLibrary, RefusesALibraryWithoutTheApiVersion) {
  FakeLibrary fake;
  FakeLibrary::has_api = false;
  EXPECT_THAT(message_of([&] { load_ort_library({.path = {}, .api_base = &fake.base}); }),
              HasSubstr("no API version"));
}

TEST(OrtLibrary, RefusesATableThatAnswersOtherwiseThanPromised) {
  FakeLibrary fake;
  FakeLibrary::message = "something else";
  EXPECT_THAT(message_of([&] { load_ort_library({.path = {}, .api_base = &fake.base}); }),
              HasSubstr("does not answer as its C interface promises"));
}

TEST(OrtLibrary, AllModelsShareOneLibraryAndEnvironment) {
  const OrtLibrary& first = use_ort_library({.path = ort_library_path()});
  const OrtLibrary& second = use_ort_library({});
  EXPECT_EQ(&first, &second);
  EXPECT_NE(first.env, nullptr);
}

TEST(OrtLibrary, SameLibraryByAnotherNameIsAccepted) {
  const OrtLibrary& first = use_ort_library({.path = ort_library_path()});
  const OwnFolder folder;
  std::filesystem::create_symlink(canonical(ort_library_path()), folder.file("linked.so"));
  EXPECT_EQ(&use_ort_library({.path = folder.file("linked.so")}), &first);
}

TEST(OrtLibrary, SecondLibraryIsRefusedNamingBoth) {
  use_ort_library({.path = ort_library_path()});
  const OwnFolder folder;
  std::ofstream(folder.file("other.so")) << "another";
  EXPECT_THAT(message_of([&] { use_ort_library({.path = folder.file("other.so")}); }),
              AllOf(HasSubstr(canonical(ort_library_path())), HasSubstr(folder.file("other.so"))));
  FakeLibrary fake;
  EXPECT_THAT(message_of([&] { use_ort_library({.path = {}, .api_base = &fake.base}); }),
              HasSubstr("api_base belongs to another library"));
}

}  // namespace
}  // namespace dynbatch

// Acl: whatever a program calls of the C API in whatever order and with whatever handles, it is answered with a
// documented code, nothing is touched that is not named, and in the end all is given back.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <dynbatch/acl.h>

#include "cpp/capi/acl_world.hpp"
#include "fuzz/fuzz_bytes.hpp"
#include "fuzz/fuzz_target.hpp"

namespace dynbatch::testing {
namespace {

constexpr std::array kDocumented{ACL_SUCCESS,
                                 ACL_ERROR_INVALID_PARAM,
                                 ACL_ERROR_UNINITIALIZE,
                                 ACL_ERROR_REPEAT_INITIALIZE,
                                 ACL_ERROR_INVALID_FILE,
                                 ACL_ERROR_REPEAT_FINALIZE,
                                 ACL_ERROR_GE_PARAM_INVALID,
                                 ACL_ERROR_GE_EXEC_NOT_INIT,
                                 ACL_ERROR_GE_EXEC_MODEL_PATH_INVALID,
                                 ACL_ERROR_GE_EXEC_MODEL_ID_INVALID,
                                 ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID,
                                 ACL_ERROR_GE_DYNAMIC_INPUT_ADDR_INVALID,
                                 ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID,
                                 ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID,
                                 ACL_ERROR_GE_AIPP_NOT_EXIST,
                                 ACL_ERROR_RT_PARAM_INVALID,
                                 ACL_ERROR_RT_CONTEXT_NULL,
                                 ACL_ERROR_API_NOT_SUPPORT,
                                 ACL_ERROR_RT_MEMORY_ALLOCATION};

constexpr std::size_t kMemoryBytes = 128;  // of each piece that buffers may name

aclError documented(aclError code) {
  expect(std::ranges::find(kDocumented, code) != kDocumented.end(),
         "a documented code, not " + std::to_string(code) + ": " + aclGetRecentErrMsg());
  expect(aclGetRecentErrMsg() != nullptr, "a message");
  return code;
}

/// The models of all inputs: loading one takes longer than all else. Loaded anew when an input has unloaded it.
class Models {
 public:
  std::uint32_t id(std::size_t which) {
    std::uint32_t& id = ids_[which];
    aclmdlDesc* const desc = aclmdlCreateDesc();
    if (id == 0 || aclmdlGetDesc(desc, id) != ACL_SUCCESS) {
      const std::string& model = models_[which];
      const aclError code = documented(aclmdlLoadFromMem(model.data(), model.size(), &id));
      expect(code == ACL_SUCCESS || code == ACL_ERROR_GE_EXEC_NOT_INIT, aclGetRecentErrMsg());
    }
    aclmdlDestroyDesc(desc);
    return id;
  }

 private:
  std::array<std::string, 4> models_{batch_model(), image_model(), dims_model(), static_model()};
  std::array<std::uint32_t, 4> ids_{};
};

Models& models() {
  static Models instance;
  return instance;
}

/// Live handles and dead ones of one kind, and null.
template <class Handle>
class Kept {
 public:
  void add(Handle handle) {
    if (handle != nullptr) handles_.push_back(handle);
  }
  Handle draw(FuzzBytes& bytes) const {
    if (handles_.empty() || bytes.one_in(16)) return nullptr;
    return handles_[bytes.below(handles_.size())];
  }
  const std::vector<Handle>& all() const { return handles_; }
  template <class Destroy>
  void destroy_all(Destroy destroy) {
    for (const Handle handle : handles_) documented(destroy(handle));
    handles_.clear();
  }

 private:
  std::vector<Handle> handles_;
};

class Program {
 public:
  explicit Program(FuzzBytes bytes) : bytes_(bytes) {
    for (auto& piece : memory_) piece = std::make_unique<std::byte[]>(kMemoryBytes);
    make_dataset(2);  // an input with its gear
    make_dataset(1);  // an output
    aclrtStream stream = nullptr;
    if (bytes_.one_in(4)) documented(aclrtCreateStream(&stream));
    streams_.add(stream);
  }

  void make_calls() {
    for (int calls = 0; calls < 120 && !bytes_.empty(); ++calls) {
      switch (bytes_.below(8)) {
        case 0: begin_or_end(); break;
        case 1: use_memory(); break;
        case 2: use_a_buffer(); break;
        case 3: use_a_dataset(); break;
        case 4: describe(); break;
        case 5: set_a_gear(); break;
        case 6: execute(); break;
        default: use_a_stream(); break;
      }
    }
  }

  /// Gives all back that may still be there.
  void end() {
    streams_.destroy_all(aclrtDestroyStream);
    datasets_.destroy_all(aclmdlDestroyDataset);
    descriptions_.destroy_all(aclmdlDestroyDesc);
    contexts_.destroy_all(aclrtDestroyContext);
    for (aclDataBuffer* const buffer : brought_) free_brought(buffer);
    buffers_.destroy_all(aclDestroyDataBuffer);
    given_.destroy_all([](void* memory) { return aclrtFree(memory); });
  }

 private:
  std::uint32_t draw_model() {
    if (bytes_.one_in(32)) return 0;
    return models().id(bytes_.below(4));
  }
  std::size_t draw_size() { return std::min<std::size_t>(bytes_.size(), kMemoryBytes); }
  std::byte* draw_memory() {
    return bytes_.one_in(16) ? nullptr : memory_[bytes_.below(memory_.size())].get();
  }

  /// Ends what streams are doing: they use the same pieces of memory as all other calls.
  void wait_for_streams() {
    for (const aclrtStream stream : streams_.all()) documented(aclrtSynchronizeStream(stream));
  }

  void begin_or_end() {
    switch (bytes_.below(8)) {
      case 0: documented(aclInit(bytes_.one_in(4) ? "/nowhere" : nullptr)); break;
      case 1:
        if (bytes_.one_in(32)) documented(aclFinalize());
        break;
      case 2: documented(aclrtSetDevice(bytes_.one_in(4) ? 3 : 0)); break;
      case 3:
        if (bytes_.one_in(8)) documented(aclrtResetDevice(0));
        break;
      case 4: {
        aclrtContext context = nullptr;
        documented(aclrtCreateContext(bytes_.one_in(8) ? nullptr : &context, 0));
        contexts_.add(context);
        break;
      }
      case 5: documented(aclrtDestroyContext(contexts_.draw(bytes_))); break;
      case 6: documented(aclrtSetCurrentContext(contexts_.draw(bytes_))); break;
      default:
        if (bytes_.one_in(8)) documented(aclmdlUnload(draw_model()));
        break;
    }
  }

  void use_memory() {
    void* memory = nullptr;
    wait_for_streams();
    switch (bytes_.below(5)) {
      case 0:
        documented(aclrtMalloc(&memory, bytes_.one_in(8) ? std::size_t{1} << 60 : draw_size(),
                               ACL_MEM_MALLOC_HUGE_FIRST));
        given_.add(memory);
        break;
      case 1: documented(aclrtFree(given_.draw(bytes_))); break;
      case 2: documented(aclrtFreeHost(given_.draw(bytes_))); break;
      case 3: {
        const std::size_t room = draw_size();
        documented(
            aclrtMemcpy(draw_memory(), room, draw_memory(), bytes_.size(), ACL_MEMCPY_DEFAULT));
        break;
      }
      default: {
        const std::size_t room = draw_size();
        documented(aclrtMemset(draw_memory(), room, bytes_.byte(), bytes_.size()));
        break;
      }
    }
  }

  void use_a_buffer() {
    switch (bytes_.below(4)) {
      case 0: {
        std::byte* const memory = bytes_.one_in(4) ? nullptr : draw_memory();
        buffers_.add(aclCreateDataBuffer(memory, memory == nullptr ? 0 : draw_size()));
        break;
      }
      case 1: {
        const std::size_t size = draw_size();
        documented(aclUpdateDataBuffer(buffers_.draw(bytes_), draw_memory(), size));
        break;
      }
      case 2: documented(aclDestroyDataBuffer(buffers_.draw(bytes_))); break;
      default: {
        const aclDataBuffer* const buffer = buffers_.draw(bytes_);
        aclGetDataBufferAddr(buffer);
        expect(aclGetDataBufferSize(buffer) == aclGetDataBufferSizeV2(buffer), "one size");
        break;
      }
    }
  }

  /// A dataset that fits a model, more or less.
  void make_dataset(std::size_t count) {
    aclmdlDataset* const dataset = aclmdlCreateDataset();
    datasets_.add(dataset);
    for (; count > 0; --count) {
      const std::size_t size = bytes_.one_in(8) ? draw_size() : kMemoryBytes;
      std::byte* const memory = draw_memory();
      aclDataBuffer* const buffer = aclCreateDataBuffer(memory, memory == nullptr ? 0 : size);
      buffers_.add(buffer);
      documented(aclmdlAddDatasetBuffer(dataset, buffer));
    }
  }

  void use_a_dataset() {
    switch (bytes_.below(5)) {
      case 0:
      case 1: make_dataset(bytes_.below(4)); break;
      case 2:
        documented(aclmdlAddDatasetBuffer(datasets_.draw(bytes_), buffers_.draw(bytes_)));
        break;
      case 3: documented(aclmdlDestroyDataset(datasets_.draw(bytes_))); break;
      default: {
        const aclmdlDataset* const dataset = datasets_.draw(bytes_);
        const std::size_t count = aclmdlGetDatasetNumBuffers(dataset);
        expect(aclmdlGetDatasetBuffer(dataset, count) == nullptr, "no buffer beyond the last");
        documented(aclmdlSetDatasetTensorDesc(datasets_.draw(bytes_), nullptr, 0));
        break;
      }
    }
  }

  void describe() {
    if (bytes_.one_in(3)) descriptions_.add(aclmdlCreateDesc());
    aclmdlDesc* const desc = descriptions_.draw(bytes_);
    if (bytes_.one_in(2)) documented(aclmdlGetDesc(desc, draw_model()));
    const std::size_t index = bytes_.size();
    aclmdlIODims dims;
    aclmdlBatch batch;
    aclmdlHW hw;
    std::vector<aclmdlIODims> all(2);
    documented(aclmdlGetInputDims(desc, index, bytes_.one_in(16) ? nullptr : &dims));
    documented(aclmdlGetOutputDims(desc, index, &dims));
    documented(aclmdlGetCurOutputDims(desc, index, &dims));
    documented(aclmdlGetDynamicBatch(desc, &batch));
    documented(aclmdlGetDynamicHW(desc, index, &hw));
    documented(
        aclmdlGetInputDynamicDims(desc, static_cast<std::size_t>(-1), all.data(), bytes_.below(3)));
    expect(aclmdlGetInputNameByIndex(desc, index) != nullptr, "a name");
    expect(aclmdlGetTensorRealName(desc, bytes_.name().c_str()) != nullptr, "a name");
    std::size_t found = 0;
    documented(aclmdlGetInputIndexByName(desc, bytes_.name().c_str(), &found));
    aclmdlGetOutputSizeByIndex(desc, index);
    if (bytes_.one_in(8)) documented(aclmdlDestroyDesc(desc));
  }

  void set_a_gear() {
    const std::uint32_t id = draw_model();
    aclmdlDataset* const dataset = datasets_.draw(bytes_);
    const std::size_t index = bytes_.one_in(8) ? bytes_.size() : 1;
    switch (bytes_.below(4)) {
      case 0: {
        const std::uint64_t usual = std::uint64_t{1} << bytes_.below(4);
        const std::uint64_t batch = bytes_.one_in(4) ? bytes_.size() : usual;
        documented(aclmdlSetDynamicBatchSize(id, dataset, index, batch));
        break;
      }
      case 1: {
        const bool is_first = bytes_.one_in(2);
        const std::uint64_t height = bytes_.one_in(4) ? bytes_.size() : is_first ? 2 : 4;
        documented(aclmdlSetDynamicHWSize(id, dataset, index, height, is_first ? 3 : 2));
        break;
      }
      case 2: {
        aclmdlIODims dims = {};
        dims.dimCount = bytes_.one_in(8) ? bytes_.size() : 3;
        static constexpr std::int64_t kUsual[][3] = {{2, 2, 5}, {3, 2, 1}};
        const auto& usual = kUsual[bytes_.below(2)];
        for (std::size_t i = 0; i < 3; ++i)
          dims.dims[i] = bytes_.one_in(8) ? bytes_.dimension() : usual[i];
        documented(aclmdlSetInputDynamicDims(id, dataset, index, &dims));
        break;
      }
      default: {
        std::uint64_t batch = 0;
        const auto choice = static_cast<dynbatchAclGearChoice>(bytes_.below(4));
        documented(dynbatchAclGearForRows(id, bytes_.size(), choice, &batch));
        aclmdlIODims dims;
        documented(dynbatchAclGetDatasetOutputDims(id, dataset, 0, &dims));
        break;
      }
    }
  }

  void execute() {
    const std::uint32_t id = draw_model();
    aclmdlDataset* const input = datasets_.draw(bytes_);
    aclmdlDataset* const output = datasets_.draw(bytes_);
    if (bytes_.one_in(8)) {
      aclmdlAIPP* const aipp = aclmdlCreateAIPP(bytes_.below(3));
      documented(aclmdlSetInputAIPP(id, input, bytes_.size(), aipp));
      documented(aclmdlDestroyAIPP(aipp));
    }
    wait_for_streams();
    if (bytes_.one_in(4)) {
      documented(aclmdlExecuteAsync(id, input, output, streams_.draw(bytes_)));
      return;
    }
    documented(aclmdlExecute(id, input, output));
    for (std::size_t i = 0; i < aclmdlGetDatasetNumBuffers(output); ++i) note_brought(output, i);
  }

  /// Memory that an execution has brought belongs to the program.
  void note_brought(const aclmdlDataset* dataset, std::size_t index) {
    aclDataBuffer* const buffer = aclmdlGetDatasetBuffer(dataset, index);
    const void* const memory = aclGetDataBufferAddr(buffer);
    const bool is_ours =
        std::ranges::any_of(memory_, [&](const auto& piece) { return piece.get() == memory; });
    if (memory == nullptr || is_ours) return;
    if (std::ranges::find(brought_, buffer) == brought_.end()) brought_.push_back(buffer);
    free_brought(buffer);
  }
  static void free_brought(aclDataBuffer* buffer) {
    void* const memory = aclGetDataBufferAddr(buffer);
    if (memory != nullptr && aclrtFree(memory) == ACL_SUCCESS)
      aclUpdateDataBuffer(buffer, nullptr, 0);
  }

  void use_a_stream() {
    switch (bytes_.below(5)) {
      case 0: {
        aclrtStream stream = nullptr;
        if (bytes_.one_in(2)) documented(aclrtCreateStream(&stream));
        streams_.add(stream);
        break;
      }
      case 1: documented(aclrtSynchronizeStream(streams_.draw(bytes_))); break;
      case 2: documented(aclrtSynchronizeDevice()); break;
      case 3: {
        wait_for_streams();
        const std::size_t room = draw_size();
        documented(aclrtMemcpyAsync(draw_memory(), room, draw_memory(), bytes_.size(),
                                    ACL_MEMCPY_DEFAULT, streams_.draw(bytes_)));
        break;
      }
      default: documented(aclrtDestroyStream(streams_.draw(bytes_))); break;
    }
  }

  FuzzBytes bytes_;
  std::array<std::unique_ptr<std::byte[]>, 4> memory_;
  Kept<void*> given_;
  Kept<aclDataBuffer*> buffers_;
  Kept<aclmdlDataset*> datasets_;
  Kept<aclmdlDesc*> descriptions_;
  Kept<aclrtContext> contexts_;
  Kept<aclrtStream> streams_;
  std::vector<aclDataBuffer*> brought_;
};

}  // namespace
}  // namespace dynbatch::testing

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dynbatch::testing;
  aclInit(nullptr);
  aclrtSetDevice(0);
  for (std::size_t which = 0; which < 4; ++which) models().id(which);
  const std::size_t before = dynbatchAclLiveHandles();
  {
    Program program(FuzzBytes(data, size));
    program.make_calls();
    program.end();
  }
  aclInit(nullptr);
  aclrtSetDevice(0);
  for (std::size_t which = 0; which < 4; ++which) models().id(which);
  expect(dynbatchAclLiveHandles() == before, std::to_string(before) +
                                                 " live handles as before, not " +
                                                 std::to_string(dynbatchAclLiveHandles()));
  return 0;
}

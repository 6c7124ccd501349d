// Image sizes: `image_size MODEL.om`, a model of
//
//   dynbatch compile model.onnx --input_shape="x:1,3,-1,-1" --dynamic_image_size="320,320;640,640" --output=model
//
// executes every gear on a stream.
#include <dynbatch/acl.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <vector>

namespace {

void check(aclError code) {
  if (code == ACL_SUCCESS) return;
  std::cerr << code << ' ' << aclGetRecentErrMsg() << '\n';
  std::exit(1);
}

/// Buffers of the largest gear's size.
class Dataset {
 public:
  explicit Dataset(const std::vector<std::size_t>& sizes) {
    for (const std::size_t size : sizes) {
      void* memory = nullptr;
      check(aclrtMalloc(&memory, size, ACL_MEM_MALLOC_HUGE_FIRST));
      check(aclrtMemset(memory, size, 0, size));
      check(aclmdlAddDatasetBuffer(handle_, aclCreateDataBuffer(memory, size)));
    }
  }
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;
  ~Dataset() {
    for (std::size_t i = 0; i < aclmdlGetDatasetNumBuffers(handle_); ++i) {
      aclDataBuffer* const buffer = aclmdlGetDatasetBuffer(handle_, i);
      check(aclrtFree(aclGetDataBufferAddr(buffer)));
      check(aclDestroyDataBuffer(buffer));
    }
    check(aclmdlDestroyDataset(handle_));
  }
  aclmdlDataset* get() const { return handle_; }

 private:
  aclmdlDataset* handle_ = aclmdlCreateDataset();
};

void execute_every_gear(std::uint32_t model, aclmdlDesc* desc) {
  std::vector<std::size_t> in;
  for (std::size_t i = 0; i < aclmdlGetNumInputs(desc); ++i)
    in.push_back(aclmdlGetInputSizeByIndex(desc, i));
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < aclmdlGetNumOutputs(desc); ++i)
    out.push_back(aclmdlGetOutputSizeByIndex(desc, i));
  const Dataset input(in);
  const Dataset output(out);
  std::size_t shape_input = 0;
  check(aclmdlGetInputIndexByName(desc, ACL_DYNAMIC_TENSOR_NAME, &shape_input));
  aclmdlHW gears;
  check(aclmdlGetDynamicHW(desc, static_cast<std::size_t>(-1), &gears));
  aclrtStream stream = nullptr;
  check(aclrtCreateStream(&stream));
  for (std::size_t i = 0; i < gears.hwCount; ++i) {
    const auto& [height, width] = gears.hw[i];
    check(aclmdlSetDynamicHWSize(model, input.get(), shape_input, height, width));
    check(aclmdlExecuteAsync(model, input.get(), output.get(), stream));
    check(aclrtSynchronizeStream(stream));
    aclmdlIODims dims;
    check(aclmdlGetCurOutputDims(desc, 0, &dims));
    std::cout << "gear " << height << " x " << width << ": output";
    for (std::size_t axis = 0; axis < dims.dimCount; ++axis) std::cout << ' ' << dims.dims[axis];
    std::cout << '\n';
  }
  check(aclrtDestroyStream(stream));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: " << argv[0] << " MODEL.om\n";
    return 2;
  }
  check(aclInit(nullptr));
  check(aclrtSetDevice(0));
  std::uint32_t model = 0;
  check(aclmdlLoadFromFile(argv[1], &model));
  aclmdlDesc* const desc = aclmdlCreateDesc();
  check(aclmdlGetDesc(desc, model));
  execute_every_gear(model, desc);
  check(aclmdlDestroyDesc(desc));
  check(aclmdlUnload(model));
  check(aclrtResetDevice(0));
  check(aclFinalize());
}

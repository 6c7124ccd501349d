// Dims: `dims MODEL.om`, a model of
//
//   dynbatch compile model.onnx --input_format=ND --input_shape="x:-1,-1" --dynamic_dims="1,64;8,64;8,256"
//     --output=model
//
// lets the library bring the memory of the outputs.
#include <dynbatch/acl.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <vector>

namespace {

constexpr auto kAllInputs = static_cast<std::size_t>(-1);

void check(aclError code) {
  if (code == ACL_SUCCESS) return;
  std::cerr << code << ' ' << aclGetRecentErrMsg() << '\n';
  std::exit(1);
}

/// Executes one gear, with outputs that begin as (null, 0).
void execute(std::uint32_t model, aclmdlDesc* desc, aclmdlDataset* input,
             const aclmdlIODims& gear) {
  std::size_t shape_input = 0;
  check(aclmdlGetInputIndexByName(desc, ACL_DYNAMIC_TENSOR_NAME, &shape_input));
  check(aclmdlSetInputDynamicDims(model, input, shape_input, &gear));
  aclmdlDataset* const output = aclmdlCreateDataset();
  for (std::size_t i = 0; i < aclmdlGetNumOutputs(desc); ++i)
    check(aclmdlAddDatasetBuffer(output, aclCreateDataBuffer(nullptr, 0)));
  check(aclmdlExecute(model, input, output));

  aclmdlIODims dims;
  check(aclmdlGetCurOutputDims(desc, 0, &dims));
  std::cout << "gear";
  for (std::size_t i = 0; i < gear.dimCount; ++i) std::cout << ' ' << gear.dims[i];
  std::cout << ": output";
  for (std::size_t i = 0; i < dims.dimCount; ++i) std::cout << ' ' << dims.dims[i];
  std::cout << '\n';

  for (std::size_t i = 0; i < aclmdlGetDatasetNumBuffers(output); ++i) {
    aclDataBuffer* const buffer = aclmdlGetDatasetBuffer(output, i);
    check(aclrtFree(aclGetDataBufferAddr(buffer)));
    check(aclDestroyDataBuffer(buffer));
  }
  check(aclmdlDestroyDataset(output));
}

void execute_every_gear(std::uint32_t model, aclmdlDesc* desc) {
  std::vector<std::vector<char>> memory;
  aclmdlDataset* const input = aclmdlCreateDataset();
  for (std::size_t i = 0; i < aclmdlGetNumInputs(desc); ++i) {
    std::vector<char>& bytes = memory.emplace_back(aclmdlGetInputSizeByIndex(desc, i));
    check(aclmdlAddDatasetBuffer(input, aclCreateDataBuffer(bytes.data(), bytes.size())));
  }
  std::size_t count = 0;
  check(aclmdlGetInputDynamicGearCount(desc, kAllInputs, &count));
  std::vector<aclmdlIODims> gears(count);
  check(aclmdlGetInputDynamicDims(desc, kAllInputs, gears.data(), gears.size()));
  for (const aclmdlIODims& gear : gears) execute(model, desc, input, gear);
  for (std::size_t i = 0; i < memory.size(); ++i)
    check(aclDestroyDataBuffer(aclmdlGetDatasetBuffer(input, i)));
  check(aclmdlDestroyDataset(input));
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

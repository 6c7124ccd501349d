// Writes the models that C programs are run with: `write_models FOLDER`.
#include <filesystem>
#include <fstream>
#include <string>

#include "cpp/capi/acl_world.hpp"

int main(int argc, char** argv) {
  using namespace dynbatch::testing;
  if (argc != 2) return 2;
  const std::filesystem::path folder(argv[1]);
  std::filesystem::create_directories(folder);
  const auto write = [&](const char* name, const std::string& bytes) {
    std::ofstream file(folder / name, std::ios::binary);
    file << bytes;
    return file.good();
  };
  return write("batch.om", batch_model()) && write("image.om", image_model()) &&
                 write("dims.om", dims_model())
             ? 0
             : 1;
}

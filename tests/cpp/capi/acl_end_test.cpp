// The end: of the API while others are inside, and of the process.
#include <gmock/gmock.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include <dynbatch/acl.h>

#include "cpp/capi/acl_world.hpp"
#include "cpp/watched_allocations.hpp"

namespace dynbatch::testing {
namespace {

TEST(Finalize, LeavesNoModelThatWasLoadingMeanwhile) {
  const std::string model = static_model();
  ASSERT_EQ(aclInit(nullptr), ACL_SUCCESS);
  std::uint32_t id =
      AclWorld::load(model);  // what is made once is made: the next allocates for its model
  before_allocation = [] {
    before_allocation = nullptr;
    EXPECT_EQ(aclFinalize(), ACL_SUCCESS);
  };
  EXPECT_EQ(aclmdlLoadFromMem(model.data(), model.size(), &id), ACL_ERROR_GE_EXEC_NOT_INIT);
  EXPECT_EQ(before_allocation, nullptr);
  EXPECT_THAT(aclGetRecentErrMsg(), ::testing::HasSubstr("while the model was loading"));
  EXPECT_EQ(dynbatchAclLiveHandles(), 0U);
}

/// A model of more tensors than others, so that what a thread keeps for its runs has to grow.
std::string model_of_many_tensors() {
  OnnxGraph graph;
  for (int i = 0; i < 40; ++i) {
    graph.input("x" + std::to_string(i), DataType::float32, {1});
  }
  return graph.node("Neg", {"x0"}, {"y"}).output("y", DataType::float32, {1}).bytes();
}

std::uint32_t many_tensors = 0;
const std::vector<std::size_t> many_sizes(40, sizeof(float));

/// Leaves with what a failed call says, 0 if none has failed.
void execute_at_exit() {
  const TestDataset input(many_sizes);
  const TestDataset output({sizeof(float)});
  const aclError code = aclmdlExecute(many_tensors, input.get(), output.get());
  const bool is_told = aclmdlUnload(many_tensors + 1) != ACL_SUCCESS && *aclGetRecentErrMsg() != 0;
  std::_Exit(code == ACL_SUCCESS && is_told ? 0 : 1);
}

[[noreturn]] void run_and_exit() {
  aclInit(nullptr);
  aclrtSetDevice(0);
  const std::uint32_t few_tensors = AclWorld::load(static_model());
  many_tensors = AclWorld::load(model_of_many_tensors());
  {
    const TestDataset input({24});
    const TestDataset output({24});
    aclmdlExecute(few_tensors, input.get(), output.get());
  }
  std::atexit(execute_at_exit);
  std::exit(2);
}

TEST(AtExit, ModelsStillRunAndFailuresAreToldInWords) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(run_and_exit(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace dynbatch::testing

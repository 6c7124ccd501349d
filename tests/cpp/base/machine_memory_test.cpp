#include "base/machine_memory.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

namespace dynbatch {
namespace {

namespace fs = std::filesystem;

/// A tree of control groups on disk.
class MachineMemory : public ::testing::Test {
 protected:
  MachineMemory()
      : folder_(fs::path(::testing::TempDir()) /
                ("machine_memory_" +
                 std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()))) {
    fs::remove_all(folder_);
  }
  ~MachineMemory() override { fs::remove_all(folder_); }

  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((folder_ / path).parent_path());
    std::ofstream(folder_ / path) << text << '\n';
  }
  std::size_t limit() const {
    return cgroup_limit_bytes((folder_ / "list").string(), (folder_ / "mount").string());
  }

  fs::path folder_;
};

constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

TEST_F(MachineMemory, IsThatOfTheMachineAtMost) {
  EXPECT_GT(machine_memory_bytes(), 0U);
  EXPECT_LT(machine_memory_bytes(), kNone);
}

TEST_F(MachineMemory, LeastLimitOfTheGroupsAroundHolds) {
  write("list", "0::/user.slice/job.scope");
  write("mount/user.slice/job.scope/memory.max", "3000");
  EXPECT_EQ(limit(), 3000U);
  write("mount/user.slice/memory.max", "2000");
  EXPECT_EQ(limit(), 2000U);
  write("mount/user.slice/memory.max", "max");
  EXPECT_EQ(limit(), 3000U);
}

TEST_F(MachineMemory, GroupsOfTheFirstVersionHaveAFolderForEachController) {
  write("list", "9:name=systemd:/\n7:cpu,memory:/docker/a\n0::/");
  write("mount/memory/docker/memory.limit_in_bytes", "5000");
  write("mount/memory/docker/a/memory.limit_in_bytes", "9223372036854771712");
  EXPECT_EQ(limit(), 5000U);
}

TEST_F(MachineMemory, HostPathsThatAContainerDoesNotSeeLeaveTheOutermostGroup) {
  write("list", "4:memory:/docker/0123/inner");
  write("mount/memory/memory.limit_in_bytes", "7000");
  EXPECT_EQ(limit(), 7000U);
}

TEST_F(MachineMemory, WithoutGroupsThereIsNoLimit) {
  EXPECT_EQ(limit(), kNone);
  write("list", "nonsense\n1:cpu:/x\n0::/");
  EXPECT_EQ(limit(), kNone);
}

}  // namespace
}  // namespace dynbatch

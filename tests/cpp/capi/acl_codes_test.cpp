// Every code of acl.h that can occur at run time, each by the calls that a caller would be told it for.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <dynbatch/acl.h>

#include "cpp/capi/acl_cases_of_gears.hpp"
#include "cpp/capi/acl_cases_of_models.hpp"

namespace dynbatch::testing {
namespace {

std::vector<Case> all_cases() {
  std::vector<Case> all;
  for (const auto& part : {beginning_and_end(), loading(), setting(), describing(), executing()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

class Codes : public ::testing::TestWithParam<Case> {};

TEST_P(Codes, IsAnsweredAndSaidInWords) { EXPECT_EQ(GetParam().call(), GetParam().expected); }

INSTANTIATE_TEST_SUITE_P(All, Codes, ::testing::ValuesIn(all_cases()),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(CodesOfTheHeader, EachHasACase) {
  const auto header = std::filesystem::path(__FILE__) / "../../../../cpp/include/dynbatch/acl.h";
  std::ifstream file(header.lexically_normal());
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::regex definition("#define ACL_ERROR_\\w+ ([1-9]\\d*)");
  std::set<int> defined;
  for (std::sregex_iterator each(text.begin(), text.end(), definition), end; each != end; ++each) {
    defined.insert(std::stoi((*each)[1]));
  }
  std::set<int> shown;
  for (const Case& each : all_cases()) shown.insert(each.expected);
  shown.insert(ACL_ERROR_BAD_ALLOC);       // acl_out_of_memory_test.cpp
  shown.insert(ACL_ERROR_INTERNAL_ERROR);  // a fault of ours: there is no way to it
  EXPECT_EQ(defined, shown);
}

TEST(Messages, NameTheCallWhatWasExpectedAndTheCode) {
  EXPECT_EQ(Loaded().set(3), ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID);
  EXPECT_THAT(aclGetRecentErrMsg(),
              ::testing::AllOf(::testing::HasSubstr("aclmdlSetDynamicBatchSize"),
                               ::testing::HasSubstr("4; 1; 8; 2"), ::testing::HasSubstr("got 3"),
                               ::testing::HasSubstr("145013")));
}

TEST(Messages, AreOfTheThreadThatFailed) {
  EXPECT_NE(aclrtSetDevice(5), ACL_SUCCESS);
  std::string of_another = "unset";
  std::thread([&] { of_another = aclGetRecentErrMsg(); }).join();
  EXPECT_EQ(of_another, "");
  EXPECT_THAT(aclGetRecentErrMsg(), ::testing::HasSubstr("got 5"));
}

}  // namespace
}  // namespace dynbatch::testing

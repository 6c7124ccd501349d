// Every code of acl.h that can occur at run time, each by the calls that a caller would be told it for.
#include <gmock/gmock.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
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

TEST_P(Codes, IsAnsweredAndSaidInWords) {
  Answer told{};
  // Words and contexts are a thread's: this one has none of earlier tests.
  std::thread([&] {
    told.code = GetParam().call();
    told.words = GetParam().words();
  }).join();
  EXPECT_EQ(told.code, GetParam().expected);
  EXPECT_THAT(told.words, ::testing::MatchesRegex("[A-Za-z]+: .+ \\(" +
                                                  std::to_string(GetParam().expected) + "\\)"));
}

INSTANTIATE_TEST_SUITE_P(All, Codes, ::testing::ValuesIn(all_cases()),
                         [](const auto& each) { return std::string(each.param.name); });

/// The codes of the header, and whether it says that nothing returns them.
std::map<int, bool> codes_of_the_header() {
  const auto header = std::filesystem::path(__FILE__) / "../../../../cpp/include/dynbatch/acl.h";
  std::ifstream file(header.lexically_normal());
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::regex definition("#define ACL_ERROR_\\w+ ([1-9]\\d*)( *// never)?");
  std::map<int, bool> codes;
  for (std::sregex_iterator each(text.begin(), text.end(), definition), end; each != end; ++each) {
    codes.emplace(std::stoi((*each)[1]), (*each)[2].matched);
  }
  return codes;
}

TEST(CodesOfTheHeader, EachHasACaseOrIsNeverReturned) {
  std::set<int> shown;
  for (const Case& each : all_cases()) shown.insert(each.expected);
  shown.insert(ACL_ERROR_BAD_ALLOC);       // acl_out_of_memory_test.cpp
  shown.insert(ACL_ERROR_INTERNAL_ERROR);  // a fault of ours: there is no way to it
  std::set<int> returned;
  for (const auto& [code, never] : codes_of_the_header()) {
    if (!never) returned.insert(code);
  }
  EXPECT_EQ(returned, shown);
}

// Each of these has another that is returned in its place, or no cause; the header says which.
TEST(CodesOfTheHeader, SomeAreNeverReturned) {
  std::set<int> never_returned;
  for (const auto& [code, never] : codes_of_the_header()) {
    if (never) never_returned.insert(code);
  }
  EXPECT_THAT(never_returned,
              ::testing::ElementsAre(100011, 100017, 100018, 100019, 145007, 145014, 145016, 145020,
                                     145021, 145022, 245000, 245002, 500001));
}

TEST(Messages, NameTheCallWhatWasExpectedAndTheCode) {
  EXPECT_EQ(Loaded().set(3), ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID);
  EXPECT_THAT(aclGetRecentErrMsg(),
              ::testing::AllOf(::testing::HasSubstr("aclmdlSetDynamicBatchSize"),
                               ::testing::HasSubstr("EZ9999"), ::testing::HasSubstr("4; 1; 8; 2"),
                               ::testing::HasSubstr("got 3"), ::testing::HasSubstr("145013")));
}

TEST(Messages, TellSizesThatNoGearHasAsPositive) {
  EXPECT_EQ(Loaded().set(UINT64_MAX), ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID);
  EXPECT_THAT(aclGetRecentErrMsg(), ::testing::HasSubstr("got 9223372036854775807"));
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

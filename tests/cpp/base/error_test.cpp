#include <dynbatch/error.hpp>

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace dynbatch {
namespace {

TEST(Error, CarriesItsCodeAndMessage) {
  try {
    throw Error(ErrorCode::queue_full, "no room");
  } catch (const std::runtime_error& caught) {
    EXPECT_STREQ(caught.what(), "no room");
    const auto* error = dynamic_cast<const Error*>(&caught);
    ASSERT_NE(error, nullptr);
    EXPECT_EQ(error->code(), ErrorCode::queue_full);
  }
}

TEST(Error, EveryCodeHasANameOfItsOwn) {
  std::set<std::string> names;
  for (int code = 0; code <= static_cast<int>(ErrorCode::invalid_argument); ++code) {
    names.insert(name_of(static_cast<ErrorCode>(code)));
  }
  EXPECT_EQ(names.size(), 9U);
  EXPECT_EQ(names.count("unknown"), 0U);
  EXPECT_STREQ(name_of(ErrorCode::none), "none");
  EXPECT_STREQ(name_of(ErrorCode::queue_full), "queue_full");
  EXPECT_STREQ(name_of(static_cast<ErrorCode>(200)), "unknown");
}

TEST(Error, FailureIsOneUnlessItsCodeIsNone) {
  EXPECT_FALSE(static_cast<bool>(Failure{}));
  EXPECT_TRUE(static_cast<bool>(Failure{ErrorCode::execution, "broken", nullptr}));
}

}  // namespace
}  // namespace dynbatch

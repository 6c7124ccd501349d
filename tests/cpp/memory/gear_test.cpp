#include <dynbatch/gear.hpp>

#include <gtest/gtest.h>

namespace dynbatch {
namespace {

GearTable table_of(std::initializer_list<std::size_t> sizes) {
  GearTable table;
  for (const std::size_t size : sizes) table.gears.push_back({.batch_size = size});
  return table;
}

TEST(GearTable, SmallestGearThatFitsInAnyOrder) {
  const GearTable table = table_of({8, 1, 4, 2});
  EXPECT_EQ(table.smallest_that_fits(1)->batch_size, 1U);
  EXPECT_EQ(table.smallest_that_fits(3)->batch_size, 4U);
  EXPECT_EQ(table.smallest_that_fits(4)->batch_size, 4U);
  EXPECT_EQ(table.smallest_that_fits(5)->batch_size, 8U);
  EXPECT_EQ(table.smallest_that_fits(9), nullptr);
}

TEST(GearTable, ExactGearOrNone) {
  const GearTable table = table_of({1, 4});
  EXPECT_EQ(table.exact(4), &table.gears[1]);
  EXPECT_EQ(table.exact(2), nullptr);
}

TEST(GearTable, LargestGear) {
  EXPECT_EQ(table_of({2, 16, 4}).largest(), 16U);
  EXPECT_EQ(table_of({}).largest(), 0U);
  EXPECT_EQ(table_of({}).smallest_that_fits(0), nullptr);
}

}  // namespace
}  // namespace dynbatch

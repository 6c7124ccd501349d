// Stand-in, to be replaced by the one of the grouping's author: measured times of runs.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace dynbatch {

class CostTable {
 public:
  CostTable() = default;
  CostTable(std::vector<std::size_t> rows, std::vector<double> elements,
            std::vector<double> seconds)
      : rows_(std::move(rows)), elements_(std::move(elements)), seconds_(std::move(seconds)) {}

  const std::vector<std::size_t>& rows() const noexcept { return rows_; }
  const std::vector<double>& elements() const noexcept { return elements_; }
  const std::vector<double>& seconds() const noexcept { return seconds_; }

 private:
  std::vector<std::size_t> rows_;
  std::vector<double> elements_;
  std::vector<double> seconds_;  // [row][element]
};

}  // namespace dynbatch

#include "batch/cost_table.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "base/assertions.hpp"

namespace dynbatch {
namespace {

bool rises_from_above_zero(const std::vector<double>& lines) {
  return !lines.empty() && lines.front() > 0.0 && std::isfinite(lines.back()) &&
         std::ranges::adjacent_find(lines, std::greater_equal{}) == lines.end();
}

/// Values over two axes, [row][column].
struct Grid {
  std::size_t rows;
  std::size_t columns;
  std::vector<double> values;

  Grid(std::size_t row_count, std::size_t column_count)
      : rows(row_count), columns(column_count), values(row_count * column_count) {}
  double& at(std::size_t row, std::size_t column) { return values[row * columns + column]; }
};

/// The middle between the largest value of what is not above and left, and the smallest of what is not below
/// and right: both rise along both axes, and meet where the values did.
void make_monotone(Grid& grid) {
  Grid largest = grid;
  Grid smallest = grid;
  for (std::size_t i = 0; i < grid.rows; ++i) {
    for (std::size_t j = 0; j < grid.columns; ++j) {
      double& so_far = largest.at(i, j);
      if (i > 0) so_far = std::max(so_far, largest.at(i - 1, j));
      if (j > 0) so_far = std::max(so_far, largest.at(i, j - 1));
    }
  }
  for (std::size_t i = grid.rows; i-- > 0;) {
    for (std::size_t j = grid.columns; j-- > 0;) {
      double& from_here = smallest.at(i, j);
      if (i + 1 < grid.rows) from_here = std::min(from_here, smallest.at(i + 1, j));
      if (j + 1 < grid.columns) from_here = std::min(from_here, smallest.at(i, j + 1));
    }
  }
  for (std::size_t k = 0; k < grid.values.size(); ++k)
    grid.values[k] = (largest.values[k] + smallest.values[k]) / 2.0;
}

/// What the first cell's slope says of 0, in bounds: at least 0, at most the first value.
double at_zero(double first_line, double first, double second_line, double second) {
  const double slope = (second - first) / (second_line - first_line);
  return std::clamp(first - first_line * slope, 0.0, first);
}

/// The grid with lines at 0 rows and 0 elements in front, as far as slopes are known: else they are 0. A line
/// in front must rise too, and stays below the next one since that rises.
Grid with_zero_lines(const Grid& measured, const std::vector<double>& rows,
                     const std::vector<double>& elements) {
  Grid grid(measured.rows + 1, measured.columns + 1);
  for (std::size_t i = 1; i < grid.rows; ++i) {
    const double* row = &measured.values[(i - 1) * measured.columns];
    std::copy_n(row, measured.columns, &grid.at(i, 1));
    if (measured.columns > 1) grid.at(i, 0) = at_zero(elements[0], row[0], elements[1], row[1]);
    grid.at(i, 0) = std::max(grid.at(i, 0), grid.at(i - 1, 0));
  }
  for (std::size_t j = 0; j < grid.columns; ++j) {
    if (measured.rows > 1) grid.at(0, j) = at_zero(rows[0], grid.at(1, j), rows[1], grid.at(2, j));
    if (j > 0) grid.at(0, j) = std::max(grid.at(0, j), grid.at(0, j - 1));
  }
  return grid;
}

/// Slopes towards the next line. Those of the last line are those of the cell before, and rise along it: a
/// line that starts higher must not be overtaken.
Grid slopes_by_rows(Grid& grid, const std::vector<double>& rows) {
  Grid slopes(grid.rows, grid.columns);
  const std::size_t last = grid.rows - 1;
  for (std::size_t j = 0; j < grid.columns; ++j) {
    for (std::size_t i = 0; i < last; ++i)
      slopes.at(i, j) = (grid.at(i + 1, j) - grid.at(i, j)) / (rows[i + 1] - rows[i]);
    slopes.at(last, j) = slopes.at(last - 1, j);
    if (j > 0) slopes.at(last, j) = std::max(slopes.at(last, j), slopes.at(last, j - 1));
  }
  return slopes;
}

Grid transposed(Grid& grid) {
  Grid turned(grid.columns, grid.rows);
  for (std::size_t i = 0; i < grid.rows; ++i)
    for (std::size_t j = 0; j < grid.columns; ++j) turned.at(j, i) = grid.at(i, j);
  return turned;
}

}  // namespace

CostTable::CostTable() : rows_{0.0}, elements_{0.0}, cells_{Cell{.by_both = 1.0}} {}

CostTable::CostTable(std::vector<std::size_t> rows, std::vector<double> elements,
                     std::vector<double> seconds)
    : rows_(rows.begin(), rows.end()), elements_(std::move(elements)) {
  DYNBATCH_ASSERT(rises_from_above_zero(rows_));
  DYNBATCH_ASSERT(rises_from_above_zero(elements_));
  DYNBATCH_ASSERT(seconds.size() == rows_.size() * elements_.size());
  DYNBATCH_ASSERT(
      std::ranges::all_of(seconds, [](double s) { return s >= 0.0 && std::isfinite(s); }));
  Grid measured(rows_.size(), elements_.size());
  measured.values = std::move(seconds);
  make_monotone(measured);
  Grid grid = with_zero_lines(measured, rows_, elements_);
  rows_.insert(rows_.begin(), 0.0);
  elements_.insert(elements_.begin(), 0.0);

  Grid by_rows = slopes_by_rows(grid, rows_);
  Grid turned = transposed(grid);
  Grid turned_slopes = slopes_by_rows(turned, elements_);
  Grid by_elements = transposed(turned_slopes);
  cells_.reserve(grid.values.size());
  for (std::size_t i = 0; i < grid.rows; ++i) {
    for (std::size_t j = 0; j < grid.columns; ++j) {
      // How the slope along rows changes up to the next line; from the last line on it goes on changing as
      // in the cell before, but must not fall.
      double by_both = 0.0;
      if (j + 1 < grid.columns) {
        by_both = (by_rows.at(i, j + 1) - by_rows.at(i, j)) / (elements_[j + 1] - elements_[j]);
      } else if (i + 1 < grid.rows) {
        by_both = (by_elements.at(i + 1, j) - by_elements.at(i, j)) / (rows_[i + 1] - rows_[i]);
      } else {
        by_both = std::max(0.0, (by_rows.at(i - 1, j) - by_rows.at(i - 1, j - 1)) /
                                    (elements_[j] - elements_[j - 1]));
      }
      cells_.push_back({.seconds = grid.at(i, j),
                        .by_rows = by_rows.at(i, j),
                        .by_elements = by_elements.at(i, j),
                        .by_both = by_both});
    }
  }
}

}  // namespace dynbatch

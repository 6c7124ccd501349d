// CostTable: what a run costs, by its rows and by how long they are. Measured on a grid, and known everywhere
// from it.
//
// Immutable; any thread may ask. An answer is two searches in a few grid lines; who asks for many batches of
// the same rows or the same length searches once, and keeps the place.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <vector>

namespace dynbatch {

/// Seconds of a run of `rows` rows whose padded row has `elements` elements (the product of the sizes of the
/// padded dimensions). Between the points of the grid bilinear; beyond its last ones linear, by the slope of
/// the last cell; below its first ones towards 0 rows or elements, by the slope of the first cell. Never below
/// 0, and apart from rounding more rows or longer rows never cost less: where a measured point says otherwise
/// it is replaced by the middle between the dearest of what is not larger and the cheapest of what is not
/// smaller, which leaves all other points as they are.
class CostTable {
 public:
  /// Nothing is known: rows * elements, so that only padding counts.
  CostTable();
  /// seconds[i * elements.size() + j]: of rows[i] rows of elements[j]. Rows and elements rise strictly from
  /// above 0; there is at least one of each. Of a single one the cost is proportional to it.
  CostTable(std::vector<std::size_t> rows, std::vector<double> elements,
            std::vector<double> seconds);

  double seconds(std::size_t rows, double elements) const noexcept;
  bool is_measured() const noexcept { return cells_.size() > 1; }

  /// The grid that was measured.
  std::vector<double> rows() const { return {rows_.begin() + 1, rows_.end()}; }
  std::vector<double> elements() const { return {elements_.begin() + 1, elements_.end()}; }

  /// Where a number of rows, or of elements, lies on its axis.
  struct Place {
    std::size_t line = 0;   // the last grid line that is not above it
    double distance = 0.0;  // from that line
  };
  Place place_of_rows(std::size_t rows) const noexcept;
  Place place_of_elements(double elements) const noexcept;
  double seconds(const Place& rows, const Place& elements) const noexcept;

 private:
  /// The bilinear function that holds from a grid point up to the next lines.
  struct Cell {
    double seconds = 0.0;  // at the point
    double by_rows = 0.0;  // slopes
    double by_elements = 0.0;
    double by_both = 0.0;
  };
  static Place place(const std::vector<double>& lines, double value) noexcept;

  // Lines 0 are at 0 rows and at 0 elements.
  std::vector<double> rows_;
  std::vector<double> elements_;
  std::vector<Cell> cells_;  // [rows][elements]
};

inline CostTable::Place CostTable::place(const std::vector<double>& lines, double value) noexcept {
  const auto above = std::upper_bound(lines.begin() + 1, lines.end(), value);
  const auto line = static_cast<std::size_t>(std::distance(lines.begin(), above) - 1);
  return {.line = line, .distance = value - lines[line]};
}

inline CostTable::Place CostTable::place_of_rows(std::size_t rows) const noexcept {
  return place(rows_, static_cast<double>(rows));
}

inline CostTable::Place CostTable::place_of_elements(double elements) const noexcept {
  return place(elements_, elements);
}

inline double CostTable::seconds(const Place& rows, const Place& elements) const noexcept {
  const Cell& cell = cells_[rows.line * elements_.size() + elements.line];
  return cell.seconds + rows.distance * cell.by_rows +
         elements.distance * (cell.by_elements + rows.distance * cell.by_both);
}

inline double CostTable::seconds(std::size_t rows, double elements) const noexcept {
  return seconds(place_of_rows(rows), place_of_elements(elements));
}

}  // namespace dynbatch

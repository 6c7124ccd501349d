#include "runtime/probe_report.hpp"

#include <cmath>
#include <cstdio>

#include <dynbatch/error.hpp>

namespace dynbatch {
namespace {

const char* kWhatToDo = "Requests are not merged. If that is acceptable, say batching=\"off\"; ";

}  // namespace

std::string difference_in_words(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2g", value);
  return text;
}

void conclude(LoadReport& report, const ProbeResult& probe, const BatchingOptions& options,
              bool made_up) {
  const double tolerance = options.row_tolerance.value_or(kDefaultTolerance);
  report.probed = probe.ran;
  report.bit_equal = probe.ran && probe.bit_equal;
  report.difference = probe.difference;
  report.rows_independent = probe.ran && probe.difference <= tolerance;
  report.merges = report.rows_independent;
  if (report.merges) return;
  if (!probe.ran) {
    report.warning =
        "Whether rows are independent could not be checked: " + probe.obstacle + ". " + kWhatToDo +
        (made_up ? "to check with real values, pass example feeds (verify=feeds); " : "") +
        "if rows are known to be independent, verify=False skips the check.";
  } else if (!std::isfinite(probe.difference)) {
    report.warning =
        std::string(
            "The answer for a row depends on its neighbours: its shape changes in company, ") +
        "or it is zero or not a number only alone. " + kWhatToDo +
        "only row_tolerance=inf merges them.";
  } else {
    report.warning = "The answer for a row depends on its neighbours: by " +
                     difference_in_words(probe.difference) + " of max|y|, above the tolerance of " +
                     difference_in_words(tolerance) + ". " + kWhatToDo +
                     "if the difference is acceptable, row_tolerance=" +
                     difference_in_words(probe.difference * 2) + " merges them.";
  }
  if (options.batching == Batching::always) {
    throw Error(ErrorCode::model, "batching=\"always\": " + report.warning);
  }
}

std::string refuse_padding(const ProbeResult& probe, const BatchingOptions& options, bool made_up) {
  const double tolerance = options.row_tolerance.value_or(kDefaultTolerance);
  if (!probe.ran) {
    return "Whether padding changes answers could not be checked: " + probe.obstacle + "; " +
           (made_up ? "to check with real values, pass example feeds (verify=feeds); " : "") +
           "if it is known not to, verify=False skips the check.";
  }
  if (probe.difference <= tolerance) return "";
  if (!std::isfinite(probe.difference)) {
    return "Padding changes answers: their shape, or they are zero or not a number only without "
           "it; a mask "
           "input or another pad value may help, and only row_tolerance=inf accepts it.";
  }
  return "Padding changes answers: by " + difference_in_words(probe.difference) +
         " of max|y|, above the tolerance of " + difference_in_words(tolerance) +
         "; a mask input or another pad value may help, and if the difference is acceptable, "
         "row_tolerance=" +
         difference_in_words(probe.difference * 2) + " accepts it.";
}

}  // namespace dynbatch

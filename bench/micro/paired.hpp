// Paired measurements: the contenders of one setting live in one process and take turns, in an order
// that rotates, so that a machine that is slow for a while is slow for all. Each block is printed as
// one line of JSON, which programs.py reads.
//
// Every *_paired.cpp is one program of its name: it defines measure_all(), and main() is in paired.cpp.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace dynbatch::bench {

/// What a block measured, by name.
using Figures = std::vector<std::pair<std::string, double>>;

struct Contender {
  std::string name;
  std::function<Figures(double seconds)> block;  // throws if an answer is wrong
};

struct PairedOptions {
  int blocks = 9;
  double seconds = 0.3;
};

/// One short block each to warm up, then the blocks that count.
void measure(const std::string& setting, const std::vector<Contender>& contenders,
             const PairedOptions& options);

/// CPU time of this process in seconds.
double own_cpu_seconds();

/// Of the program: all its settings, one after the other.
void measure_all(const PairedOptions& options);

}  // namespace dynbatch::bench

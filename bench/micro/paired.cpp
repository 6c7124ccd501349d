#include "paired.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string>

namespace dynbatch::bench {
namespace {

constexpr double kWarmUpSeconds = 0.1;

/// Seconds of CPU time that the whole machine spent since it was started.
struct MachineTime {
  double busy = 0.0;
  double total = 0.0;

  static MachineTime now() {
    std::ifstream file("/proc/stat");
    std::string cpu;
    double ticks[8] = {};  // user nice system idle iowait irq softirq steal
    file >> cpu;
    for (double& field : ticks) file >> field;
    if (!file) throw std::runtime_error("/proc/stat: expected a line of CPU times");
    MachineTime time;
    for (const double field : ticks) time.total += field;
    const auto per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
    time.busy = (time.total - ticks[3] - ticks[4]) / per_second;
    time.total /= per_second;
    return time;
  }
};

void print(const std::string& setting, const std::string& contender, int turn,
           const Figures& figures) {
  std::printf(R"({"setting": "%s", "contender": "%s", "turn": %d)", setting.c_str(),
              contender.c_str(), turn);
  for (const auto& [name, value] : figures) std::printf(R"(, "%s": %.9g)", name.c_str(), value);
  std::printf("}\n");
  std::fflush(stdout);
}

PairedOptions parse(int argc, char** argv) {
  PairedOptions options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const std::size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    char* end = nullptr;
    const char* const text = equals == std::string::npos ? "" : argv[i] + equals + 1;
    const double value = std::strtod(text, &end);
    if ((name != "--blocks" && name != "--seconds") || end == text || *end != '\0' || value <= 0) {
      throw std::invalid_argument("expected --blocks=NUMBER and --seconds=NUMBER, above 0, got " +
                                  argument);
    }
    if (name == "--blocks") {
      options.blocks = static_cast<int>(value);
    } else {
      options.seconds = value;
    }
  }
  return options;
}

}  // namespace

double own_cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void measure(const std::string& setting, const std::vector<Contender>& contenders,
             const PairedOptions& options) {
  for (const Contender& contender : contenders)
    contender.block(std::min(options.seconds, kWarmUpSeconds));
  for (int turn = 0; turn < options.blocks; ++turn) {
    for (std::size_t i = 0; i < contenders.size(); ++i) {
      const Contender& contender =
          contenders[(static_cast<std::size_t>(turn) + i) % contenders.size()];
      const MachineTime before = MachineTime::now();
      const double own_before = own_cpu_seconds();
      Figures figures = contender.block(options.seconds);
      const double own = own_cpu_seconds() - own_before;
      const MachineTime after = MachineTime::now();
      const double total = after.total - before.total;
      const double foreign = (after.busy - before.busy - own) / std::max(total, 1e-9);
      figures.emplace_back("foreign_cpu", std::max(0.0, foreign));
      print(setting, contender.name, turn, figures);
    }
  }
}

}  // namespace dynbatch::bench

int main(int argc, char** argv) {
  try {
    dynbatch::bench::measure_all(dynbatch::bench::parse(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return 1;
  }
  return 0;
}

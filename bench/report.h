#pragma once

#include <string>
#include <vector>

#include "bench/device_bench.h"

namespace baracuda::bench {

/// What was measured of a case.
struct CaseReport {
  std::string case_text;
  std::string sku;
  MathPrecision math = MathPrecision::None;
  std::int64_t bytes = 0, ops = 0;  ///< as `explain` counts them
  int num_sets = 0;                 ///< of operands that a sample goes round
  Timed run;
  std::optional<Timed> copy;  ///< a plain copy of as many bytes, where the case computes nothing
  HostCosts host;
};

/// How near a case came to what the device can do.
struct Roofline {
  std::string ceiling;  ///< the one that binds
  double fraction = 0;  ///< least time over measured time
};
/// The least time is the longer of two: that of the bytes at the rate of the copy, or of the better of read and copy
/// where the case computes something too; and that of the operations at the best rate in the case's arithmetic, where
/// there is a ceiling of it.
Roofline roofline(const CaseReport& report, const std::vector<Ceiling>& ceilings);

struct BenchReport {
  DeviceInfo device;
  std::string description;
  std::optional<GpuClocks::Reading> clocks_before, clocks_after;
  std::string no_clocks;  ///< why they were not read
  std::vector<Ceiling> ceilings;
  std::vector<CaseReport> cases;
};

struct BenchOptions {
  Device device;
  std::vector<std::string> cases;
  double seconds = 20;  ///< for the samples of all cases
};

/// Told how far things are, from 0 to 1, and what is being done.
using Progress = std::function<void(double, const std::string&)>;

/// Measures the cases, as many together as max_bytes_of_cases allows, their samples and those of the ceilings in turn.
/// Errors: as Op::prepare and DeviceBench.
Result<BenchReport> run_bench(const BenchOptions& options, const Progress& progress);

}  // namespace baracuda::bench

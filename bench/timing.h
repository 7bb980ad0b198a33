#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "baracuda/core/result.h"

namespace baracuda::bench {

/// One reading of a stopwatch.
struct Sample {
  double seconds = 0;    ///< per run of what is timed
  int sm_clock_mhz = 0;  ///< while it ran; 0 where that is not known
};

/// Where the middle of many readings lies, and how far they scatter.
struct Spread {
  double median = 0, min = 0, p10 = 0, p90 = 0;
  int samples = 0;
};
/// Of at least one value. Between two values a percentile is interpolated.
Spread spread_of(std::vector<double> values);

/// What is timed, and what came out so far.
struct Timed {
  std::function<Result<Sample>()> sample;
  std::vector<Sample> samples = {};

  /// Lets go of what `sample` holds; what came out stays.
  void finish() { sample = nullptr; }

  /// There must be a sample.
  Spread seconds() const;
  /// The median of those that are known; 0 where none is.
  int sm_clock_mhz() const;
};

/// When to stop: after so many rounds, or after the first past so many seconds, but not before a few.
struct RoundLimits {
  int min_rounds = 5;
  int max_rounds = 101;
  double seconds = 10;
};

/// Takes one sample of each in turn, again and again, so that what changes meanwhile, clocks above all, changes for all
/// alike. A first round, in which caches and clocks come up, does not count. `progress` is told what part is done.
Result<void> interleave(std::span<Timed* const> timed, const RoundLimits& limits,
                        const std::function<void(double)>& progress);

/// Seconds that `body` takes by the host's clock.
Result<double> host_seconds(const std::function<Result<void>()>& body);

}  // namespace baracuda::bench

#include "bench/timing.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cmath>

#include "baracuda/core/propagate.h"

namespace baracuda::bench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

/// Of sorted values; `part` from 0 to 1.
double percentile(const std::vector<double>& sorted, double part) {
  const double at = part * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(at));
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], at - std::floor(at));
}

}  // namespace

Spread spread_of(std::vector<double> values) {
  assert(!values.empty());
  std::sort(values.begin(), values.end());
  return {percentile(values, 0.5), values.front(), percentile(values, 0.1), percentile(values, 0.9),
          static_cast<int>(values.size())};
}

Spread Timed::seconds() const {
  std::vector<double> values;
  for (const Sample& each : samples) values.push_back(each.seconds);
  return spread_of(std::move(values));
}

int Timed::sm_clock_mhz() const {
  std::vector<double> known;
  for (const Sample& each : samples)
    if (each.sm_clock_mhz > 0) known.push_back(each.sm_clock_mhz);
  return known.empty() ? 0 : static_cast<int>(std::lround(spread_of(std::move(known)).median));
}

Result<void> interleave(std::span<Timed* const> timed, const RoundLimits& limits,
                        const std::function<void(double)>& progress) {
  for (const Timed* each : timed) BARACUDA_RETURN_IF_ERROR(each->sample());
  const Clock::time_point begin = Clock::now();
  for (int round = 0; round < limits.max_rounds; ++round) {
    const double spent = seconds_since(begin);
    if (round >= limits.min_rounds && spent > limits.seconds) break;
    progress(std::min(1.0, std::max(spent / limits.seconds, static_cast<double>(round) / limits.max_rounds)));
    for (Timed* each : timed) {
      BARACUDA_ASSIGN_OR_RETURN(const Sample sample, each->sample());
      each->samples.push_back(sample);
    }
  }
  return {};
}

Result<double> host_seconds(const std::function<Result<void>()>& body) {
  const Clock::time_point begin = Clock::now();
  BARACUDA_RETURN_IF_ERROR(body());
  return seconds_since(begin);
}

}  // namespace baracuda::bench

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "baracuda/core/element.h"
#include "testing/float_element.h"

namespace baracuda::testing {

/// A row's codes, and how they were made.
struct QuantizedRow {
  double scale = 1;
  int zero_point = 0;
  std::vector<int> q;
};

/// The nearest integer, ties to even.
inline double round_half_even_oracle(double value) {
  const double below = std::floor(value), rest = value - below;
  if (rest == 0.5) return std::fmod(below, 2) == 0 ? below : below + 1;
  return rest < 0.5 ? below : below + 1;
}

/// One row after the definition. `in` is what its steps are rounded to: F32 or F64. A quotient of two f32 in f64,
/// rounded to f32, is the correctly rounded one: f64 has more than twice the bits.
inline QuantizedRow dynamic_range_quantize_oracle(const std::vector<double>& x, Element in, bool symmetric, int q_min,
                                                  int q_max) {
  QuantizedRow row;
  double magnitude = 0, least = 0, greatest = 0;
  bool finite = true;
  for (double value : x) {
    finite = finite && std::isfinite(value);
    magnitude = std::max(magnitude, std::abs(value));
    least = std::min(least, value);
    greatest = std::max(greatest, value);
  }
  const auto clamp = [&](double code) { return static_cast<int>(std::clamp<double>(code, q_min, q_max)); };
  if (!finite) {
    row.scale = std::numeric_limits<double>::quiet_NaN();
    if (!symmetric) row.zero_point = clamp(0);
    row.q.assign(x.size(), clamp(0));
    return row;
  }
  row.scale = symmetric ? round_float(in, magnitude / q_max)
                        : round_float(in, round_float(in, greatest - least) / (q_max - q_min));
  if (row.scale == 0) row.scale = 1;
  if (!symmetric) row.zero_point = clamp(q_min - round_half_even_oracle(round_float(in, least / row.scale)));
  for (double value : x)
    row.q.push_back(clamp(round_half_even_oracle(round_float(in, value / row.scale)) + row.zero_point));
  return row;
}

}  // namespace baracuda::testing

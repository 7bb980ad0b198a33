#pragma once

#include <cmath>
#include <cstdint>

#include "baracuda/core/activation.h"
#include "baracuda/core/element.h"
#include "testing/float_element.h"

namespace baracuda::testing {

/// One output: the sum of products, exact, becomes a value, rounded to `in` (F32 or F64) in the stated order.
inline double scaled_sum_oracle(std::int64_t acc, std::int64_t k, double row_scale, double weight_scale,
                                const double* bias, Element in) {
  double v = 0;
  if (k > 0) v = round_float(in, round_float(in, static_cast<double>(acc)) * round_float(in, row_scale * weight_scale));
  if (bias) v = round_float(in, v + *bias);
  return v;
}

/// Of an exact v, not rounded.
inline long double activation_oracle(Activation activation, double v) {
  const long double x = v;
  switch (activation) {
    case Activation::Relu: return v < 0 ? 0 : x;
    case Activation::Gelu: return x * std::erfc(-x / std::sqrt(2.0L)) / 2;
    case Activation::Silu: return x / (1 + std::exp(-x));
    default: return x;
  }
}

}  // namespace baracuda::testing

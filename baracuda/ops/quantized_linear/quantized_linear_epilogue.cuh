#pragma once

namespace baracuda {

/// What becomes of the sum of one output before the activation, each step rounded. `bias` is −0 where there is none:
/// adding that changes no number, −0 included. Without k the sum is 0 whatever the scales are; `weight_scale` is then
/// 1, as row_scale is by itself.
template <class Value>
inline Value scaled_sum(int acc, Value row_scale, Value weight_scale, Value bias) {
  return static_cast<Value>(acc) * (row_scale * weight_scale) + bias;
}

}  // namespace baracuda

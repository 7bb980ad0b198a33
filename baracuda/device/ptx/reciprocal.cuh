#pragma once

namespace baracuda {

/// 1 / x within 1 unit in the last place; subnormal numbers count as 0.
inline float approximate_reciprocal(float x) {
  float result;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

}  // namespace baracuda

#pragma once

// Conversions of f16 and bf16 in one instruction, to nearest, ties to even.

namespace baracuda {

inline float f32_of_f16(unsigned short value) {
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value));
  return result;
}

/// Two at once: `low` in the low half.
inline unsigned f16x2_of_f32(float low, float high) {
  unsigned result;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
  return result;
}

inline unsigned bf16x2_of_f32(float low, float high) {
  unsigned result;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
  return result;
}

}  // namespace baracuda

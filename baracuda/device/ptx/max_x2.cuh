#pragma once

// PTX ISA 9.0, "Half Precision Floating Point Instructions: max".

namespace baracuda::ptx {

/// The greater ones of two pairs of f16, NaN where either is NaN.
inline unsigned max_or_nan_f16x2(unsigned a, unsigned b) {
  unsigned result;
  asm("max.NaN.f16x2 %0, %1, %2;" : "=r"(result) : "r"(a), "r"(b));
  return result;
}

/// The same of bf16.
inline unsigned max_or_nan_bf16x2(unsigned a, unsigned b) {
  unsigned result;
  asm("max.NaN.bf16x2 %0, %1, %2;" : "=r"(result) : "r"(a), "r"(b));
  return result;
}

}  // namespace baracuda::ptx

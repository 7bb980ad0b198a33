#pragma once

// Includes nothing, so that kernels compiled by NVRTC can use it too.

namespace baracuda {

/// A divisor prepared on the host, so that a kernel divides by one multiplication and one shift.
///
/// For n < 2^31 and 1 ≤ d < 2^31 let s = ⌈log2 d⌉ and m = ⌈2^(31+s) / d⌉, which fits 32 bits. Then m·d = 2^(31+s) + e
/// with e < d ≤ 2^s, so n·m / 2^(31+s) exceeds n / d by e·n / (d·2^(31+s)) < 1 / d: the floors agree. (Granlund and
/// Montgomery, Division by Invariant Integers using Multiplication, PLDI 1994.)
struct FastDivisor {
  unsigned divisor = 1;
  unsigned multiplier = 1u << 31;
  unsigned shift = 31;
};

constexpr FastDivisor make_fast_divisor(unsigned divisor) {
  FastDivisor fast;
  fast.divisor = divisor;
  while ((1ull << (fast.shift - 31)) < divisor) ++fast.shift;
  fast.multiplier = static_cast<unsigned>(((1ull << fast.shift) + divisor - 1) / divisor);
  return fast;
}

/// ⌊n / divisor⌋ for n < 2^31.
constexpr unsigned quotient(unsigned n, const FastDivisor& by) {
  return static_cast<unsigned>((static_cast<unsigned long long>(n) * by.multiplier) >> by.shift);
}

}  // namespace baracuda

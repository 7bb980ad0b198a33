#pragma once

// Division of many numbers by one, for quantizers: on the GPU a true division takes twice as many instructions, which
// 16-bit elements have no time for. The host has it for tests.

#include "baracuda/device/numeric/lanes.cuh"
#include "baracuda/device/ptx/reciprocal.cuh"

namespace baracuda {

/// double is divided.
template <class F>
struct Divisor {
  F value;

  explicit Divisor(F value) : value(value) {}
  Divisor() = default;
  bool regular() const { return true; }
  F quotient(F x) const { return x / value; }
};

template <>
struct Divisor<float> {
  float value, reciprocal;

  /// The reciprocal is rounded to nearest where regular().
  explicit Divisor(float value) : value(value) {
#ifdef __CUDACC__
    // The first steps of a division, without what it does for other numbers.
    const float near = approximate_reciprocal(value);
    reciprocal = fma(near, fma(-value, near, 1.0f), near);
#else
    reciprocal = 1.0f / value;
#endif
  }
  Divisor() = default;

  /// Whether quotient() is right.
  bool regular() const { return value >= 0x1p-100f && value <= 0x1p125f; }

  /// x / value, correctly rounded where its magnitude is 1/4 to 2^33. A smaller one comes out below 1/2; a greater one
  /// is as great or NaN, and NaN stays NaN.
  ///
  /// The reciprocal y is rounded to nearest. The first product is within 1.5 units in the last place of x / value, one
  /// step brings it within one, and from there a step with y gives the correctly rounded quotient if its remainder is
  /// exact (Markstein, IBM J. Res. Dev. 34, 1990). It is: with a value ≥ 2^-100 and a quotient ≥ 2^-2 its last bit is
  /// 2^-149 or more.
  float quotient(float x) const {
    const float product = x * reciprocal;
    const float closer = fma(fma(-product, value, x), reciprocal, product);
    return fma(fma(-closer, value, x), reciprocal, closer);
  }

  /// Of x with at most 11 significant bits and a quotient of magnitude up to 255.5: not always the rounded quotient,
  /// but a number that rounds to the same integer. One step comes within 2^-45 of the quotient, relatively, before it
  /// is rounded, so that the two can differ only next to the middle between two floats. Where one of those is an
  /// integer and a half, hardly a quotient of such an x comes so close, and there the two agree: tests/numeric_test.cc
  /// counts them up.
  float narrow_quotient(float x) const {
    const float product = x * reciprocal;
    return fma(fma(-product, value, x), reciprocal, product);
  }
};

}  // namespace baracuda

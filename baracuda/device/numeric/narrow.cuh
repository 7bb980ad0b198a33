// Functions of elements of 16 and 8 bits, computed in f32 with as few instructions as their results need: each lies,
// before it is rounded to the element, within 1/32 of the element's unit in the last place of the exact value. That is
// 2^−16 of it for f16, and 2^−13 for bf16, whose results may be smaller: down to f32's subnormal numbers. A GPU has
// time for about 30 instructions an element while it reads and writes two bytes; the texts beside these take 44 to 65.
//
// A function here has the name of the one for all elements and takes a Narrow: so a formula says silu(x) of either.
// Special values are the same.

#if defined(BARACUDA_DEVICE_NUMERIC_NARROW) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_DEVICE_NUMERIC_NARROW
#undef BARACUDA_DEVICE_NUMERIC_NARROW
#else
#define BARACUDA_DEVICE_NUMERIC_NARROW
#endif

#include "baracuda/device/numeric/polynomials.cuh"
#include "baracuda/device/numeric/reciprocal.cuh"
#include "baracuda/device/ptx/min_max.cuh"

BARACUDA_NUMERIC_BEGIN

/// The value of an element of 16 or 8 bits, for a result of that kind. V is f32, or a vector of it.
template <class V>
struct Narrow {
  V value;
};

/// min(limit, x) and max(limit, x), for a limit that is not 0: NaN stays.
template <class V>
V at_most(V x, V limit) {
  return min(limit, x);
}
template <class V>
V at_least(V x, V limit) {
  return max(limit, x);
}
#ifdef __CUDACC__
template <>
inline float at_most(float x, float limit) {
  return min_or_nan(x, limit);
}
template <>
inline float at_least(float x, float limit) {
  return max_or_nan(x, limit);
}
#endif

/// 2^t as mantissa · power, the mantissa in [0.7, 1.42]: the power is 2^kExtra times too large, so that it is normal
/// for −126 − kExtra ≤ t < 127 − kExtra.
template <class V>
struct NarrowExp2 {
  V mantissa, power;
};
template <int kExtra, class V>
NarrowExp2<V> exp2_narrow_scaled(V t) {
  // The rounder has the exponent's bias in its low bits, where the sum has the integer k: shifted, they are the bits of
  // 2^(k + kExtra).
  const V rounder = V(kRounder<V> + (kExponentBias<V> + kExtra));
  const V shifted = t + rounder;
  return {exp2_narrow(t - (shifted - rounder)), from_bits<V>(shift_left<kMantissaBits<V>>(bits(shifted)))};
}

/// 2^(2t), for any t: as a square, so that nothing between is 0 or infinite.
template <class V>
V exp4_narrow(V t) {
  const NarrowExp2<V> e = exp2_narrow_scaled<0>(at_least(at_most(t, V(66)), V(-70)));
  const V root = e.mantissa * e.power;
  return root * root;
}

template <class V>
V exp(Narrow<V> x) {
  return exp4_narrow(x.value * V(0x1.715476p-1f));  // log2(e) / 2
}

template <class V>
V exp2(Narrow<V> x) {
  return exp4_narrow(x.value * V(0.5f));
}

/// 1 / (1 + 2^t). Numerator and denominator are 2^−32 times as large, so that neither overflows where the quotient is a
/// subnormal number of f32. At t = ∞ it is 0.
template <class V>
V logistic_narrow(V t) {
  const NarrowExp2<V> e = exp2_narrow_scaled<-32>(at_least(at_most(t, V(152)), V(-60)));
  return scaled_reciprocal(fma(e.mantissa, e.power, V(0x1p-32f))) * V(0x1p-32f / kReciprocalScale);
}

template <class V>
V sigmoid(Narrow<V> x) {
  return logistic_narrow(x.value * V(-0x1.715476p0f));  // −log2(e)
}

template <class V>
V silu(Narrow<V> x) {
  return x.value * sigmoid(x);
}

/// x · σ(2u) as in gelu_tanh of all elements: σ(2u) = 1 / (1 + 2^(−2 log2(e) u)).
template <class V>
V gelu_tanh(Narrow<V> x) {
  const V v = x.value;
  return v * logistic_narrow(v * fma(v * v, V(-0.10294324f), V(-2.3022082f)));
}

/// x · n / (n + 2) as in mish of all elements, n = e^x · (e^x + 2). The numerator is 2^32 times as large, so that it is
/// normal where the quotient is a subnormal number of f32. At −∞ that is 0.
template <class V>
V mish(Narrow<V> x) {
  const V t = at_least(at_most(x.value * V(0x1.715476p0f), V(30)), V(-152));
  const NarrowExp2<V> e = exp2_narrow_scaled<32>(t);
  const V power = e.mantissa * e.power;
  const V n = power * fma(power, V(0x1p-32f), V(2));
  const V quotient = n * scaled_reciprocal(fma(n, V(0x1p-32f), V(2)));
  return x.value * (quotient * V(0x1p-32f / kReciprocalScale));
}

/// x · (tanh(x) / x). Beyond 6.3 it is 1, within 2^−17.
template <class V>
V tanh(Narrow<V> x) {
  const V inside = at_least(at_most(x.value, V(6.3f)), V(-6.3f));
  const V z = inside * inside;
  return inside * (tanh_numerator_narrow(z) * scaled_reciprocal(tanh_denominator_narrow(z)));
}

/// v · Φ(v) = max(v, 0) − a · Φ(−a), a = |v|, Φ(−a) as a power of 2.
template <class V>
V gelu(Narrow<V> x) {
  const V a = at_most(abs(x.value), V(13.9f));  // from here on a · Φ(−a) rounds to 0
  const NarrowExp2<V> e = exp2_narrow_scaled<32>(log2_normal_tail_narrow(a));
  // −max(v, 0) with the sign of −v where that is 0, and NaN at −∞, where the formula has 0 · ∞.
  const V half = V(-0.5f) * x.value;
  const V minus_above = half - abs(half);
  return fma(a * e.mantissa * e.power, V(-0x1p-32f), -minus_above);
}

BARACUDA_NUMERIC_END

#endif

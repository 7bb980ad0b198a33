// exp, exp2, expm1: x = k · ln 2 + r with |r| ≤ ln 2 / 2 (Cody and Waite, Software Manual for the Elementary Functions,
// 1980), a polynomial of r, a scaling by 2^k.

#if defined(BARACUDA_DEVICE_NUMERIC_EXP) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_DEVICE_NUMERIC_EXP
#undef BARACUDA_DEVICE_NUMERIC_EXP
#else
#define BARACUDA_DEVICE_NUMERIC_EXP
#endif

#include "baracuda/device/numeric/double_word.cuh"
#include "baracuda/device/numeric/polynomials.cuh"

BARACUDA_NUMERIC_BEGIN

/// x = k · ln 2 + r. The product with the high part of ln 2 is exact inside the fma, and so, by cancellation, is the
/// difference; `r_lo` is what the low part's rounding lost.
template <class V>
struct ExpArgument {
  V r, r_lo;
  IntOf<V> k;
};
template <class V>
ExpArgument<V> exp_argument(V x) {
  const Rounded<V> k = round_to_integer(x * constant<V>(0x1.71547652b82fep0, 0x1.715476p0f));
  const V high = fma(-k.value, constant<V>(0x1.62e42fefa39efp-1, 0x1.62e43p-1f), x);
  const V low = k.value * constant<V>(0x1.abc9e3b39803fp-56, -0x1.05c61p-29f);
  const V r = high - low;
  return {r, (high - r) - low, k.integer};
}

/// Where e^x is 0 or infinite, with a margin: beyond it x is replaced, so that k stays small. NaN stays.
template <class V>
V clamp_to_exp_range(V x) {
  const V low = constant<V>(-760.0, -110.0f), high = constant<V>(720.0, 95.0f);
  return where(x < low, low, where(x > high, high, x));
}

/// e^(x + x_lo) as (1 + p) · 2^k, |p.hi| < 0.42, |p.lo| < 0.07. |x_lo| ≤ ulp(x), x within the range of
/// clamp_to_exp_range.
template <class V>
struct ExpFactor {
  DoubleWord<V> p;
  IntOf<V> k;
};
/// So that 1 + p is good to about a tenth of an ulp before it is rounded.
template <class V>
ExpFactor<V> exp_factor(V x, V x_lo) {
  const ExpArgument<V> a = exp_argument(x);
  const DoubleWord<V> r = fast_two_sum(a.r, a.r_lo + x_lo);
  return {{r.hi, fma(r.hi * r.hi, expm1_tail(r.hi), fma(r.hi, r.lo, r.lo))}, a.k};
}
/// So that a product with it by times_one_plus is within 2 ulp. Of f32, all of whose values can be tried, p.lo is 0.
template <class V>
ExpFactor<V> quick_exp_factor(V x, V x_lo) {
  if constexpr (kIsF64<V>) {
    return exp_factor(x, x_lo);
  } else {
    const V log2_e = V(0x1.715476p0f), log2_e_lo = V(0x1.4ae0cp-26f);
    const Rounded<V> k = round_to_integer(x * log2_e);
    const V r = fma(x, log2_e, -k.value) + fma(x, log2_e_lo, x_lo * log2_e);
    return {{r * exp2_tail(r), V(0)}, k.integer};
  }
}
/// y · (1 + p) of a quick_exp_factor.
template <class V>
V times_one_plus(DoubleWord<V> y, DoubleWord<V> p) {
  V lo = fma(y.lo, p.hi, y.lo);
  if constexpr (kIsF64<V>) lo = fma(y.hi, p.lo, lo);
  return y.hi + fma(y.hi, p.hi, lo);
}

/// e^x · 2^(extra), rounded once more: for functions whose terms overflow where they do not.
template <class V>
V exp_times_power_of_two(V x, int extra) {
  const ExpArgument<V> a = exp_argument(clamp_to_exp_range(x));
  return scale(V(1) + fma(a.r * a.r, expm1_tail(a.r), a.r), a.k + IntOf<V>(extra));
}

/// e^x.
template <class V>
V exp(V x) {
  return exp_times_power_of_two(x, 0);
}

/// 2^x.
template <class V>
V exp2(V x) {
  const V low = constant<V>(-1100.0, -160.0f), high = constant<V>(1030.0, 130.0f);
  const V inside = where(x < low, low, where(x > high, high, x));
  const Rounded<V> k = round_to_integer(inside);
  const V r = inside - k.value;
  return scale(fma(r, exp2_tail(r), V(1)), k.integer);
}

/// e^x − 1, also where that is small.
template <class V>
V expm1(V x) {
  // Below −44 (−18) the result is −1.
  const V low = constant<V>(-44.0, -18.0f), high = constant<V>(720.0, 95.0f);
  const ExpArgument<V> a = exp_argument(where(x < low, low, where(x > high, high, x)));
  // e^x − 1 = 2^k · ((e^r − 1) + (1 − 2^−k)). From k = 64 on the −1 is far below the last bit.
  const V small = a.r + fma(a.r * a.r, expm1_tail(a.r), a.r_lo);
  const IntOf<V> k = a.k;
  const V rest = V(1) - where(k > IntOf<V>(64), V(0), power_of_two<V>(-where(k > IntOf<V>(64), IntOf<V>(0), k)));
  return where(x == V(0), x, scale(small + rest, k));
}

BARACUDA_NUMERIC_END

#endif

// asin, acos, atan, atan2.

#if defined(BARACUDA_DEVICE_NUMERIC_INVERSE_TRIG) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_DEVICE_NUMERIC_INVERSE_TRIG
#undef BARACUDA_DEVICE_NUMERIC_INVERSE_TRIG
#else
#define BARACUDA_DEVICE_NUMERIC_INVERSE_TRIG
#endif

#include "baracuda/device/numeric/double_word.cuh"
#include "baracuda/device/numeric/polynomials.cuh"

BARACUDA_NUMERIC_BEGIN

template <class V>
DoubleWord<V> half_pi() {
  return {constant<V>(0x1.921fb54442d18p0, 0x1.921fb6p0f), constant<V>(0x1.1a62633145c07p-54, -0x1.777a5cp-25f)};
}

/// Of |x|: where it is at most 1/2, arcsin(|x|) = s + rest; where it is larger, arcsin(√z) = s + rest of
/// z = (1 − |x|) / 2, twice of which is arccos(|x|).
template <class V>
struct ArcsinParts {
  MaskOf<V> is_large;
  V s, rest;
};
template <class V>
ArcsinParts<V> arcsin_parts(V x) {
  const V a = abs(x);
  const MaskOf<V> is_large = a > V(0.5);
  const V z = where(is_large, fma(V(-0.5), a, V(0.5)), a * a);
  const V root = sqrt(z);
  // √z = root + lost, from z − root², which is exact. 0 where the root is.
  const V lost = where(root > V(0), fma(-root, root, z) / (root + root), V(0));
  const V s = where(is_large, root, a);
  return {is_large, s, fma(s * z, asin_tail(z), where(is_large, lost, V(0)))};
}

/// NaN beyond [−1, 1].
template <class V>
V asin(V x) {
  const ArcsinParts<V> a = arcsin_parts(x);
  // π/2 − 2 · (s + rest) for the large.
  const DoubleWord<V> difference = fast_two_sum(half_pi<V>().hi, V(-2) * a.s);
  const V large = difference.hi + (difference.lo + fma(V(-2), a.rest, half_pi<V>().lo));
  return copysign(where(a.is_large, large, a.s + a.rest), x);
}

/// NaN beyond [−1, 1].
template <class V>
V acos(V x) {
  const ArcsinParts<V> a = arcsin_parts(x);
  const MaskOf<V> is_negative = x < V(0);
  // 2 · (s + rest), or π less that, for the large; π/2 ∓ (s + rest) for the small.
  const V twice = V(2) * a.s, twice_rest = V(2) * a.rest;
  const V multiple = where(a.is_large, where(is_negative, V(2), V(0)), V(1));
  const V s = where(a.is_large, twice, a.s), rest = where(a.is_large, twice_rest, a.rest);
  const MaskOf<V> is_minus = select_mask(a.is_large, is_negative, !is_negative);
  const V signed_s = where(is_minus, -s, s), signed_rest = where(is_minus, -rest, rest);
  const DoubleWord<V> sum = fast_two_sum(multiple * half_pi<V>().hi, signed_s);
  return sum.hi + (sum.lo + fma(multiple, half_pi<V>().lo, signed_rest));
}

/// arctan(n / d) for 0 ≤ n ≤ d, d finite and > 0, as hi + lo.
template <class V>
DoubleWord<V> arctan_of_ratio(V n, V d) {
  using I = IntOf<V>;
  // Both by the power of two that brings d into [1, 2), so that no step overflows and 1 / d is exact enough.
  const MaskOf<V> is_subnormal = d < power_of_two<V>(I(1 - kExponentBias<V>));
  const V up = where(is_subnormal, power_of_two<V>(I(kMantissaBits<V> + 1)), V(1));
  const I exponent = shift_right<kMantissaBits<V>>(bits(d * up)) - I(kExponentBias<V>);
  // In two factors: the one power of two need not be a normal number.
  const I half = shift_right<1>(exponent);
  const V down = power_of_two<V>(-half), down_rest = power_of_two<V>(half - exponent);
  const V a = n * up * down * down_rest, b = d * up * down * down_rest;

  // Beyond tan(π/8): arctan(a / b) = π/4 + arctan((a − b) / (a + b)).
  const MaskOf<V> is_large = a > constant<V>(0x1.a827999fcef32p-2, 0x1.a8279ap-2f) * b;
  const DoubleWord<V> difference = fast_two_sum(-b, a), sum = fast_two_sum(b, a);
  const DoubleWord<V> numerator = {where(is_large, difference.hi, a), where(is_large, difference.lo, V(0))};
  const DoubleWord<V> denominator = {where(is_large, sum.hi, b), where(is_large, sum.lo, V(0))};
  const DoubleWord<V> t = divide(numerator, denominator);
  const V z = t.hi * t.hi;
  const V rest = fma(t.hi * z, atan_tail(z), t.lo);
  const DoubleWord<V> large = fast_two_sum(V(0.5) * half_pi<V>().hi, t.hi);
  return {where(is_large, large.hi, t.hi), where(is_large, large.lo + fma(V(0.5), half_pi<V>().lo, rest), rest)};
}

template <class V>
V atan(V x) {
  const V a = abs(x);
  const MaskOf<V> is_large = a > V(1);
  // An infinity is taken for the largest finite number, which has the same arctangent; NaN passes.
  const V finite = where(a == infinity<V>(), largest_finite<V>(), a);
  const DoubleWord<V> angle = arctan_of_ratio(where(is_large, V(1), finite), where(is_large, finite, V(1)));
  const DoubleWord<V> sum = fast_two_sum(half_pi<V>().hi, -angle.hi);
  const V large = sum.hi + (sum.lo + (half_pi<V>().lo - angle.lo));
  return copysign(where(is_large, large, angle.hi + angle.lo), x);
}

/// The angle of the point (x, y), in [−π, π], with the signs of zeros and the infinities as C99 has them.
template <class V>
V atan2(V y, V x) {
  const V ay = abs(y), ax = abs(x);
  const MaskOf<V> is_steep = ay > ax;
  V n = where(is_steep, ax, ay), d = where(is_steep, ay, ax);
  // Both zero, or both infinite: the ratios 0 and 1. One infinite: the ratio 0.
  const MaskOf<V> is_infinite = d == infinity<V>();
  n = where(is_infinite, where(n == infinity<V>(), V(1), V(0)), n);
  d = where(is_infinite | (d == V(0)), V(1), d);
  const DoubleWord<V> angle = arctan_of_ratio(n, d);
  // From the nearest axis: 0 + angle, π/2 ∓ angle, π − angle.
  const MaskOf<V> is_left = has_sign_bit(x);
  const V multiple = where(is_steep, V(1), where(is_left, V(2), V(0)));
  const MaskOf<V> is_plus = select_mask(is_steep, is_left, !is_left);
  const V hi = where(is_plus, angle.hi, -angle.hi), lo = where(is_plus, angle.lo, -angle.lo);
  const DoubleWord<V> sum = fast_two_sum(multiple * half_pi<V>().hi, hi);
  const V result = sum.hi + (sum.lo + fma(multiple, half_pi<V>().lo, lo));
  return where(is_nan(x) | is_nan(y), x + y, copysign(result, y));
}

BARACUDA_NUMERIC_END

#endif

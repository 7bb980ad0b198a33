// pow: 2^k · e^r from y · log|x|, the logarithm twice as precise as the result, because its error is multiplied by up
// to 745 (f32: 103).

#if defined(BARACUDA_DEVICE_NUMERIC_POW) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_DEVICE_NUMERIC_POW
#undef BARACUDA_DEVICE_NUMERIC_POW
#else
#define BARACUDA_DEVICE_NUMERIC_POW
#endif

#include "baracuda/device/numeric/exp.cuh"
#include "baracuda/device/numeric/log.cuh"

BARACUDA_NUMERIC_BEGIN

/// log(x) for finite x > 0, as a sum of two: 2 artanh(s), s = f / (2 + f), of which 2s + 2s³/3 is summed so.
template <class V>
DoubleWord<V> log_double_word(V x) {
  const SplitExponent<V> split = split_exponent(x);
  const V f = split.mantissa - V(1);
  const DoubleWord<V> quotient = divide<V>({f, V(0)}, fast_two_sum(V(2), f));
  const DoubleWord<V> s = fast_two_sum(quotient.hi, quotient.lo);
  const DoubleWord<V> z = multiply(s, s);
  const DoubleWord<V> two_thirds = {constant<V>(0x1.5555555555555p-1, 0x1.555556p-1f),
                                    constant<V>(0x1.5555555555555p-55, -0x1.555556p-26f)};
  const DoubleWord<V> third = multiply(z, two_thirds);
  const DoubleWord<V> terms = fast_two_sum(third.hi, fma(z.hi * z.hi, atanh_tail(z.hi), third.lo));
  const DoubleWord<V> of_mantissa = multiply(s, add<V>({V(2), V(0)}, terms));

  const V exponent = to_float<V>(split.e);
  const V high = exponent * constant<V>(0x1.62e42fefa38p-1, 0x1.62e4p-1f);
  const V low = exponent * constant<V>(0x1.ef35793c7673p-45, 0x1.7f7d1cp-20f);
  const DoubleWord<V> sum = fast_two_sum(high, of_mantissa.hi);
  return fast_two_sum(sum.hi, sum.lo + (of_mantissa.lo + low));
}

/// x^y with the special cases of C99: 1 for y = 0 and for x = 1 whatever the other is, NaN for finite x < 0 and a y
/// that is no integer, the sign of x for odd y.
template <class V>
V pow(V x, V y) {
  const V ax = abs(x), ay = abs(y);
  const DoubleWord<V> logarithm = log_double_word(ax);
  const V product = y * logarithm.hi;
  const V hi = clamp_to_exp_range(product);
  const V lo = where(hi == product, fma(y, logarithm.lo, fma(y, logarithm.hi, -product)), V(0));
  const DoubleWord<V> argument = fast_two_sum(hi, lo);
  const ExpFactor<V> e = exp_factor(argument.hi, argument.lo);
  const DoubleWord<V> mantissa = fast_two_sum(V(1), e.p.hi);
  const V finite = scale(mantissa.hi + (mantissa.lo + e.p.lo), e.k);

  const MaskOf<V> is_limit = (ax == V(0)) | (ax == infinity<V>()) | (ay == infinity<V>());
  const MaskOf<V> grows = select_mask(ax > V(1), y > V(0), y < V(0));
  const V limit = where(ax == V(1), V(1), where(grows, infinity<V>(), V(0)));
  const V magnitude = where(is_limit, limit, finite);

  const MaskOf<V> is_integer = trunc(y) == y;
  const V half = V(0.5) * y;
  const MaskOf<V> is_odd = is_integer & (trunc(half) != half);
  const MaskOf<V> is_invalid = (x < V(0)) & (ax < infinity<V>()) & !is_integer;
  const V result = where(is_invalid, quiet_nan<V>(), where(has_sign_bit(x) & is_odd, -magnitude, magnitude));
  const MaskOf<V> is_one = (y == V(0)) | (x == V(1));
  return where(is_one, V(1), where(is_nan(x) | is_nan(y), x + y, result));
}

BARACUDA_NUMERIC_END

#endif

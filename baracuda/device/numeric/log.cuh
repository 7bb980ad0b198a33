// log, log2, log10, log1p: x = 2^e · (1 + f) with √½ ≤ 1 + f ≤ √2, log(1 + f) = f − f²/2 + f³ · tail(f).

#if defined(BARACUDA_DEVICE_NUMERIC_LOG) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_DEVICE_NUMERIC_LOG
#undef BARACUDA_DEVICE_NUMERIC_LOG
#else
#define BARACUDA_DEVICE_NUMERIC_LOG
#endif

#include "baracuda/device/numeric/double_word.cuh"
#include "baracuda/device/numeric/polynomials.cuh"

BARACUDA_NUMERIC_BEGIN

/// |x| = 2^e · mantissa, √½ ≤ mantissa < √2, for finite x ≠ 0, subnormal too.
template <class V>
struct SplitExponent {
  V mantissa;
  IntOf<V> e;
};
template <class V>
SplitExponent<V> split_exponent(V x) {
  using I = IntOf<V>;
  const V a = abs(x);
  const MaskOf<V> subnormal = a < power_of_two<V>(I(1 - kExponentBias<V>));
  const V normal = where(subnormal, a * power_of_two<V>(I(kMantissaBits<V> + 1)), a);
  // The exponent field of normal / √½, whose mantissa is in [1, 2) where normal's is in [√½, √2).
  const I above = bits(normal) - bits(constant<V>(0x1.6a09e667f3bcdp-1, 0x1.6a09e6p-1f));
  const I e = shift_right<kMantissaBits<V>>(above);
  const V mantissa = from_bits<V>(bits(normal) - shift_left<kMantissaBits<V>>(e));
  return {mantissa, where(subnormal, e - I(kMantissaBits<V> + 1), e)};
}

/// What every logarithm gives outside the positive finite numbers, `result` inside. Of zero −inf, below NaN.
template <class V>
V log_special_cases(V x, V result) {
  const V of_large = where(x < infinity<V>(), result, x);  // also NaN
  return where(x > V(0), of_large, where(x == V(0), -infinity<V>(), where(is_nan(x), x, quiet_nan<V>())));
}

/// log(1 + f) − f.
template <class V>
V log1p_minus_argument(V f) {
  const V square = f * f;
  return fma(f * square, log1p_tail(f), V(-0.5) * square);
}

/// e · ln 2 + log(1 + f + f_lo), |f_lo| ≤ ulp(1 + f).
template <class V>
V log_of_parts(IntOf<V> e, V f, V f_lo) {
  const V exponent = to_float<V>(e);
  // The high part of ln 2 ends in so many zeros that its product with e is exact.
  const V high = exponent * constant<V>(0x1.62e42fefa38p-1, 0x1.62e4p-1f);
  const V low = exponent * constant<V>(0x1.ef35793c7673p-45, 0x1.7f7d1cp-20f);
  const DoubleWord<V> sum = fast_two_sum(high, f);
  const V correction = fma(-f_lo, f, f_lo);  // f_lo / (1 + f)
  return sum.hi + (log1p_minus_argument(f) + (low + (sum.lo + correction)));
}

/// e · log(2) + log(1 + f) to another base: log(2) as high + low, the product with high exact, and 1 / log(base), twice
/// as precise.
template <class V>
V log_of_parts_to_base(IntOf<V> e, V f, V log_2_high, V log_2_low, DoubleWord<V> factor) {
  const V exponent = to_float<V>(e);
  const DoubleWord<V> product = two_product(f, factor.hi);
  const DoubleWord<V> sum = fast_two_sum(exponent * log_2_high, product.hi);
  const V rest = fma(log1p_minus_argument(f), factor.hi, fma(f, factor.lo, product.lo));
  return sum.hi + (rest + fma(exponent, log_2_low, sum.lo));
}

/// log(2^factor_log2 · (1 + y.hi + y.lo)), |y.lo| ≤ ulp(y.hi), for y > −1.
template <class V>
V log1p_of(DoubleWord<V> y, IntOf<V> factor_log2) {
  using I = IntOf<V>;
  const DoubleWord<V> u = two_sum(V(1), y.hi);
  const SplitExponent<V> split = split_exponent(u.hi);
  // Near 1 the argument itself is f. From 2^64 on what the sum lost is far below the last bit.
  const MaskOf<V> is_near = split.e == I(0), is_far = split.e > I(64);
  const V u_lo = where(is_far, V(0), (u.lo + y.lo) * power_of_two<V>(-where(is_far, I(0), split.e)));
  return log_of_parts(split.e + factor_log2, where(is_near, y.hi, split.mantissa - V(1)), where(is_near, y.lo, u_lo));
}

template <class V>
V log(V x) {
  const SplitExponent<V> split = split_exponent(x);
  return log_special_cases(x, log_of_parts(split.e, split.mantissa - V(1), V(0)));
}

template <class V>
V log2(V x) {
  const SplitExponent<V> split = split_exponent(x);
  const DoubleWord<V> factor = {constant<V>(0x1.71547652b82fep0, 0x1.715476p0f),
                                constant<V>(0x1.777d0ffda0d24p-56, 0x1.4ae0cp-26f)};
  return log_special_cases(x, log_of_parts_to_base(split.e, split.mantissa - V(1), V(1), V(0), factor));
}

template <class V>
V log10(V x) {
  const SplitExponent<V> split = split_exponent(x);
  const DoubleWord<V> factor = {constant<V>(0x1.bcb7b1526e50ep-2, 0x1.bcb7b2p-2f),
                                constant<V>(0x1.95355baaafad3p-57, -0x1.5b235ep-27f)};
  const V log_2_high = constant<V>(0x1.34413509f78p-2, 0x1.344p-2f),
          log_2_low = constant<V>(0x1.fef311f12b358p-46, 0x1.3509f8p-18f);
  return log_special_cases(x, log_of_parts_to_base(split.e, split.mantissa - V(1), log_2_high, log_2_low, factor));
}

/// log(1 + x), also where x is small.
template <class V>
V log1p(V x) {
  return where(x == V(0), x, log_special_cases(V(1) + x, log1p_of<V>({x, V(0)}, IntOf<V>(0))));
}

BARACUDA_NUMERIC_END

#endif

// Sums and products without loss: a value as the unevaluated sum of two, |lo| ≤ ulp(hi) / 2 after each step here but
// reciprocal.
// Dekker, Numerische Mathematik 18, 1971; Ogita, Rump, Oishi, SIAM J. Sci. Comput. 26, 2005.

#if defined(BARACUDA_DEVICE_NUMERIC_DOUBLE_WORD) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_DEVICE_NUMERIC_DOUBLE_WORD
#undef BARACUDA_DEVICE_NUMERIC_DOUBLE_WORD
#else
#define BARACUDA_DEVICE_NUMERIC_DOUBLE_WORD
#endif

#include "baracuda/device/numeric/reciprocal.cuh"

BARACUDA_NUMERIC_BEGIN

template <class V>
struct DoubleWord {
  V hi, lo;
};

/// a + b, exact.
template <class V>
DoubleWord<V> two_sum(V a, V b) {
  const V sum = a + b;
  const V of_b = sum - a;
  return {sum, (a - (sum - of_b)) + (b - of_b)};
}

/// a + b, exact where |a| ≥ |b| or a = 0.
template <class V>
DoubleWord<V> fast_two_sum(V a, V b) {
  const V sum = a + b;
  return {sum, b - (sum - a)};
}

/// a · b, exact unless it underflows.
template <class V>
DoubleWord<V> two_product(V a, V b) {
  const V product = a * b;
  return {product, fma(a, b, -product)};
}

/// a · b to about twice the precision.
template <class V>
DoubleWord<V> multiply(DoubleWord<V> a, DoubleWord<V> b) {
  const DoubleWord<V> product = two_product(a.hi, b.hi);
  return fast_two_sum(product.hi, fma(a.hi, b.lo, fma(a.lo, b.hi, product.lo)));
}

/// a + b to about twice the precision where |a| ≥ |b|.
template <class V>
DoubleWord<V> add(DoubleWord<V> a, DoubleWord<V> b) {
  const DoubleWord<V> sum = two_sum(a.hi, b.hi);
  return fast_two_sum(sum.hi, sum.lo + (a.lo + b.lo));
}

/// 1 / d to about twice the precision, for d of moderate size. Of an f32 hi is a guess, which lo, up to 2^−20 of it,
/// mends.
template <class V>
DoubleWord<V> reciprocal(DoubleWord<V> d) {
  V r;
  if constexpr (kIsF64<V>)
    r = V(1) / d.hi;
  else
    r = scaled_reciprocal(d.hi) * V(1 / kReciprocalScale);
  return {r, fma(-r, d.lo, fma(-r, d.hi, V(1))) * r};
}

/// n / d to about twice the precision, for d of moderate size.
template <class V>
DoubleWord<V> divide(DoubleWord<V> n, DoubleWord<V> d) {
  const V reciprocal = V(1) / d.hi;
  const V quotient = n.hi * reciprocal;
  const V rest = fma(-quotient, d.lo, fma(-quotient, d.hi, n.hi) + n.lo);
  return {quotient, rest * reciprocal};
}

BARACUDA_NUMERIC_END

#endif

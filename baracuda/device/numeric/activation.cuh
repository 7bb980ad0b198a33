// The activations of core/activation.h, for one value or a vector of them, within 2 ulp of the exact value.

#if defined(BARACUDA_DEVICE_NUMERIC_ACTIVATION) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_DEVICE_NUMERIC_ACTIVATION
#undef BARACUDA_DEVICE_NUMERIC_ACTIVATION
#else
#define BARACUDA_DEVICE_NUMERIC_ACTIVATION
#endif

#include "baracuda/core/activation.h"
#include "baracuda/device/numeric/erf.cuh"

BARACUDA_NUMERIC_BEGIN

/// v / (1 + e^−v), below 0 as v · e^v / (1 + e^v): e^−|v| is mantissa · 2^k, and k is applied after the product with v,
/// which may be a normal number where e^v is none. −∞ gives NaN, as either formula does.
template <class V>
V silu(V v) {
  const V a = abs(v);
  const ScaledExp<V> e = scaled_exp(clamp_to_exp_range(-a), V(0));
  DoubleWord<V> d = fast_two_sum(V(1), scale(e.mantissa.hi, e.k));
  d.lo = d.lo + scale(e.mantissa.lo, e.k);
  const DoubleWord<V> above = divide({v, V(0)}, d);
  const DoubleWord<V> below = divide(multiply(e.mantissa, {v, V(0)}), d);
  // What exp has clamped is 0.
  const V negative = where(a > constant<V>(760.0, 110.0f), v * V(0), scale(below.hi + below.lo, e.k));
  const V positive = where((v == V(0)) | (v > largest_finite<V>()), v, above.hi + above.lo);
  return where(v < V(0), negative, positive);
}

/// v · Φ(v), Φ(v) = erfc(−v / √2) / 2, with erf and erfc as in erf.cuh. Φ(−a) becomes small as fast as e^(−a²/2), so
/// that neither a / √2 nor its square may be rounded before the exponential, and nothing is scaled before the product
/// with v. −∞ gives NaN, as the formula does.
template <class V>
V gelu(V v) {
  const V a = abs(v);
  const V limit = constant<V>(38.7, 14.4f);  // from here on it is 0 or v
  const V inside = where(a > limit, limit, a);
  const V root_hi = constant<V>(0x1.6a09e667f3bcdp-1, 0x1.6a09e6p-1f);
  const V root_lo = constant<V>(-0x1.bdd3413b26456p-55, 0x1.9fcef4p-27f);
  const V x = inside * root_hi;
  const V x_lo = fma(inside, root_hi, -x) + inside * root_lo;

  // Φ(v) = 1/2 + erf(v / √2) / 2 near 0.
  const V half_x = copysign(V(0.5) * x, v);
  const DoubleWord<V> sum = two_sum(V(0.5), half_x);
  const V rest = fma(half_x, erf_tail(x * x), copysign(V(0.5), v) * x_lo);
  const V near = v * (sum.hi + (sum.lo + rest));

  // v · Φ(−a), as mantissa · 2^k.
  const V k = constant<V>(4.0, 2.0f);
  const V t = (x - k) / (x + k);
  DoubleWord<V> denominator = two_sum(V(1), x + x);
  denominator.lo = denominator.lo + (x_lo + x_lo);
  const DoubleWord<V> ratio = divide(fast_two_sum(V(1.25), erfcx_tail(t)), denominator);
  const DoubleWord<V> square = two_product(inside, inside);
  const ScaledExp<V> e = scaled_exp(V(-0.5) * square.hi, V(-0.5) * square.lo);
  const DoubleWord<V> tail = multiply(e.mantissa, ratio);
  const DoubleWord<V> product = multiply(tail, {V(-0.5) * inside, V(0)});
  const V below = where(a > limit, v * V(0), scale(product.hi, e.k));
  const V above = where(a > limit, v, v + below);
  return where(x < V(0.5), near, where(v < V(0), below, above));
}

/// The activation of values. It is chosen at run time: all lanes take the same way, and outputs are few beside the
/// products that made them.
template <class V>
V activate(Activation activation, V v) {
  switch (activation) {
    case Activation::Relu: return where(v < V(0), V(0), v);
    case Activation::Gelu: return gelu(v);
    case Activation::Silu: return silu(v);
    default: return v;
  }
}

BARACUDA_NUMERIC_END

#endif

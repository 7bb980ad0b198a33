// Activations for one value or a vector of them, as max(v, 0) − a · h, a = |v|. Of v · g(v) with g(v) + g(−v) = 1 it
// is h = g(−a), at most a half; h becomes small as an exponential of a does. silu and gelu are within 2 ulp of the
// exact value, mish within 4; gelu_tanh rounds the argument of its exponential, which counts as often as that is large.

#if defined(BARACUDA_DEVICE_NUMERIC_ACTIVATION) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_DEVICE_NUMERIC_ACTIVATION
#undef BARACUDA_DEVICE_NUMERIC_ACTIVATION
#else
#define BARACUDA_DEVICE_NUMERIC_ACTIVATION
#endif

#include "baracuda/core/activation.h"
#include "baracuda/device/numeric/exp.cuh"

BARACUDA_NUMERIC_BEGIN

/// |v|, or `limit` beyond it.
template <class V>
V magnitude_up_to(V limit, V v) {
  const V a = abs(v);
  return where(a > limit, limit, a);
}

/// e^−a · a is 0 from here on, and 2^64 (f32: 2^32) times e^−a a normal number up to here: no limit may be greater.
template <class V>
V exp_limit() {
  return constant<V>(753.0, 109.0f);
}

/// max(v, 0) − a · ratio · e for a = |v|, or for the limit from which on the product is 0. The product's parts are
/// taken many times as large, so that they are normal numbers where it is none. Keeps the sign of 0; −∞ gives NaN, as a
/// formula v · g(v) does.
template <class V>
V positive_part_minus(V v, V a, DoubleWord<V> ratio, ExpFactor<V> e) {
  constexpr int kExtra = kIsF64<V> ? 64 : 32;
  const V larger = a * power_of_two<V>(IntOf<V>(kExtra));
  DoubleWord<V> product = two_product(larger, ratio.hi);
  product.lo = fma(larger, ratio.lo, product.lo);
  const V gated = times_one_plus(product, e.p) * power_of_two<V>(e.k + IntOf<V>(kExtra));
  return fma(gated, -power_of_two<V>(IntOf<V>(-2 * kExtra)), where(v > V(0), v, v * V(0)));
}

/// The factor as a number that is added to 1 or 2: where it is nothing beside those it is any that is nothing, too.
template <class V>
V beside_one(ExpFactor<V> e) {
  const V power = power_of_two<V>(where(e.k < IntOf<V>(-64), IntOf<V>(-64), e.k));
  return times_one_plus(DoubleWord<V>{power, V(0)}, e.p);
}

/// v · σ(t), t of the sign of v and |t| = gate, by σ(−gate) = e / (1 + e), e = e^−gate. `a` as above.
template <class V>
V sigmoid_gate(V v, V a, V gate) {
  const ExpFactor<V> e = quick_exp_factor(-gate, V(0));
  return positive_part_minus(v, a, reciprocal(fast_two_sum(V(1), beside_one(e))), e);
}

/// v · σ(v).
template <class V>
V silu(V v) {
  const V a = magnitude_up_to(exp_limit<V>(), v);
  return sigmoid_gate(v, a, a);
}

/// v / 2 · (1 + tanh(u)) = v · σ(2u), u = √(2/π) · (v + 0.044715 v³).
template <class V>
V gelu_tanh(V v) {
  const V a = magnitude_up_to(constant<V>(21.57, 10.85f), v);  // 2u is just below exp_limit there
  return sigmoid_gate(v, a, V(1.5957691216057308) * fma(V(0.044715) * a, a * a, a));
}

/// v · Φ(v), Φ(−a) = e^(−a²/2) · (5/8 + ratio(t)) / (a + k), t = (a − k) / (a + k): one polynomial for all of it,
/// because that hardly varies. Shepherd and Laframboise, Mathematics of Computation 36, 1981, have it of erfc. a² may
/// not be rounded before the exponential.
template <class V>
V gelu(V v) {
  const V a = magnitude_up_to(constant<V>(38.7, 14.4f), v);
  const V k = constant<V>(2.0, 1.5f);
  const V sum = a + k;
  const DoubleWord<V> r = reciprocal(DoubleWord<V>{sum, a - (sum - k)});
  const V t = fma(V(-2) * k, r.lo, fma(V(-2) * k, r.hi, V(1)));
  const DoubleWord<V> numerator = fast_two_sum(V(0.625), normal_tail_ratio(t));
  const DoubleWord<V> ratio = two_product(r.hi, numerator.hi);
  const DoubleWord<V> exponent = two_product(V(-0.5) * a, a);
  return positive_part_minus(v, a, {ratio.hi, fma(r.hi, numerator.lo, fma(r.lo, numerator.hi, ratio.lo))},
                             quick_exp_factor(exponent.hi, exponent.lo));
}

/// v · tanh(log(1 + e^v)) = v · n / (n + 2), n = e^v · (e^v + 2). With e = e^−a the factor is
/// e · (e + 2) / (e · (e + 2) + 2) of −a, and 1 less e · 2e / (e · (2e + 2) + 1) of a.
template <class V>
V mish(V v) {
  const V a = magnitude_up_to(exp_limit<V>(), v);
  const ExpFactor<V> factor = quick_exp_factor(-a, V(0));
  const V e = beside_one(factor);
  const MaskOf<V> negative = v < V(0);
  const V numerator = where(negative, e + V(2), e + e);
  const V denominator = fma(e, where(negative, numerator, numerator + V(2)), where(negative, V(2), V(1)));
  const DoubleWord<V> r = reciprocal(DoubleWord<V>{denominator, V(0)});
  return positive_part_minus(v, a, {numerator * r.hi, numerator * r.lo}, factor);
}

/// The activation of values, see core/activation.h. It is chosen at run time: all lanes take the same way, and outputs
/// are few beside the products that made them.
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

// Activations v · g(v) with g(v) + g(−v) = 1, for one value or a vector of them, as max(v, 0) − a · g(−a), a = |v|:
// g(−a) is at most a half, and becomes small as an exponential does.

#if defined(BARACUDA_DEVICE_NUMERIC_ACTIVATION) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_DEVICE_NUMERIC_ACTIVATION
#undef BARACUDA_DEVICE_NUMERIC_ACTIVATION
#else
#define BARACUDA_DEVICE_NUMERIC_ACTIVATION
#endif

#include "baracuda/core/activation.h"
#include "baracuda/device/numeric/exp.cuh"

BARACUDA_NUMERIC_BEGIN

/// max(v, 0) − a · ratio · e, where a is |v| or, beyond where the product counts, any number in between. Its parts are
/// taken 2^kExtra times as large, so that they are normal numbers where their product is none. Keeps the sign of 0; −∞
/// gives NaN, as a formula v · g(v) does.
template <class V>
V positive_part_minus(V v, V a, DoubleWord<V> ratio, ExpFactor<V> e) {
  constexpr int kExtra = kIsF64<V> ? 64 : 32;
  const DoubleWord<V> product = two_product(a * power_of_two<V>(IntOf<V>(kExtra)), ratio.hi);
  const V lo = fma(a * power_of_two<V>(IntOf<V>(kExtra)), ratio.lo, product.lo);
  const V gated = product.hi + fma(product.hi, e.p, fma(lo, e.p, lo));
  const V small = gated * power_of_two<V>(e.k + IntOf<V>(kExtra));
  return fma(small, -power_of_two<V>(IntOf<V>(-2 * kExtra)), where(v > V(0), v, v * V(0)));
}

/// From here on a · e^−a is 0; 2^kExtra · e^−a is still a normal number.
template <class V>
V exp_limit() {
  return constant<V>(753.0, 109.0f);
}

/// v · σ(t), t of the sign of v and |t| = gate, by σ(−gate) = e / (1 + e), e = e^−gate. `a` as above.
template <class V>
V sigmoid_gate(V v, V a, V gate) {
  const ExpFactor<V> e = exp_factor(-gate, V(0));
  const V power = power_of_two<V>(where(e.k < IntOf<V>(-64), IntOf<V>(-64), e.k));
  return positive_part_minus(v, a, reciprocal(fast_two_sum(V(1), fma(power, e.p, power))), e);
}

/// v · σ(v).
template <class V>
V silu(V v) {
  const V a = where(abs(v) > exp_limit<V>(), exp_limit<V>(), abs(v));
  return sigmoid_gate(v, a, a);
}

/// v / 2 · (1 + tanh(u)) = v · σ(2u), u = √(2/π) · (v + 0.044715 v³).
template <class V>
V gelu_tanh(V v) {
  const V limit = constant<V>(21.57, 10.85f);  // 2u is just below exp_limit there
  const V a = where(abs(v) > limit, limit, abs(v));
  return sigmoid_gate(v, a, V(1.5957691216057308) * fma(V(0.044715) * a, a * a, a));
}

/// v · Φ(v), Φ(−a) = e^(−a²/2) · (5/8 + ratio(t)) / (a + k), t = (a − k) / (a + k): one polynomial for all of it,
/// because that hardly varies. Shepherd and Laframboise, Mathematics of Computation 36, 1981, have it of erfc. a² may
/// not be rounded before the exponential.
template <class V>
V gelu(V v) {
  const V limit = constant<V>(38.7, 14.4f);  // from here on a · Φ(−a) is 0
  const V a = where(abs(v) > limit, limit, abs(v));
  const V k = constant<V>(2.0, 1.5f);
  const V sum = a + k;
  const DoubleWord<V> r = reciprocal(DoubleWord<V>{sum, a - (sum - k)});
  const V t = fma(V(-2) * k, r.lo, fma(V(-2) * k, r.hi, V(1)));
  const DoubleWord<V> numerator = fast_two_sum(V(0.625), normal_tail_ratio(t));
  const DoubleWord<V> ratio = two_product(r.hi, numerator.hi);
  const DoubleWord<V> exponent = two_product(V(-0.5) * a, a);
  return positive_part_minus(v, a, {ratio.hi, fma(r.hi, numerator.lo, fma(r.lo, numerator.hi, ratio.lo))},
                             exp_factor(exponent.hi, exponent.lo));
}

/// v · tanh(log(1 + e^v)) = v · n / (n + 2), n = e^v · (e^v + 2). With e = e^−a the factor is
/// e · (e + 2) / (e · (e + 2) + 2) of −a, and 1 less e · 2e / (e · (2e + 2) + 1) of a.
template <class V>
V mish(V v) {
  const V a = where(abs(v) > exp_limit<V>(), exp_limit<V>(), abs(v));
  const ExpFactor<V> factor = exp_factor(-a, V(0));
  const V power = power_of_two<V>(where(factor.k < IntOf<V>(-64), IntOf<V>(-64), factor.k));
  const V e = fma(power, factor.p, power);
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

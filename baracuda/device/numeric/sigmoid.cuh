// sigmoid, softplus.

#if defined(BARACUDA_DEVICE_NUMERIC_SIGMOID) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_DEVICE_NUMERIC_SIGMOID
#undef BARACUDA_DEVICE_NUMERIC_SIGMOID
#else
#define BARACUDA_DEVICE_NUMERIC_SIGMOID
#endif

#include "baracuda/device/numeric/exp.cuh"
#include "baracuda/device/numeric/log.cuh"

BARACUDA_NUMERIC_BEGIN

/// 1 / (1 + e^−x), by e^−|x|, which does not overflow.
template <class V>
V sigmoid(V x) {
  const V e = exp(-abs(x));
  const DoubleWord<V> d = fast_two_sum(V(1), e);
  const V quotient = where(x < V(0), e, V(1)) / d.hi;
  return fma(-quotient, d.lo, quotient);  // d.lo / d.hi is d.lo, nearly, where it matters
}

/// log(1 + e^x) = max(x, 0) + log(1 + e^−|x|). The logarithm of sigmoid(x) is −softplus(−x).
template <class V>
V softplus(V x) {
  const V y = exp(-abs(x));
  return where(x < V(0), V(0), x) + fma(y * y, log1p_of_fraction_tail(y), y);
}

BARACUDA_NUMERIC_END

#endif

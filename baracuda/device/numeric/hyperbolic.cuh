// sinh, cosh, tanh, asinh, acosh, atanh.

#if defined(BARACUDA_DEVICE_NUMERIC_HYPERBOLIC) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_DEVICE_NUMERIC_HYPERBOLIC
#undef BARACUDA_DEVICE_NUMERIC_HYPERBOLIC
#else
#define BARACUDA_DEVICE_NUMERIC_HYPERBOLIC
#endif

#include "baracuda/device/numeric/exp.cuh"
#include "baracuda/device/numeric/log.cuh"

BARACUDA_NUMERIC_BEGIN

template <class V>
V sinh(V x) {
  const V a = abs(x), z = a * a;
  const V small = fma(a * z, sinh_tail(z), a);
  const V half = exp_times_power_of_two(a, -1);  // e^a / 2, which overflows where sinh does
  return copysign(where(a < V(1), small, half - V(0.25) / half), x);
}

template <class V>
V cosh(V x) {
  const V half = exp_times_power_of_two(abs(x), -1);
  return half + V(0.25) / half;
}

template <class V>
V tanh(V x) {
  const V a = abs(x), z = a * a;
  const V small = fma(a * z, tanh_tail(z), a);
  const V large = V(1) - V(2) / (exp(a + a) + V(1));
  return copysign(where(a < V(0.55), small, large), x);
}

/// Up to here the square of an argument is far from overflow; beyond, 1 is nothing against it.
template <class V>
V square_limit() {
  return constant<V>(0x1p60, 0x1p30f);
}

/// log(x + √(x² + 1)) as log1p of x + x² / (1 + √(x² + 1)).
template <class V>
V asinh(V x) {
  using I = IntOf<V>;
  const V a = abs(x), z = a * a;
  const MaskOf<V> is_large = a > square_limit<V>();
  const DoubleWord<V> sum = two_sum(a, z / (V(1) + sqrt(fma(a, a, V(1)))));
  const DoubleWord<V> y = {where(is_large, a, sum.hi), where(is_large, V(0), sum.lo)};
  const V result = log1p_of(y, where(is_large, I(1), I(0)));
  return where((x == V(0)) | !(a < infinity<V>()), x, copysign(result, x));
}

/// log(x + √(x² − 1)) as log1p of t + √(t² + 2t), t = x − 1. NaN below 1.
template <class V>
V acosh(V x) {
  using I = IntOf<V>;
  const MaskOf<V> is_large = x > square_limit<V>();
  const V t = x - V(1);
  const DoubleWord<V> sum = two_sum(sqrt(fma(t, t, t + t)), t);
  const DoubleWord<V> y = {where(is_large, x, sum.hi), where(is_large, V(0), sum.lo)};
  const V result = where(x == V(1), V(0), log1p_of(y, where(is_large, I(1), I(0))));
  return where(x < V(1), quiet_nan<V>(), where(x < infinity<V>(), result, x));
}

/// log((1 + x) / (1 − x)) / 2 as half of log1p of 2x / (1 − x). NaN beyond [−1, 1].
template <class V>
V atanh(V x) {
  const V a = abs(x);
  const DoubleWord<V> y = divide<V>({a + a, V(0)}, fast_two_sum(V(1), -a));
  const V result = copysign(V(0.5) * log1p_of(fast_two_sum(y.hi, y.lo), IntOf<V>(0)), x);
  const V outside = where(a == V(1), copysign(infinity<V>(), x), quiet_nan<V>());
  return where((x == V(0)) | is_nan(x), x, where(a < V(1), result, outside));
}

BARACUDA_NUMERIC_END

#endif

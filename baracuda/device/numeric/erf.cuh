// erf, erfc.

#if defined(BARACUDA_DEVICE_NUMERIC_ERF) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_DEVICE_NUMERIC_ERF
#undef BARACUDA_DEVICE_NUMERIC_ERF
#else
#define BARACUDA_DEVICE_NUMERIC_ERF
#endif

#include "baracuda/device/numeric/exp.cuh"

BARACUDA_NUMERIC_BEGIN

/// From 1 on it is 1 − e^p, p a polynomial: an error of p counts there only as much as erfc is small.
template <class V>
V erf(V x) {
  const V a = abs(x);
  const V small = fma(a, erf_tail(a * a), a);
  const V limit = constant<V>(6.0, 4.0f);  // from here on it is 1
  const V large = V(1) - exp(-minus_log_erfc(where(a > limit, limit, a)));
  return copysign(where(a < V(1), small, large), x);
}

/// e^(−x²) · (5/4 + tail(t)) / (1 + 2x) with t = (x − k) / (x + k) from 1/2 on: one polynomial for all of it, because
/// its value hardly varies. Shepherd and Laframboise, Mathematics of Computation 36, 1981.
template <class V>
V erfc(V x) {
  const V a = abs(x);
  const V small = V(1) - fma(x, erf_tail(x * x), x);

  const V limit = constant<V>(27.4, 10.2f);  // from here on it is 0
  const V inside = where(a > limit, limit, a);
  const V k = constant<V>(4.0, 2.0f);
  const V t = (inside - k) / (inside + k);
  const DoubleWord<V> ratio = divide(fast_two_sum(V(1.25), erfcx_tail(t)), two_sum(V(1), inside + inside));
  const DoubleWord<V> square = two_product(inside, inside);
  const ExpFactor<V> e = quick_exp_factor(-square.hi, -square.lo);
  const V large = scale(times_one_plus(ratio, e.p), e.k);
  return where(a < V(0.5), small, where(x < V(0), V(2) - large, large));
}

BARACUDA_NUMERIC_END

#endif

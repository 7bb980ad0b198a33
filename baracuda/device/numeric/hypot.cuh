// hypot, rsqrt.

#if defined(BARACUDA_DEVICE_NUMERIC_HYPOT) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_DEVICE_NUMERIC_HYPOT
#undef BARACUDA_DEVICE_NUMERIC_HYPOT
#else
#define BARACUDA_DEVICE_NUMERIC_HYPOT
#endif

#include "baracuda/device/numeric/lanes.cuh"

BARACUDA_NUMERIC_BEGIN

/// √(x² + y²) without overflow or underflow on the way; infinite where one of them is, even if the other is NaN.
template <class V>
V hypot(V x, V y) {
  using I = IntOf<V>;
  const V ax = abs(x), ay = abs(y);
  const V a = where(ax < ay, ay, ax), b = where(ax < ay, ax, ay);
  const int far = kIsF64<V> ? 500 : 60, shift = kIsF64<V> ? 600 : 80;
  const MaskOf<V> is_large = a > power_of_two<V>(I(far)), is_small = a < power_of_two<V>(I(-far));
  const V up = power_of_two<V>(I(shift)), down = power_of_two<V>(I(-shift));
  const V before = where(is_large, down, where(is_small, up, V(1)));
  const V after = where(is_large, up, where(is_small, down, V(1)));
  const V as = a * before, bs = b * before;
  const V result = sqrt(fma(as, as, bs * bs)) * after;
  return where((ax == infinity<V>()) | (ay == infinity<V>()), infinity<V>(), result);
}

/// 1 / √x.
template <class V>
V rsqrt(V x) {
  return V(1) / sqrt(x);
}

BARACUDA_NUMERIC_END

#endif

// 1 / d of an f32, roughly: without the branch that a division has on a GPU.

#if defined(BARACUDA_DEVICE_NUMERIC_RECIPROCAL) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_DEVICE_NUMERIC_RECIPROCAL
#undef BARACUDA_DEVICE_NUMERIC_RECIPROCAL
#else
#define BARACUDA_DEVICE_NUMERIC_RECIPROCAL
#endif

#include "baracuda/device/numeric/lanes.cuh"

BARACUDA_NUMERIC_BEGIN

/// kReciprocalScale / d within 2^−20 of it, for normal d > 0 whose reciprocal is normal. Bits subtracted from a
/// constant with √2 − 1 as its mantissa give a guess of which d · guess = y lies in [√½, (3 + 2√2) / 8], the narrowest
/// such interval, y₀ (1 ± δ). There y · ((3 y₀ / 2 − y)² + 3 y₀² (1 − δ²) / 4) is nearest to a constant, the scale: the
/// difference, (y₀ δ)³ / 4 times a Chebyshev polynomial, is at most δ³ / 4 of it.
inline constexpr float kReciprocalScale = 0x1.7ab284p-2f;
template <class V>
V scaled_reciprocal(V d) {
  const V guess = from_bits<V>(IntOf<V>(0x7eb504f3) - bits(d));
  const V rest = fma(-d, guess, V(0x1.13a592p0f));
  return guess * fma(rest, rest, V(0x1.8ba592p-2f));
}

BARACUDA_NUMERIC_END

#endif

// fmod, remainder: exact.

#if defined(BARACUDA_DEVICE_NUMERIC_FMOD) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_DEVICE_NUMERIC_FMOD
#undef BARACUDA_DEVICE_NUMERIC_FMOD
#else
#define BARACUDA_DEVICE_NUMERIC_FMOD
#endif

#include "baracuda/device/numeric/lanes.cuh"

BARACUDA_NUMERIC_BEGIN

/// a mod b in integers, for finite a ≥ b > 0, digit by digit as on paper: a float or a double. From anything else comes
/// something.
template <class T>
T modulo_by_integers(T a, T b) {
  using U = unsigned long long;
  constexpr U kImplicit = U(1) << kMantissaBits<T>;
  const int field_a = static_cast<int>(bits(a) >> kMantissaBits<T>),
            field_b = static_cast<int>(bits(b) >> kMantissaBits<T>);
  const U fraction_a = static_cast<U>(bits(a)) & (kImplicit - 1),
          fraction_b = static_cast<U>(bits(b)) & (kImplicit - 1);
  // A subnormal number has the exponent of field 1, and no implicit bit.
  const int exponent_a = field_a > 0 ? field_a : 1, exponent_b = field_b > 0 ? field_b : 1;
  const U significand_b = field_b > 0 ? fraction_b | kImplicit : fraction_b;
  U rest = field_a > 0 ? fraction_a | kImplicit : fraction_a;
  if (significand_b == 0) return b;
  rest %= significand_b;
  constexpr int kStep = 63 - kMantissaBits<T>;
  for (int left = exponent_a - exponent_b; left > 0; left -= kStep)
    rest = (rest << (left < kStep ? left : kStep)) % significand_b;
  return scale(static_cast<T>(rest), IntOf<T>(exponent_b - kExponentBias<T> - kMantissaBits<T>));
}

/// a mod b for a ≥ 0, b > 0, a finite.
template <class V>
V modulo_of_positive(V a, V b) {
  const V quotient = a / b;
  // A rounded quotient below 2^(mantissa bits) is at most 1 too large when its fraction is dropped; the fma is exact.
  const V rest = fma(-trunc(quotient), b, a);
  V result = where(rest < V(0), rest + b, rest);
  const MaskOf<V> is_long = !(quotient < power_of_two<V>(IntOf<V>(kMantissaBits<V>)));
  if (any(is_long)) {
    ScalarOf<V> as[kLanes<V>], bs[kLanes<V>];
    store_lanes(a, as);
    store_lanes(b, bs);
    for (int i = 0; i < kLanes<V>; ++i) as[i] = modulo_by_integers(as[i], bs[i]);
    result = where(is_long, load_lanes<V>(as), result);
  }
  return where(a < b, a, result);
}

/// What fmod and remainder share: NaN for infinite x, for y = 0 and for NaN; else the result, whose sign follows x.
template <class V>
V modulo_special_cases(V x, V y, V result) {
  const V with_sign = where(has_sign_bit(x), -result, result);
  const V valid = where((abs(x) < infinity<V>()) & (y != V(0)), with_sign, quiet_nan<V>());
  return where(is_nan(x) | is_nan(y), x + y, valid);
}

/// x − n · y, n = x / y rounded to zero.
template <class V>
V fmod(V x, V y) {
  return modulo_special_cases(x, y, modulo_of_positive(abs(x), abs(y)));
}

/// x − n · y, n = x / y rounded to the nearest, to even where two are.
template <class V>
V remainder(V x, V y) {
  const V b = abs(y);
  V rest = modulo_of_positive(abs(x), b + b);  // an infinite 2b leaves |x|
  // rest > b / 2, rest ≥ b / 2: compared without overflow or underflow.
  const MaskOf<V> is_small = b < V(1);
  const V compared = where(is_small, b, V(0.5) * b), factor = where(is_small, V(2), V(1));
  const MaskOf<V> above = rest * factor > compared;
  rest = where(above, rest - b, rest);
  rest = where(above & (rest * factor >= compared), rest - b, rest);
  return modulo_special_cases(x, y, rest);
}

BARACUDA_NUMERIC_END

#endif

// sin, cos, tan: x = q · π/2 + r with |r| ≤ π/4, r as a sum of two, for every finite x.

#if defined(BARACUDA_DEVICE_NUMERIC_TRIG) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_DEVICE_NUMERIC_TRIG
#undef BARACUDA_DEVICE_NUMERIC_TRIG
#else
#define BARACUDA_DEVICE_NUMERIC_TRIG
#endif

#include "baracuda/device/numeric/double_word.cuh"
#include "baracuda/device/numeric/polynomials.cuh"

BARACUDA_NUMERIC_BEGIN

/// x = quadrant · π/2 + r, modulo 2π; the quadrant is an integer, and any of those that are equal modulo 4.
template <class V>
struct ReducedAngle {
  DoubleWord<V> r;
  V quadrant;
};

/// Up to here three words of π/2 are enough: no f32 or f64 lies so near a multiple that fewer than 24 (53) bits are
/// left.
template <class V>
V reduce_by_words_limit() {
  return constant<V>(0x1p30, 0x1p17f);
}
/// Cody and Waite. The first product is subtracted exactly, because the fma's result needs no more bits than π/2 has.
template <class V>
ReducedAngle<V> reduce_by_words(V x) {
  const V quotient = x * constant<V>(0x1.45f306dc9c883p-1, 0x1.45f306p-1f);
  const V k = (quotient + V(kRounder<V>)) - V(kRounder<V>);
  const V first = fma(-k, constant<V>(0x1.921fb54442d18p0, 0x1.921fb6p0f), x);
  const DoubleWord<V> second = two_product(k, constant<V>(0x1.1a62633145c07p-54, -0x1.777a5cp-25f));
  const V third = fma(k, constant<V>(-0x1.f1976b7ed8fbcp-110, -0x1.ee59dap-50f), second.lo);
  const DoubleWord<V> rest = two_sum(first, -second.hi);
  return {fast_two_sum(rest.hi, rest.lo - third), k};
}

/// Payne and Hanek, ACM SIGNUM Newsletter 18, 1983: x · 2/π modulo 4, with only those bits of 2/π that matter there, in
/// integers. For a float or a double of any size; from NaN and infinity comes something finite.
template <class T>
ReducedAngle<T> reduce_by_integers(T x) {
  // 64 zeros and the first 1216 bits behind the point of 2/π: enough for the largest double.
  static constexpr unsigned kTwoOverPi[40] = {
      0x00000000, 0x00000000, 0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041,
      0xfe5163ab, 0xdebbc561, 0xb7246e3a, 0x424dd2e0, 0x06492eea, 0x09d1921c, 0xfe1deb1c, 0xb129a73e,
      0xe88235f5, 0x2ebb4484, 0xe99c7026, 0xb45f7e41, 0x3991d639, 0x835339f4, 0x9c845f8b, 0xbdf9283b,
      0x1ff897ff, 0xde05980f, 0xef2f118b, 0x5a0a6d1f, 0x6d367ecf, 0x27cb09b7, 0x4f463f66, 0x9e5fea2d,
      0x7527bac7, 0xebe5f17b, 0x3d0739f7, 0x8a5292ea, 0x6bfb5fb1, 0x1f8d5d08, 0x56033046, 0xfc7b6bab};
  using Digit = unsigned;
  using TwoDigits = unsigned long long;
  // |x| = significand · 2^e.
  const int exponent_field = static_cast<int>(bits(abs(x)) >> kMantissaBits<T>);
  const int e = exponent_field - kExponentBias<T> - kMantissaBits<T>;
  const TwoDigits one = 1;
  const TwoDigits significand =
      (static_cast<TwoDigits>(bits(x)) & ((one << kMantissaBits<T>)-1)) | (one << kMantissaBits<T>);

  // The window begins at the bit of 2/π that times 2^e is 2; those before it give multiples of 4.
  constexpr int kDigits = kIsF64<T> ? 6 : 4;
  const int first = e + 62 < 0 ? 0 : e + 62;
  Digit window[kDigits];  // lowest first
  for (int i = 0; i < kDigits; ++i) {
    const unsigned* from = kTwoOverPi + first / 32 + (kDigits - 1 - i);
    window[i] = static_cast<Digit>(((static_cast<TwoDigits>(from[0]) << 32 | from[1]) << (first % 32)) >> 32);
  }
  // Its product with the significand, modulo 4: the upper two bits of the highest digit are what is left of the integer
  // part.
  Digit product[kDigits] = {};
  for (int i = 0; i < (kIsF64<T> ? 2 : 1); ++i) {
    const TwoDigits factor = static_cast<Digit>(significand >> (32 * i));
    TwoDigits carry = 0;
    for (int j = 0; i + j < kDigits; ++j) {
      carry += factor * window[j] + product[i + j];
      product[i + j] = static_cast<Digit>(carry);
      carry >>= 32;
    }
  }
  const TwoDigits high = static_cast<TwoDigits>(product[kDigits - 1]) << 32 | product[kDigits - 2];
  const TwoDigits low = static_cast<TwoDigits>(product[kDigits - 3]) << 32 | product[kDigits - 4];
  const int quadrant = static_cast<int>((high + (one << 61)) >> 62);
  // What is left, in [−1/2, 1/2): 62 bits of it with the sign, and the next 62.
  const long long fraction = static_cast<long long>(high << 2) >> 2;
  const T fraction_hi = static_cast<T>(fraction);
  const long long left = fraction - static_cast<long long>(fraction_hi);
  const T fraction_lo = static_cast<T>(left) + static_cast<T>(low >> 2) * power_of_two<T>(IntOf<T>(-62));
  const DoubleWord<T> turns = fast_two_sum(fraction_hi, fraction_lo);
  const DoubleWord<T> half_pi = {constant<T>(0x1.921fb54442d18p0, 0x1.921fb6p0f),
                                 constant<T>(0x1.1a62633145c07p-54, -0x1.777a5cp-25f)};
  const DoubleWord<T> r = multiply(turns, half_pi);
  const T unit = copysign(power_of_two<T>(IntOf<T>(-62)), x);
  return {{r.hi * unit, r.lo * unit}, copysign(static_cast<T>(quadrant), x)};
}

template <class V>
ReducedAngle<V> reduce_angle(V x) {
  ReducedAngle<V> reduced = reduce_by_words(x);
  const MaskOf<V> is_large = abs(x) > reduce_by_words_limit<V>();
  if (any(is_large)) {
    ScalarOf<V> lanes[kLanes<V>], hi[kLanes<V>], lo[kLanes<V>], quadrants[kLanes<V>];
    store_lanes(x, lanes);
    for (int i = 0; i < kLanes<V>; ++i) {
      const ReducedAngle<ScalarOf<V>> lane = reduce_by_integers(lanes[i]);
      hi[i] = lane.r.hi;
      lo[i] = lane.r.lo;
      quadrants[i] = lane.quadrant;
    }
    reduced.r.hi = where(is_large, load_lanes<V>(hi), reduced.r.hi);
    reduced.r.lo = where(is_large, load_lanes<V>(lo), reduced.r.lo);
    reduced.quadrant = where(is_large, load_lanes<V>(quadrants), reduced.quadrant);
  }
  return reduced;
}

/// sin(r.hi + r.lo), |r| ≤ π/4.
template <class V>
DoubleWord<V> sin_of_reduced(DoubleWord<V> r) {
  const V z = r.hi * r.hi;
  return fast_two_sum(r.hi, fma(r.hi * z, sin_tail(z), fma(V(-0.5) * z, r.lo, r.lo)));
}
/// cos(r.hi + r.lo), |r| ≤ π/4.
template <class V>
DoubleWord<V> cos_of_reduced(DoubleWord<V> r) {
  const V z = r.hi * r.hi;
  const DoubleWord<V> parabola = fast_two_sum(V(1), V(-0.5) * z);
  return fast_two_sum(parabola.hi, fma(z * z, cos_tail(z), fma(-r.hi, r.lo, parabola.lo)));
}

/// sin((quadrant + shift) · π/2 + r).
template <class V>
V sin_of_quadrant(ReducedAngle<V> reduced, int shift) {
  using I = IntOf<V>;
  const I quadrant = (bits(reduced.quadrant + V(kRounder<V>)) & I(3)) + I(shift);  // a NaN has no room for shift
  const MaskOf<V> is_odd = (quadrant & I(1)) == I(1), is_negative = (quadrant & I(2)) == I(2);
  const V magnitude = where(is_odd, cos_of_reduced(reduced.r).hi, sin_of_reduced(reduced.r).hi);
  return where(is_negative, -magnitude, magnitude);
}

/// NaN of an infinity.
template <class V>
V sin(V x) {
  const V result = sin_of_quadrant(reduce_angle(x), 0);
  return where(x == V(0), x, where(abs(x) < infinity<V>(), result, x - x));
}

/// NaN of an infinity.
template <class V>
V cos(V x) {
  const V result = sin_of_quadrant(reduce_angle(x), 1);
  return where(abs(x) < infinity<V>(), result, x - x);
}

/// NaN of an infinity.
template <class V>
V tan(V x) {
  using I = IntOf<V>;
  const ReducedAngle<V> reduced = reduce_angle(x);
  const DoubleWord<V> sine = sin_of_reduced(reduced.r), cosine = cos_of_reduced(reduced.r);
  const MaskOf<V> is_odd = (bits(reduced.quadrant + V(kRounder<V>)) & I(1)) == I(1);
  const DoubleWord<V> n = {where(is_odd, -cosine.hi, sine.hi), where(is_odd, -cosine.lo, sine.lo)};
  const DoubleWord<V> d = {where(is_odd, sine.hi, cosine.hi), where(is_odd, sine.lo, cosine.lo)};
  const DoubleWord<V> quotient = divide(n, d);
  const V result = quotient.hi + quotient.lo;
  return where(x == V(0), x, where(abs(x) < infinity<V>(), result, x - x));
}

BARACUDA_NUMERIC_END

#endif

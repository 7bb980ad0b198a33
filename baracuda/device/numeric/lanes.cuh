// What the functions of this folder are written in: one text for a float or a double in a kernel, on the host, and for
// a SIMD vector of them (baracuda/cpu/simd-inl.h). Call them in namespace baracuda, or as baracuda::exp(x): behind a
// `using namespace` a plain exp(x) is CUDA's own.
//
// V is the value type, IntOf<V> as many signed integers of the same width, MaskOf<V> what a comparison gives. A text
// never branches on a value, it selects with where(); `if (any(mask))` guards what is rarely needed. What it may use:
//
//   V + - * / unary −       IEEE, to nearest even; subnormals are kept. Nothing contracts: an fma is written as fma
//   V < <= > >= == !=       false for NaN, but != true
//   fma sqrt                rounded once
//   abs copysign            on the sign bit
//   min max                 of a and b: b where either is NaN (x86's rule)
//   floor ceil trunc        keep the sign of zero
//   round_half_even
//   where(mask, a, b)       also of integers
//   & | ! of masks, any(mask)
//   bits(V), from_bits<V>(IntOf<V>)
//   IntOf + - & | ^ < == >, shift_left<n>, shift_right<n> (arithmetic)
//   store_lanes(x, array), load_lanes<V>(array), kLanes<V>: for what is done lane by lane
//
// A file of the CPU that includes Highway includes simd-inl.h first: then each header of this folder is compiled once
// per instruction set, into that one's namespace.
//
// A NaN is a NaN: its sign and payload are not part of any promise, and differ between devices.

#if defined(BARACUDA_DEVICE_NUMERIC_LANES) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_DEVICE_NUMERIC_LANES
#undef BARACUDA_DEVICE_NUMERIC_LANES
#else
#define BARACUDA_DEVICE_NUMERIC_LANES
#endif

#ifndef BARACUDA_NUMERIC_BEGIN
#ifdef HWY_NAMESPACE
#error "With Highway, include baracuda/cpu/simd-inl.h before a header of device/numeric"
#endif
#define BARACUDA_NUMERIC_BEGIN namespace baracuda {
#define BARACUDA_NUMERIC_END }
#endif

BARACUDA_NUMERIC_BEGIN

/// Of a value type: Scalar, Int (of that width), Mask, lanes.
template <class V>
struct LaneTraits;

template <>
struct LaneTraits<float> {
  using Scalar = float;
  using Int = int;
  using Mask = bool;
  static constexpr int kLanes = 1;
};
template <>
struct LaneTraits<double> {
  using Scalar = double;
  using Int = long long;
  using Mask = bool;
  static constexpr int kLanes = 1;
};

template <class V>
using ScalarOf = typename LaneTraits<V>::Scalar;
template <class V>
using IntOf = typename LaneTraits<V>::Int;
template <class V>
using MaskOf = typename LaneTraits<V>::Mask;
template <class V>
inline constexpr int kLanes = LaneTraits<V>::kLanes;

/// Of the format: all else about it follows from these two.
template <class V>
inline constexpr bool kIsF64 = sizeof(ScalarOf<V>) == 8;
template <class V>
inline constexpr int kMantissaBits = kIsF64<V> ? 52 : 23;
template <class V>
inline constexpr int kExponentBias = kIsF64<V> ? 1023 : 127;

// Operations that are one instruction, or correctly rounded: no header on either side.
#ifdef __CUDACC__
#define BARACUDA_NUMERIC_MATH(name) ::name
#else
#define BARACUDA_NUMERIC_MATH(name) __builtin_##name
#endif
inline float fma(float a, float b, float c) { return BARACUDA_NUMERIC_MATH(fmaf)(a, b, c); }
inline double fma(double a, double b, double c) { return BARACUDA_NUMERIC_MATH(fma)(a, b, c); }
inline float sqrt(float x) { return BARACUDA_NUMERIC_MATH(sqrtf)(x); }
inline double sqrt(double x) { return BARACUDA_NUMERIC_MATH(sqrt)(x); }
inline float abs(float x) { return BARACUDA_NUMERIC_MATH(fabsf)(x); }
inline double abs(double x) { return BARACUDA_NUMERIC_MATH(fabs)(x); }
inline float copysign(float magnitude, float sign) { return BARACUDA_NUMERIC_MATH(copysignf)(magnitude, sign); }
inline double copysign(double magnitude, double sign) { return BARACUDA_NUMERIC_MATH(copysign)(magnitude, sign); }
inline float floor(float x) { return BARACUDA_NUMERIC_MATH(floorf)(x); }
inline double floor(double x) { return BARACUDA_NUMERIC_MATH(floor)(x); }
inline float ceil(float x) { return BARACUDA_NUMERIC_MATH(ceilf)(x); }
inline double ceil(double x) { return BARACUDA_NUMERIC_MATH(ceil)(x); }
inline float trunc(float x) { return BARACUDA_NUMERIC_MATH(truncf)(x); }
inline double trunc(double x) { return BARACUDA_NUMERIC_MATH(trunc)(x); }
inline float round_half_even(float x) { return BARACUDA_NUMERIC_MATH(rintf)(x); }
inline double round_half_even(double x) { return BARACUDA_NUMERIC_MATH(rint)(x); }
#undef BARACUDA_NUMERIC_MATH

inline float min(float a, float b) { return a < b ? a : b; }
inline double min(double a, double b) { return a < b ? a : b; }
inline float max(float a, float b) { return a > b ? a : b; }
inline double max(double a, double b) { return a > b ? a : b; }

template <class T>
T where(bool mask, T a, T b) {
  return mask ? a : b;
}
inline bool any(bool mask) { return mask; }

inline int bits(float x) { return __builtin_bit_cast(int, x); }
inline long long bits(double x) { return __builtin_bit_cast(long long, x); }
template <class V>
V from_bits(int bits) {
  return __builtin_bit_cast(V, bits);
}
template <class V>
V from_bits(long long bits) {
  return __builtin_bit_cast(V, bits);
}
template <int kBits, class I>
I shift_left(I x) {
  return x << kBits;
}
template <int kBits, class I>
I shift_right(I x) {
  return x >> kBits;
}

inline void store_lanes(float x, float* lanes) { *lanes = x; }
inline void store_lanes(double x, double* lanes) { *lanes = x; }
template <class V>
V load_lanes(const V* lanes) {
  return *lanes;
}

/// From here on for every V.

template <class V>
MaskOf<V> is_nan(V x) {
  return x != x;
}
template <class V>
V infinity() {
  return from_bits<V>(IntOf<V>(kIsF64<V> ? 0x7ff0000000000000 : 0x7f800000));
}
template <class V>
V quiet_nan() {
  return from_bits<V>(IntOf<V>(kIsF64<V> ? 0x7ff8000000000000 : 0x7fc00000));
}

template <class V>
V largest_finite() {
  return from_bits<V>(IntOf<V>(kIsF64<V> ? 0x7fefffffffffffff : 0x7f7fffff));
}
template <class V>
MaskOf<V> has_sign_bit(V x) {
  return bits(x) < IntOf<V>(0);
}
/// where(), of masks.
template <class M>
M select_mask(M mask, M a, M b) {
  return (mask & a) | (!mask & b);
}

/// The one that is meant for V.
template <class V>
V constant(double f64, float f32) {
  return V(kIsF64<V> ? f64 : f32);
}

/// coefficient_0 + coefficient_1 · x + …
template <class V, class T>
V horner(V, T last) {
  return V(last);
}
template <class V, class T, class... Rest>
V horner(V x, T first, Rest... rest) {
  return fma(horner(x, rest...), x, V(first));
}

/// 3 · 2^(mantissa bits − 1): added to a value of moderate size it leaves that rounded to an integer, half to even, in
/// the low bits.
template <class V>
inline constexpr ScalarOf<V> kRounder = kIsF64<V> ? 0x1.8p52 : 0x1.8p23;

/// x rounded to an integer, half to even, for |x| < 2^(mantissa bits − 2).
template <class V>
struct Rounded {
  V value;
  IntOf<V> integer;
};
template <class V>
Rounded<V> round_to_integer(V x) {
  const V shifted = x + V(kRounder<V>);
  return {shifted - V(kRounder<V>), bits(shifted) - bits(V(kRounder<V>))};
}
/// Of an integer of at most that size.
template <class V>
V to_float(IntOf<V> n) {
  return from_bits<V>(bits(V(kRounder<V>)) + n) - V(kRounder<V>);
}

/// 2^n for a normal result.
template <class V>
V power_of_two(IntOf<V> n) {
  return from_bits<V>(shift_left<kMantissaBits<V>>(n + IntOf<V>(kExponentBias<V>)));
}
/// x · 2^n, rounded once, for x of moderate size and any n down to where that is 0 and up to where it is infinite.
template <class V>
V scale(V x, IntOf<V> n) {
  const IntOf<V> half = shift_right<1>(n);
  return x * power_of_two<V>(half) * power_of_two<V>(n - half);
}

BARACUDA_NUMERIC_END

#endif

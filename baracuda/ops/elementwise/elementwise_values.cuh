// What the formulas of elementwise_rows.def are made of besides device/numeric/: arithmetic over one value type V,
// which is float, double, a vector of those on the CPU, an integer or bool. No branch depends on data, division of
// integers apart, so that the CPU's loops over them become vector code.

#if defined(BARACUDA_ELEMENTWISE_VALUES) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_ELEMENTWISE_VALUES
#undef BARACUDA_ELEMENTWISE_VALUES
#else
#define BARACUDA_ELEMENTWISE_VALUES
#endif

#include "baracuda/device/numeric/activation.cuh"
#include "baracuda/device/numeric/erf.cuh"
#include "baracuda/device/numeric/exp.cuh"
#include "baracuda/device/numeric/fmod.cuh"
#include "baracuda/device/numeric/hyperbolic.cuh"
#include "baracuda/device/numeric/hypot.cuh"
#include "baracuda/device/numeric/inverse_trig.cuh"
#include "baracuda/device/numeric/lanes.cuh"
#include "baracuda/device/numeric/log.cuh"
#include "baracuda/device/numeric/narrow.cuh"
#include "baracuda/device/numeric/pow.cuh"
#include "baracuda/device/numeric/sigmoid.cuh"
#include "baracuda/device/numeric/trig.cuh"

BARACUDA_NUMERIC_BEGIN

// ---- types ----------------------------------------------------------------------------------------------------------

// clang-format off
template <class V> inline constexpr bool kIsInteger = false;
template <> inline constexpr bool kIsInteger<signed char> = true;
template <> inline constexpr bool kIsInteger<short> = true;
template <> inline constexpr bool kIsInteger<int> = true;
template <> inline constexpr bool kIsInteger<long long> = true;
template <> inline constexpr bool kIsInteger<unsigned char> = true;
template <> inline constexpr bool kIsInteger<unsigned short> = true;
template <> inline constexpr bool kIsInteger<unsigned> = true;
template <> inline constexpr bool kIsInteger<unsigned long long> = true;

template <class V> inline constexpr bool kIsBool = false;
template <> inline constexpr bool kIsBool<bool> = true;

template <int kBytes> struct UnsignedOfBytes;
template <> struct UnsignedOfBytes<1> { using type = unsigned char; };
template <> struct UnsignedOfBytes<2> { using type = unsigned short; };
template <> struct UnsignedOfBytes<4> { using type = unsigned; };
template <> struct UnsignedOfBytes<8> { using type = unsigned long long; };
// clang-format on

template <class V>
using UnsignedOf = typename UnsignedOfBytes<sizeof(V)>::type;
/// Where integers are added and multiplied: unsigned, because that wraps, and no narrower than int, which short
/// operands would be promoted to.
template <class V>
using Wrapping = typename UnsignedOfBytes<(sizeof(V) < 4 ? 4 : sizeof(V))>::type;

template <class V>
inline constexpr bool kIsSigned = V(-1) < V(0);
template <class V>
inline constexpr int kBits = 8 * static_cast<int>(sizeof(V));
template <class V>
inline constexpr V kGreatest = static_cast<V>(static_cast<UnsignedOf<V>>(~UnsignedOf<V>(0)) >> (kIsSigned<V> ? 1 : 0));
template <class V>
inline constexpr V kLeast = static_cast<V>(kIsSigned<V> ? UnsignedOf<V>(1) << (kBits<V> - 1) : 0);

// ---- arithmetic: floats round once, integers wrap -------------------------------------------------------------------

template <class V>
V add(V x, V y) {
  if constexpr (kIsInteger<V>)
    return static_cast<V>(static_cast<Wrapping<V>>(x) + static_cast<Wrapping<V>>(y));
  else
    return x + y;
}
template <class V>
V sub(V x, V y) {
  if constexpr (kIsInteger<V>)
    return static_cast<V>(static_cast<Wrapping<V>>(x) - static_cast<Wrapping<V>>(y));
  else
    return x - y;
}
template <class V>
V mul(V x, V y) {
  if constexpr (kIsInteger<V>)
    return static_cast<V>(static_cast<Wrapping<V>>(x) * static_cast<Wrapping<V>>(y));
  else
    return x * y;
}
template <class V>
V square(V x) {
  return mul(x, x);
}
template <class V>
V neg(V x) {
  if constexpr (kIsInteger<V>)
    return sub(V(0), x);
  else
    return -x;
}
template <class V>
V magnitude(V x) {
  if constexpr (kIsInteger<V>)
    return x < V(0) ? neg(x) : x;
  else
    return abs(x);
}

/// NaN if either is; of a zero of each sign, y.
template <class V>
V minimum(V x, V y) {
  return where((x < y) | (x != x), x, y);
}
template <class V>
V maximum(V x, V y) {
  return where((x > y) | (x != x), x, y);
}

template <class M>
M differ(M a, M b) {
  return select_mask(a, !b, b);
}

/// log(e^x + e^y).
template <class V>
V logaddexp(V x, V y) {
  // Two equal infinities have no difference.
  return where(x == y, x + V(0.6931471805599453), maximum(x, y) + log1p(exp(-abs(x - y))));
}

// ---- division with a remainder --------------------------------------------------------------------------------------
// Of integers, the quotient by 0 is 0 and so is the remainder, and the least number by −1 wraps to itself.

/// What is left of the quotient rounded to zero: has the sign of x.
template <class V>
V truncated_remainder(V x, V y) {
  if constexpr (!kIsInteger<V>)
    return fmod(x, y);
  else
    return y == V(0) || (kIsSigned<V> && y == V(-1)) ? V(0) : static_cast<V>(x % y);
}

/// What is left of the quotient rounded down: has the sign of y.
template <class V>
V floor_remainder(V x, V y) {
  const V rest = truncated_remainder(x, y);
  return where((rest != V(0)) & differ(rest < V(0), y < V(0)), add(rest, y), rest);
}

/// The quotient rounded down, from an exact remainder: x / y itself could round up to the next whole number.
template <class V>
V floor_divide(V x, V y) {
  if constexpr (kIsInteger<V>) {
    if (y == V(0)) return V(0);
    if (kIsSigned<V> && y == V(-1)) return neg(x);
    const bool rounds_down = (x % y != 0) && (x < V(0)) != (y < V(0));
    return static_cast<V>(x / y - (rounds_down ? 1 : 0));
  } else {
    const V quotient = x / y, rest = fmod(x, y);
    const V whole = (x - rest) / y;
    const V down = where((rest != V(0)) & differ(rest < V(0), y < V(0)), whole - V(1), whole);
    // The division rounds, so `down` may be a little off the whole number that it stands for.
    const V floored = floor(down);
    const V nearest = where(down - floored > V(0.5), floored + V(1), floored);
    return where(y == V(0), quotient, where(down == V(0), copysign(V(0), quotient), nearest));
  }
}

// ---- bits -----------------------------------------------------------------------------------------------------------

template <class V>
V bit_not(V x) {
  if constexpr (kIsBool<V>)
    return !x;
  else
    return static_cast<V>(~x);
}
template <class V>
V bit_and(V x, V y) {
  return static_cast<V>(x & y);
}
template <class V>
V bit_or(V x, V y) {
  return static_cast<V>(x | y);
}
template <class V>
V bit_xor(V x, V y) {
  return static_cast<V>(x ^ y);
}

/// A count of the width or more shifts every bit out, and so does a negative one.
template <class V>
V shift_bits_left(V x, V count) {
  const auto places = static_cast<UnsignedOf<V>>(count);
  const bool inside = places < kBits<V>;
  return inside ? static_cast<V>(static_cast<Wrapping<V>>(x) << (inside ? places : 0)) : V(0);
}
/// Signed ones fill with the sign.
template <class V>
V shift_bits_right(V x, V count) {
  const auto places = static_cast<UnsignedOf<V>>(count);
  constexpr UnsignedOf<V> kLast = kBits<V> - 1;
  if constexpr (kIsSigned<V>)
    return static_cast<V>(x >> (places < kLast ? places : kLast));
  else
    return places <= kLast ? static_cast<V>(x >> (places <= kLast ? places : 0)) : V(0);
}

// ---- conversions, of scalars ----------------------------------------------------------------------------------------

/// Rounded once; a float to an integer is cut to a whole number and saturates, NaN gives 0; an integer to a narrower
/// one keeps its low bits; to bool is "not zero".
template <class To, class From>
To convert(From x) {
  if constexpr (kIsBool<To>) {
    return x != From(0);
  } else if constexpr (kIsInteger<To> && !kIsInteger<From> && !kIsBool<From>) {
    // 2^63 and 2^64 are floats, the integers before them are not.
    constexpr From kEnd = static_cast<From>(UnsignedOf<To>(1) << (kBits<To> - 1)) * (kIsSigned<To> ? 1 : 2);
    constexpr From kBegin = kIsSigned<To> ? -kEnd : From(0);
    const bool below = x < kBegin, above = x >= kEnd;
    // What is out of range must not reach the conversion, which is undefined there.
    const From inside = below | above | (x != x) ? From(0) : x;
    // By way of int, which has vector conversions.
    To whole;
    if constexpr (sizeof(To) < 4)
      whole = static_cast<To>(static_cast<int>(inside));
    else
      whole = static_cast<To>(inside);
    return below ? kLeast<To> : above ? kGreatest<To> : whole;
  } else {
    return static_cast<To>(x);
  }
}

/// A 64-bit integer to the double that lies below it, with its last bit set where that is not exact: rounding the
/// result to a narrower float then gives what rounding the integer itself would, because the bit keeps it off that
/// one's halves. (Boldo and Melquiond, Emulation of FMA and Correctly Rounded Sums: Proved Algorithms Using Rounding to
/// Odd, IEEE TC 2008.)
template <class I>
double round_to_odd(I x) {
  constexpr I kLow = 0x7ff, kSticky = 0x800, kExact = I(1) << 53;
  const bool fits = x <= kExact && (!kIsSigned<I> || x >= static_cast<I>(-kExact));
  return static_cast<double>(fits ? x : static_cast<I>((x & ~kLow) | ((x & kLow) != 0 ? kSticky : I(0))));
}

BARACUDA_NUMERIC_END

#endif

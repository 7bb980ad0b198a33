// f16, bf16 and the two fp8 formats, from and to f32 and f64. One rounding, to nearest even, whatever it comes from.
//
// From a magnitude beyond the largest finite number: f8e4m3, which has no infinity, gives NaN, as PyTorch's cast to
// float8_e4m3fn does, the others infinity. Every NaN gives the one positive quiet NaN: the NaN that an operation makes
// has another sign on x86 than on a GPU, and what is stored shall not differ.

#if defined(BARACUDA_DEVICE_NUMERIC_CONVERT) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_DEVICE_NUMERIC_CONVERT
#undef BARACUDA_DEVICE_NUMERIC_CONVERT
#else
#define BARACUDA_DEVICE_NUMERIC_CONVERT
#endif

#include "baracuda/core/element.h"
#include "baracuda/device/numeric/lanes.cuh"

BARACUDA_NUMERIC_BEGIN

/// An 8- or 16-bit floating-point format.
struct SmallFloat {
  int exponent_bits;
  int mantissa_bits;
  bool has_infinity;  ///< if not, only all ones is NaN, as in OCP's e4m3

  constexpr int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  constexpr int sign_bit() const { return 1 << (exponent_bits + mantissa_bits); }
  /// What a magnitude beyond the largest finite one becomes.
  constexpr int overflow() const { return has_infinity ? ((1 << exponent_bits) - 1) << mantissa_bits : sign_bit() - 1; }
  constexpr int quiet_nan() const { return has_infinity ? overflow() | (1 << (mantissa_bits - 1)) : overflow(); }
};

template <Element kElement>
constexpr SmallFloat small_float() {
  static_assert(kElement == Element::F16 || kElement == Element::Bf16 || kElement == Element::F8E4M3 ||
                    kElement == Element::F8E5M2,
                "convert.cuh knows f16, bf16, f8e4m3 and f8e5m2");
  if (kElement == Element::F16) return {5, 10, true};
  if (kElement == Element::Bf16) return {8, 7, true};
  if (kElement == Element::F8E4M3) return {4, 3, false};
  return {5, 2, true};
}

/// The bits of x as kElement, in the low 8 or 16 of the integer.
template <Element kElement, class V>
IntOf<V> encode(V x) {
  using I = IntOf<V>;
  using Scalar = decltype(bits(ScalarOf<V>()));
  constexpr SmallFloat format = small_float<kElement>();
  constexpr int kDropped = kMantissaBits<V> - format.mantissa_bits;
  const V a = min(abs(x), infinity<V>());  // of NaN too, whose bits would overflow below

  // Half of what is dropped is added, a bit less where what stays is even: the carry may run into the exponent.
  constexpr Scalar kHalf = Scalar(1) << (kDropped - 1);
  const I odd = shift_right<kDropped>(bits(a)) & I(1);
  const I rounded = shift_right<kDropped>(bits(a) + I(kHalf - 1) + odd);
  I magnitude = rounded;
  // With V's own exponents (bf16 from f32) that is all: subnormal numbers and infinity are where V's are.
  if constexpr (format.bias() != kExponentBias<V>) {
    constexpr int kLeastExponent = 1 - format.bias();
    const I of_normal = rounded - I((kExponentBias<V> - format.bias()) << format.mantissa_bits);
    // Below the least normal number this sum has the last place of the format's, and the addition rounds to it.
    const V rounder = power_of_two<V>(I(kLeastExponent + kDropped));
    const I of_subnormal = bits(a + rounder) - bits(rounder);
    const I finite = where(a < power_of_two<V>(I(kLeastExponent)), of_subnormal, of_normal);
    magnitude = where(finite > I(format.overflow()), I(format.overflow()), finite);
  }
  const I with_sign = magnitude | where(has_sign_bit(x), I(format.sign_bit()), I(0));
  return where(is_nan(x), I(format.quiet_nan()), with_sign);
}

/// The value of the low 8 or 16 bits as kElement; exact. The bits above are zero.
template <Element kElement, class V>
V decode(IntOf<V> code) {
  using I = IntOf<V>;
  constexpr SmallFloat format = small_float<kElement>();
  const I magnitude = code & I(format.sign_bit() - 1);
  // As V's bits it is too small by a power of two, subnormal numbers too.
  const V value = from_bits<V>(shift_left<kMantissaBits<V> - format.mantissa_bits>(magnitude)) *
                  power_of_two<V>(I(kExponentBias<V> - format.bias()));
  const V of_infinite = where(magnitude > I(format.overflow()), quiet_nan<V>(), infinity<V>());
  const V special = format.has_infinity ? of_infinite : quiet_nan<V>();
  const V result = where(magnitude > I(format.overflow() - 1), special, value);
  return where((code & I(format.sign_bit())) == I(0), result, -result);
}

BARACUDA_NUMERIC_END

#endif

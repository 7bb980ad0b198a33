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
#include "baracuda/device/ptx/half.cuh"

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
  /// All ones but the sign, as GPUs' conversions make it.
  constexpr int quiet_nan() const { return sign_bit() - 1; }
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
  if constexpr (format.bias() == kExponentBias<V>) {
    // With V's own exponents (bf16 from f32) subnormal numbers, infinity and the sign are where V's are. Half of what
    // is dropped is added, a bit less where what stays is even: the carry may run into the exponent.
    const I whole = where(is_nan(x), I(Scalar(format.quiet_nan()) << kDropped), bits(x));  // another NaN could overflow
    const I odd = shift_right<kDropped>(whole) & I(1);
    return shift_right<kDropped>(whole + I((Scalar(1) << (kDropped - 1)) - 1) + odd) & I(2 * format.sign_bit() - 1);
  } else {
    constexpr int kLessBias = kExponentBias<V> - format.bias();
    constexpr Scalar kOverflow = (Scalar(kLessBias) << kMantissaBits<V>)+(Scalar(format.overflow()) << kDropped);
    const V a = min(abs(x), from_bits<V>(I(kOverflow)));  // of NaN too
    // The power of two below a, at least that of the format's subnormal numbers, times 2^kDropped has the last place
    // that the format has there: adding it rounds, and leaves a's mantissa in the low bits of the sum. Added to the
    // exponent's it is the code, but for a constant, which goes into the low bits of what is added.
    const I exponent = bits(max(from_bits<V>(bits(a) & bits(infinity<V>())), power_of_two<V>(I(1 - format.bias()))));
    constexpr Scalar kOffset = -(Scalar(kLessBias + 1) << format.mantissa_bits) & (2 * format.sign_bit() - 1);
    const V rounder = from_bits<V>(exponent + I((Scalar(kDropped) << kMantissaBits<V>)+kOffset));
    const I magnitude = (bits(a + rounder) + shift_right<kDropped>(exponent)) & I(format.sign_bit() - 1);
    constexpr int kSignShift = 8 * int(sizeof(Scalar)) - 1 - format.exponent_bits - format.mantissa_bits;
    const I sign = shift_right<kSignShift>(bits(x)) & I(format.sign_bit());
    return where(is_nan(x), I(format.quiet_nan()), magnitude | sign);
  }
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

#ifdef __CUDACC__
// In one instruction. That of f16 to f32 drops the sign of a NaN.
template <>
inline float decode<Element::F16, float>(int code) {
  return f32_of_f16(static_cast<unsigned short>(code));
}
template <>
inline float decode<Element::Bf16, float>(int code) {
  return from_bits<float>(code << 16);
}
template <>
inline int encode<Element::F16, float>(float x) {
  return static_cast<int>(f16x2_of_f32(x, 0) & 0xffff);
}
template <>
inline int encode<Element::Bf16, float>(float x) {
  return static_cast<int>(bf16x2_of_f32(x, 0) & 0xffff);
}
#endif

BARACUDA_NUMERIC_END

#endif

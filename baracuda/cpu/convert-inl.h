// Floats of 16 and 8 bits in memory, and vectors of f32: decode() and encode() of device/numeric/convert.cuh for as
// many elements as a Vec<float> holds. Included by the SIMD files as simd-inl.h is.

#if defined(BARACUDA_CPU_CONVERT) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_CPU_CONVERT
#undef BARACUDA_CPU_CONVERT
#else
#define BARACUDA_CPU_CONVERT
#endif

#include "baracuda/cpu/simd-inl.h"
#include "baracuda/device/numeric/convert.cuh"

BARACUDA_NUMERIC_BEGIN

#if HWY_TARGET != HWY_AVX2 && HWY_TARGET != HWY_AVX3

template <Element kElement, class Stored>
Vec<float> load_narrow(const Stored* from) {
  return decode<kElement, float>(*from);
}
template <Element kElement, class Stored>
void store_narrow(Vec<float> values, Stored* to) {
  *to = static_cast<Stored>(encode<kElement>(values));
}

#else

/// All but bf16 by way of f16, which has instructions of its own: it holds every value of the formats of 8 bits.
template <Element kElement, class Stored>
Vec<float> load_narrow(const Stored* from) {
  const hn::ScalableTag<float> d;
  const hn::Rebind<std::int16_t, decltype(d)> d16;
  const hn::Rebind<Stored, decltype(d)> d_stored;
  const auto stored = hn::LoadU(d_stored, from);
  if constexpr (kElement == Element::Bf16) {
    return Vec<float>(hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(hn::RebindToUnsigned<decltype(d)>(), stored))));
  } else {
    const auto as_f32 = [&](auto bits) {
      return hn::PromoteTo(d, hn::BitCast(hn::Rebind<hwy::float16_t, decltype(d)>(), bits));
    };
    if constexpr (kElement == Element::F16) {
      return Vec<float>(as_f32(stored));
    } else if constexpr (kElement == Element::F8E5M2) {
      return Vec<float>(as_f32(hn::ShiftLeft<8>(hn::PromoteTo(d16, stored))));
    } else {
      static_assert(kElement == Element::F8E4M3);
      // The sign in the two highest bits, of which one is the exponent's.
      const auto shifted =
          hn::ShiftLeft<7>(hn::PromoteTo(d16, hn::BitCast(hn::RebindToSigned<decltype(d_stored)>(), stored)));
      const auto bits = hn::And(shifted, hn::Set(d16, static_cast<std::int16_t>(0xbfff)));
      const auto nan = hn::Eq(hn::And(bits, hn::Set(d16, 0x3f80)), hn::Set(d16, 0x3f80));
      // The exponents' biases are 15 and 7.
      return Vec<float>(
          hn::Mul(as_f32(hn::Or(bits, hn::IfThenElseZero(nan, hn::Set(d16, 0x7e00)))), hn::Set(d, 0x1p8f)));
    }
  }
}

template <Element kElement, class Stored>
void store_narrow(Vec<float> values, Stored* to) {
  const hn::Rebind<Stored, hn::ScalableTag<float>> d_stored;
  if constexpr (kElement == Element::F16) {
    const hn::Rebind<hwy::float16_t, hn::ScalableTag<float>> d16;
    // Of its mantissa's bits as many stay as the format has.
    const Vec<float> canonical = where(is_nan(values), from_bits<Vec<float>>(Vec<std::int32_t>(0x7fffffff)), values);
    hn::StoreU(hn::BitCast(d_stored, hn::DemoteTo(d16, canonical.raw)), d_stored, to);
  } else {
    const auto codes = hn::BitCast(hn::ScalableTag<std::uint32_t>(), encode<kElement>(values).raw);
    hn::StoreU(hn::TruncateTo(d_stored, codes), d_stored, to);
  }
}

#endif

BARACUDA_NUMERIC_END

#endif

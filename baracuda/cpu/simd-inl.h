// Vectors of f32 and f64 in which the text of baracuda/device/numeric/ is compiled, once per instruction set: included
// by the SIMD files behind <hwy/foreach_target.h> and <hwy/highway.h>, before the headers of that folder.
//
//   const Vec<float> y = exp(load_lanes<Vec<float>>(x));  // in HWY_NAMESPACE; kLanes<Vec<float>> at once
//
// All instruction sets give the same bits as a scalar float (device/numeric/lanes.cuh is the contract). Highway's
// fallbacks have no fused fma: there Vec is the scalar itself.

#include <hwy/highway.h>

#include <cstdint>

#if defined(BARACUDA_CPU_SIMD) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_CPU_SIMD
#undef BARACUDA_CPU_SIMD
#else
#define BARACUDA_CPU_SIMD
#endif

#ifndef BARACUDA_NUMERIC_BEGIN
#define BARACUDA_NUMERIC_BEGIN \
  HWY_BEFORE_NAMESPACE();      \
  namespace baracuda {         \
  namespace HWY_NAMESPACE {
#define BARACUDA_NUMERIC_END \
  }                          \
  }                          \
  HWY_AFTER_NAMESPACE();
#endif

#include "baracuda/device/numeric/lanes.cuh"

BARACUDA_NUMERIC_BEGIN

#if HWY_TARGET != HWY_AVX2 && HWY_TARGET != HWY_AVX3

template <class T>
using Vec = T;

#else

namespace hn = hwy::HWY_NAMESPACE;

/// As many T as fit a register.
template <class T>
struct Vec {
  using Tag = hn::ScalableTag<T>;
  hn::Vec<Tag> raw;

  Vec() = default;
  explicit Vec(hn::Vec<Tag> raw) : raw(raw) {}
  explicit Vec(T value) : raw(hn::Set(Tag(), value)) {}
};

template <class T>
struct VecMask {
  hn::Mask<hn::ScalableTag<T>> raw;
};

template <>
struct LaneTraits<Vec<float>> {
  using Scalar = float;
  using Int = Vec<std::int32_t>;
  using Mask = VecMask<float>;
  static constexpr int kLanes = HWY_LANES(float);
};
template <>
struct LaneTraits<Vec<double>> {
  using Scalar = double;
  using Int = Vec<std::int64_t>;
  using Mask = VecMask<double>;
  static constexpr int kLanes = HWY_LANES(double);
};

// clang-format off
template <class T> Vec<T> operator+(Vec<T> a, Vec<T> b) { return Vec<T>(hn::Add(a.raw, b.raw)); }
template <class T> Vec<T> operator-(Vec<T> a, Vec<T> b) { return Vec<T>(hn::Sub(a.raw, b.raw)); }
template <class T> Vec<T> operator*(Vec<T> a, Vec<T> b) { return Vec<T>(hn::Mul(a.raw, b.raw)); }
template <class T> Vec<T> operator/(Vec<T> a, Vec<T> b) { return Vec<T>(hn::Div(a.raw, b.raw)); }
template <class T> Vec<T> operator-(Vec<T> a) { return Vec<T>(hn::Neg(a.raw)); }
template <class T> Vec<T> operator&(Vec<T> a, Vec<T> b) { return Vec<T>(hn::And(a.raw, b.raw)); }
template <class T> Vec<T> operator|(Vec<T> a, Vec<T> b) { return Vec<T>(hn::Or(a.raw, b.raw)); }
template <class T> Vec<T> operator^(Vec<T> a, Vec<T> b) { return Vec<T>(hn::Xor(a.raw, b.raw)); }

/// A mask is kept as that of the float type, which is what where() of either sort of lanes takes.
template <class T> using FloatOf = hwy::MakeFloat<T>;
template <class T, class M> VecMask<FloatOf<T>> as_mask(M raw) {
  return {hn::RebindMask(hn::ScalableTag<FloatOf<T>>(), raw)};
}
template <class T> VecMask<FloatOf<T>> operator==(Vec<T> a, Vec<T> b) { return as_mask<T>(hn::Eq(a.raw, b.raw)); }
template <class T> VecMask<FloatOf<T>> operator!=(Vec<T> a, Vec<T> b) { return !(a == b); }
template <class T> VecMask<FloatOf<T>> operator<(Vec<T> a, Vec<T> b) { return as_mask<T>(hn::Lt(a.raw, b.raw)); }
template <class T> VecMask<FloatOf<T>> operator>(Vec<T> a, Vec<T> b) { return as_mask<T>(hn::Gt(a.raw, b.raw)); }
template <class T> VecMask<FloatOf<T>> operator<=(Vec<T> a, Vec<T> b) { return as_mask<T>(hn::Le(a.raw, b.raw)); }
template <class T> VecMask<FloatOf<T>> operator>=(Vec<T> a, Vec<T> b) { return as_mask<T>(hn::Ge(a.raw, b.raw)); }
template <class T> VecMask<T> operator&(VecMask<T> a, VecMask<T> b) { return {hn::And(a.raw, b.raw)}; }
template <class T> VecMask<T> operator|(VecMask<T> a, VecMask<T> b) { return {hn::Or(a.raw, b.raw)}; }
template <class T> VecMask<T> operator!(VecMask<T> a) { return {hn::Not(a.raw)}; }
template <class T> bool any(VecMask<T> mask) { return !hn::AllFalse(hn::ScalableTag<T>(), mask.raw); }
template <class T> Vec<T> where(VecMask<FloatOf<T>> mask, Vec<T> a, Vec<T> b) {
  return Vec<T>(hn::IfThenElse(hn::RebindMask(typename Vec<T>::Tag(), mask.raw), a.raw, b.raw));
}

template <class T> Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) { return Vec<T>(hn::MulAdd(a.raw, b.raw, c.raw)); }
template <class T> Vec<T> sqrt(Vec<T> x) { return Vec<T>(hn::Sqrt(x.raw)); }
template <class T> Vec<T> abs(Vec<T> x) { return Vec<T>(hn::Abs(x.raw)); }
template <class T> Vec<T> copysign(Vec<T> x, Vec<T> sign) { return Vec<T>(hn::CopySign(x.raw, sign.raw)); }
template <class T> Vec<T> floor(Vec<T> x) { return Vec<T>(hn::Floor(x.raw)); }
template <class T> Vec<T> ceil(Vec<T> x) { return Vec<T>(hn::Ceil(x.raw)); }
template <class T> Vec<T> trunc(Vec<T> x) { return Vec<T>(hn::Trunc(x.raw)); }
template <class T> Vec<T> round_half_even(Vec<T> x) { return Vec<T>(hn::Round(x.raw)); }
template <class T> Vec<T> min(Vec<T> a, Vec<T> b) { return Vec<T>(hn::Min(a.raw, b.raw)); }
template <class T> Vec<T> max(Vec<T> a, Vec<T> b) { return Vec<T>(hn::Max(a.raw, b.raw)); }

template <class T> Vec<hwy::MakeSigned<T>> bits(Vec<T> x) {
  return Vec<hwy::MakeSigned<T>>(hn::BitCast(hn::ScalableTag<hwy::MakeSigned<T>>(), x.raw));
}
template <class V, class I> V from_bits(Vec<I> x) { return V(hn::BitCast(typename V::Tag(), x.raw)); }
template <int kBits, class I> Vec<I> shift_left(Vec<I> x) { return Vec<I>(hn::ShiftLeft<kBits>(x.raw)); }
template <int kBits, class I> Vec<I> shift_right(Vec<I> x) { return Vec<I>(hn::ShiftRight<kBits>(x.raw)); }

template <class T> void store_lanes(Vec<T> x, T* lanes) { hn::StoreU(x.raw, typename Vec<T>::Tag(), lanes); }
template <class V> requires(kLanes<V> > 1) V load_lanes(const ScalarOf<V>* lanes) {
  return V(hn::LoadU(typename V::Tag(), lanes));
}
// clang-format on

#endif

BARACUDA_NUMERIC_END

#endif

// From the bytes of an element to the bytes of the result, for one operator and its elements.

#if defined(BARACUDA_ELEMENTWISE_COMPUTE) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_ELEMENTWISE_COMPUTE
#undef BARACUDA_ELEMENTWISE_COMPUTE
#else
#define BARACUDA_ELEMENTWISE_COMPUTE
#endif

#include "baracuda/device/numeric/convert.cuh"
#include "baracuda/ops/elementwise/elementwise_op.h"
#include "baracuda/ops/elementwise/elementwise_values.cuh"

BARACUDA_NUMERIC_BEGIN

/// How a kind lies in memory, and the type that is computed in: f32 for the kinds of 16 and 8 bits.
template <Element kElement>
struct KindOf;
template <class T>
struct PlainKind {
  using Stored = T;
  using Value = T;
  static constexpr bool kIsNarrow = false;
  static Value load(Stored stored) { return stored; }
  static Stored store(Value value) { return value; }
};
template <Element kElement, class T>
struct NarrowKind {
  using Stored = T;
  using Value = float;
  static constexpr bool kIsNarrow = true;
  static Value load(Stored stored) { return decode<kElement, float>(static_cast<int>(stored)); }
  /// Of an f32, or of an f64, which rounds once as well.
  template <class V>
  static Stored store(V value) {
    return static_cast<Stored>(encode<kElement>(value));
  }
};
/// Any byte but 0 is true; a result is 0 or 1.
struct BoolKind {
  using Stored = unsigned char;
  using Value = bool;
  static constexpr bool kIsNarrow = false;
  static Value load(Stored stored) { return stored != 0; }
  static Stored store(Value value) { return value; }
};
// clang-format off
template <> struct KindOf<Element::F16> : NarrowKind<Element::F16, unsigned short> {};
template <> struct KindOf<Element::Bf16> : NarrowKind<Element::Bf16, unsigned short> {};
template <> struct KindOf<Element::F8E4M3> : NarrowKind<Element::F8E4M3, unsigned char> {};
template <> struct KindOf<Element::F8E5M2> : NarrowKind<Element::F8E5M2, unsigned char> {};
template <> struct KindOf<Element::F32> : PlainKind<float> {};
template <> struct KindOf<Element::F64> : PlainKind<double> {};
template <> struct KindOf<Element::I8> : PlainKind<signed char> {};
template <> struct KindOf<Element::I16> : PlainKind<short> {};
template <> struct KindOf<Element::I32> : PlainKind<int> {};
template <> struct KindOf<Element::I64> : PlainKind<long long> {};
template <> struct KindOf<Element::U8> : PlainKind<unsigned char> {};
template <> struct KindOf<Element::U16> : PlainKind<unsigned short> {};
template <> struct KindOf<Element::U32> : PlainKind<unsigned> {};
template <> struct KindOf<Element::U64> : PlainKind<unsigned long long> {};
template <> struct KindOf<Element::Bool> : BoolKind {};
// clang-format on

/// What an operator takes a kind as. Where moves bits, so it takes an unsigned integer of that many.
template <ElementwiseOp kOp, Element kElement>
struct OperandKind : KindOf<kElement> {};
template <Element kElement>
struct OperandKind<ElementwiseOp::Where, kElement>
    : PlainKind<typename UnsignedOfBytes<element_bytes(kElement)>::type> {};

/// The sign of a NaN is what these two read, and what decode may drop.
struct SignedF16Kind : KindOf<Element::F16> {
  static Value load(Stored stored) {
    return copysign(KindOf<Element::F16>::load(stored), from_bits<float>(static_cast<int>(stored) << 16));
  }
};
template <>
struct OperandKind<ElementwiseOp::Signbit, Element::F16> : SignedF16Kind {};
template <>
struct OperandKind<ElementwiseOp::Copysign, Element::F16> : SignedF16Kind {};

/// What a row's formula calls x. Narrow: it is the value of a kind of 16 or 8 bits.
template <ElementwiseOp kOp, bool kIsNarrow, class X>
auto formula_argument(X x) {
  if constexpr (kIsNarrow && traits_of(kOp).has_narrow_text)
    return Narrow<X>{x};
  else
    return x;
}

/// The row's formula. X is the first input's type, bool where that is a condition; V that of the others.
template <ElementwiseOp kOp, bool kIsNarrow, class X, class V>
auto apply_row(X first, [[maybe_unused]] V y, [[maybe_unused]] V z, [[maybe_unused]] V s0, [[maybe_unused]] V s1) {
  [[maybe_unused]] const auto x = formula_argument<kOp, kIsNarrow>(first);
#define ROW(Name, num_inputs, Elements, Output, tolerance, scalars, ...) \
  if constexpr (kOp == ElementwiseOp::Name) return __VA_ARGS__;
#include "baracuda/ops/elementwise/elementwise_rows.def"
}

/// Whether a value reaches a float of 16 or 8 bits by way of f64, since f32 would round it first.
template <class From>
inline constexpr bool kIsWide = sizeof(From) >= 4 && !(sizeof(From) == 4 && !kIsInteger<From>);

/// A value as OutputKind::store takes it.
template <class OutputKind, class From>
auto cast_value(From value) {
  if constexpr (!OutputKind::kIsNarrow)
    return convert<typename OutputKind::Value>(value);
  else if constexpr (!kIsWide<From>)
    return static_cast<float>(value);
  else if constexpr (kIsInteger<From> && sizeof(From) == 8)
    return round_to_odd(value);
  else
    return static_cast<double>(value);
}

BARACUDA_NUMERIC_END

#endif

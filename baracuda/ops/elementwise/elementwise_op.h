#pragma once

// Includes nothing that is not light, so that kernels compiled by NVRTC can use it too.

#include "baracuda/core/element.h"

namespace baracuda {

/// The elementwise operators: the rows of elementwise_rows.def, which define them. docs/ops/elementwise.md lists them.
/// The C ABI and files name an operator by its name, not by this number.
enum class ElementwiseOp : unsigned char {
#define ROW(Name, ...) Name,
#include "baracuda/ops/elementwise/elementwise_rows.def"
};

/// A set of element kinds.
struct ElementSet {
  unsigned long long bits = 0;

  constexpr bool contains(Element element) const {
    return static_cast<unsigned>(element) < 64 && (bits >> static_cast<unsigned>(element) & 1);
  }
  constexpr ElementSet operator|(ElementSet other) const { return {bits | other.bits}; }
};
template <class... Elements>
constexpr ElementSet element_set(Elements... elements) {
  return {(... | (1ull << static_cast<unsigned>(elements)))};
}

struct ElementwiseTolerance {
  int ulps;
  bool has_narrow_text;
};

/// What rows call their elements and their tolerances, in units in the last place; elementwise_rows.def says what each
/// means.
namespace elementwise_words {
inline constexpr ElementSet Float =
    element_set(Element::F16, Element::Bf16, Element::F32, Element::F64, Element::F8E4M3, Element::F8E5M2);
inline constexpr ElementSet Integer = element_set(Element::I8, Element::I16, Element::I32, Element::I64, Element::U8,
                                                  Element::U16, Element::U32, Element::U64);
inline constexpr ElementSet Number = Float | Integer;
inline constexpr ElementSet Discrete = Integer | element_set(Element::Bool);
inline constexpr ElementSet Any = Number | element_set(Element::Bool);
inline constexpr ElementSet Bits = Any | element_set(Element::Complex64);
inline constexpr ElementSet Castable = Any;

inline constexpr ElementwiseTolerance kExact{0, false};
constexpr ElementwiseTolerance kUlps(int n) { return {n, false}; }
constexpr ElementwiseTolerance kUlpsOrNarrow(int n) { return {n, true}; }
}  // namespace elementwise_words

/// The element of the output, as a row gives it.
enum class ElementwiseOutput : unsigned char { SameAsInput, Predicate, Chosen };

/// The facts of a row that kernels are compiled by.
struct ElementwiseTraits {
  int num_inputs;
  ElementSet elements;
  ElementwiseOutput output;
  int ulps;
  bool has_narrow_text;  ///< kinds of 16 and 8 bits are computed by formulas of Narrow values
};
/// A function, since of a constant for each row every kernel would carry all.
constexpr ElementwiseTraits traits_of(ElementwiseOp op) {
  using namespace elementwise_words;
  switch (op) {
#define ROW(Name, num_inputs, Elements, Output, tolerance, ...) \
  case ElementwiseOp::Name:                                     \
    return {num_inputs, Elements, ElementwiseOutput::Output, tolerance.ulps, tolerance.has_narrow_text};
#include "baracuda/ops/elementwise/elementwise_rows.def"
  }
  return {};
}

}  // namespace baracuda

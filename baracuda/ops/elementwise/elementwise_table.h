#pragma once

#include <span>
#include <string>
#include <string_view>

#include "baracuda/core/element.h"
#include "baracuda/ops/elementwise/elementwise_op.h"

namespace baracuda {

/// One row of elementwise_rows.def as data, for the host.
struct ElementwiseRow {
  ElementwiseOp op;
  std::string_view enumerator;  ///< "LeakyRelu"
  std::string_view name;        ///< "leaky_relu"
  std::string_view sku_op;      ///< "elementwise.leaky_relu"
  int num_inputs;
  ElementSet elements;
  std::string_view elements_name;  ///< "Float"
  ElementwiseOutput output;
  /// How far a float result may lie from the exact one, in units in the last place of the type that is computed in,
  /// before it is rounded to the output's kind. 0: the exact result rounded once.
  int ulps;
  bool has_narrow_text;  ///< kinds of 16 and 8 bits: within 1/32 unit in the last place of the kind instead
  int num_scalars;
  double scalars[2];  ///< their defaults
  std::string_view formula;
};

/// All of them, in the order of the enumerators.
std::span<const ElementwiseRow> elementwise_rows();
/// Null for a value outside the enumeration.
const ElementwiseRow* find_row(ElementwiseOp op);

/// The table of docs/ops/elementwise.md.
std::string elementwise_markdown();
/// "f16, bf16, f32".
std::string names_of(ElementSet elements);

/// Of the output, where the caller has the choice or not. The row must take `element`.
Element output_element(const ElementwiseRow& row, Element element, Element chosen);

/// The element whose type the operator computes in: f32 for the 16- and 8-bit floats, an unsigned integer of its width
/// where bits are moved, else the element itself.
Element compute_element(ElementwiseOp op, Element element);

}  // namespace baracuda

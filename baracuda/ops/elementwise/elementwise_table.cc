#include "baracuda/ops/elementwise/elementwise_table.h"

#include <fmt/core.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

namespace baracuda {
namespace {

/// "elementwise." and the enumerator in snake case: an underscore before each capital but the first.
struct Name {
  static constexpr std::string_view kPrefix = "elementwise.";
  std::array<char, 48> text{};
  std::size_t size = 0;

  consteval explicit Name(std::string_view enumerator) {
    for (char c : kPrefix) text[size++] = c;
    for (std::size_t i = 0; i < enumerator.size(); ++i) {
      const char c = enumerator[i];
      const bool capital = c >= 'A' && c <= 'Z';
      if (capital && i > 0) text[size++] = '_';
      text[size++] = capital ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  constexpr std::string_view sku_op() const { return {text.data(), size}; }
  constexpr std::string_view name() const { return sku_op().substr(kPrefix.size()); }
};

struct Scalars {
  int count;
  double values[2];
};
constexpr Scalars scalars_of() { return {0, {}}; }
constexpr Scalars scalars_of(double s0) { return {1, {s0, 0}}; }
constexpr Scalars scalars_of(double s0, double s1) { return {2, {s0, s1}}; }

constexpr double kInf = std::numeric_limits<double>::infinity();

#define ROW(Name_, ...) constexpr Name k##Name_(#Name_);
#include "baracuda/ops/elementwise/elementwise_rows.def"

constexpr ElementwiseRow kRows[] = {
#define ROW(Name_, num_inputs, Elements, Output, tolerance, scalars, ...) \
  {ElementwiseOp::Name_,                                                  \
   #Name_,                                                                \
   k##Name_.name(),                                                       \
   k##Name_.sku_op(),                                                     \
   num_inputs,                                                            \
   elementwise_words::Elements,                                           \
   #Elements,                                                             \
   ElementwiseOutput::Output,                                             \
   traits_of(ElementwiseOp::Name_).ulps,                                  \
   traits_of(ElementwiseOp::Name_).has_narrow_text,                       \
   scalars_of scalars.count,                                              \
   {scalars_of scalars.values[0], scalars_of scalars.values[1]},          \
   #__VA_ARGS__},
#include "baracuda/ops/elementwise/elementwise_rows.def"
};

}  // namespace

std::span<const ElementwiseRow> elementwise_rows() { return kRows; }

const ElementwiseRow* find_row(ElementwiseOp op) {
  const auto index = static_cast<std::size_t>(op);
  return index < std::size(kRows) ? &kRows[index] : nullptr;
}

std::string names_of(ElementSet elements) {
  std::string names;
  for (const ElementInfo& info : kElements)
    if (elements.contains(info.element)) names.append(names.empty() ? "" : ", ").append(info.name);
  return names;
}

Element output_element(const ElementwiseRow& row, Element element, Element chosen) {
  switch (row.output) {
    case ElementwiseOutput::SameAsInput: return element;
    case ElementwiseOutput::Predicate: return Element::Bool;
    case ElementwiseOutput::Chosen: return chosen;
  }
  return element;
}

Element compute_element(ElementwiseOp op, Element element) {
  if (op == ElementwiseOp::Where) {
    switch (element_bytes(element)) {
      case 1: return Element::U8;
      case 2: return Element::U16;
      case 4: return Element::U32;
      default: return Element::U64;
    }
  }
  return elementwise_words::Float.contains(element) && element != Element::F64 ? Element::F32 : element;
}

std::string elementwise_markdown() {
  std::string text =
      "| op | inputs | elements | output | scalars | within | formula |\n|---|---|---|---|---|---|---|\n";
  for (const ElementwiseRow& row : kRows) {
    std::string scalars = "–";
    if (row.num_scalars == 1) scalars = fmt::format("s0 = {:g}", row.scalars[0]);
    if (row.num_scalars == 2) scalars = fmt::format("s0 = {:g}, s1 = {:g}", row.scalars[0], row.scalars[1]);
    const std::string_view output = row.output == ElementwiseOutput::SameAsInput ? "as input"
                                    : row.output == ElementwiseOutput::Predicate ? "bool"
                                                                                 : "chosen";
    std::string within = row.ulps == 0 ? std::string("exact") : fmt::format("{} ulp", row.ulps);
    if (row.has_narrow_text) within += " \u2020";
    // A bar would end the cell.
    std::string formula;
    for (char c : row.formula) formula.append(c == '|' ? "\\|" : std::string(1, c));
    text += fmt::format("| `{}` | {} | {} | {} | {} | {} | `{}` |\n", row.name, row.num_inputs, row.elements_name,
                        output, scalars, within, formula);
  }
  return text;
}

}  // namespace baracuda

#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "baracuda/core/arch.h"
#include "baracuda/core/dims.h"
#include "baracuda/core/element.h"
#include "baracuda/core/result.h"
#include "baracuda/core/sku.h"

// A case as one line, the same for the tool, test filters, benchmarks and reproducers:
//
//   write_slice element=f32 dest_shape=32x8x8192x128 start=0x0x17x0 end=32x8x18x128
//
// First the op, then fields in any order, each at most once; a field that is left out has its default, and one that has
// it is not printed. The fields are those that visit_fields lists, found where the case is declared; parsing needs
// mutable references, printing const ones, so it is one template:
//
//   template <class Self, class Visit>
//     requires std::same_as<std::remove_const_t<Self>, WriteSliceCase>
//   void visit_fields(Self& self, Visit&& visit) {
//     visit("element", self.element);
//     …
//   }
//
// A field is a bool, an integer, an Element, Dims ("4x-1", "scalar" for rank 0), a string without blanks, an enum that
// has name_of and a row of EnumValues, or a std::optional of one of those ("none" where absent).

namespace baracuda::testing {

/// The enumerators of E that a case can name: `static constexpr auto& values = …`, something that can be iterated.
template <class E>
struct EnumValues;
template <>
struct EnumValues<Arch> {
  static constexpr Arch values[] = {Arch::Cpu, Arch::Sm80, Arch::Sm89, Arch::Sm90a};
};
template <>
struct EnumValues<CpuTarget> {
  static constexpr auto& values = kCpuTargets;
};
template <>
struct EnumValues<Backend> {
  static constexpr auto& values = kBackends;
};

namespace internal {

/// What a value has to look like, for messages; empty on success.
using Expected = std::string;

Expected parse_value(std::string_view text, std::int64_t lo, std::int64_t hi, std::int64_t& value);
Expected parse_value(std::string_view text, std::uint64_t hi, std::uint64_t& value);
Expected parse_value(std::string_view text, bool& value);
Expected parse_value(std::string_view text, Element& value);
Expected parse_value(std::string_view text, Dims& value);
Expected parse_value(std::string_view text, std::string& value);
/// "one of rcr, rrr".
Expected one_of(std::span<const std::string_view> names);

std::string print_value(std::int64_t value);
std::string print_value(std::uint64_t value);
std::string print_value(bool value);
std::string print_value(Element value);
std::string print_value(const Dims& value);
std::string print_value(const std::string& value);

template <class T>
Expected parse_field(std::string_view text, T& value) {
  if constexpr (std::signed_integral<T>) {
    std::int64_t wide = 0;
    Expected expected = parse_value(text, std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), wide);
    if (expected.empty()) value = static_cast<T>(wide);
    return expected;
  } else if constexpr (std::unsigned_integral<T> && !std::same_as<T, bool>) {
    std::uint64_t wide = 0;
    Expected expected = parse_value(text, std::numeric_limits<T>::max(), wide);
    if (expected.empty()) value = static_cast<T>(wide);
    return expected;
  } else if constexpr (std::is_enum_v<T> && !std::same_as<T, Element>) {
    std::vector<std::string_view> names;
    for (T each : EnumValues<T>::values) {
      names.push_back(name_of(each));
      if (text == names.back()) return value = each, Expected();
    }
    return one_of(names);
  } else {
    return parse_value(text, value);
  }
}

template <class T>
Expected parse_field(std::string_view text, std::optional<T>& value) {
  if (text == "none") return value.reset(), Expected();
  return parse_field(text, value.emplace());
}

template <class T>
std::string print_field(const T& value) {
  if constexpr (std::signed_integral<T>) {
    return print_value(std::int64_t{value});
  } else if constexpr (std::unsigned_integral<T> && !std::same_as<T, bool>) {
    return print_value(std::uint64_t{value});
  } else if constexpr (std::is_enum_v<T> && !std::same_as<T, Element>) {
    return std::string(name_of(value));
  } else {
    return print_value(value);
  }
}

template <class T>
std::string print_field(const std::optional<T>& value) {
  return value ? print_field(*value) : "none";
}

/// The fields of a case as text, in their order.
struct FieldPrinter {
  std::vector<std::pair<const char*, std::string>> fields;
  template <class T>
  void operator()(const char* name, const T& value) {
    fields.emplace_back(name, print_field(value));
  }
};

/// Hands each field of a line to the field of the case, and keeps the first thing that is wrong.
class FieldParser {
 public:
  FieldParser(std::string_view op_name, std::string_view text);

  template <class T>
  void operator()(const char* name, T& value) {
    if (std::optional<std::string_view> text = take(name)) reject(name, *text, parse_field(*text, value));
  }
  /// After the last field: what is wrong, a field that nobody took included.
  Result<void> finish() const;

 private:
  struct Field {
    std::string_view name, value;
    bool taken = false;
  };
  std::optional<std::string_view> take(std::string_view name);
  void reject(std::string_view name, std::string_view text, const Expected& expected);
  void fail(std::string message);

  std::string op_name_;
  std::vector<Field> fields_;
  std::vector<std::string_view> known_;
  std::optional<std::string> message_;
};

std::string join_case(std::string_view op_name, const FieldPrinter& values, const FieldPrinter& defaults);

}  // namespace internal

/// "op field=value …", without the fields that are as in a default-constructed case.
template <class Case>
std::string print_case(std::string_view op_name, const Case& value) {
  internal::FieldPrinter values, defaults;
  const Case default_case{};
  visit_fields(value, values);
  visit_fields(default_case, defaults);
  return internal::join_case(op_name, values, defaults);
}

/// The inverse of print_case. Errors: InvalidProblem (another op, an unknown or repeated field, a value of the wrong
/// kind), with the field, what was expected and what was given.
template <class Case>
Result<Case> parse_case(std::string_view op_name, std::string_view text) {
  Case value{};
  internal::FieldParser parser(op_name, text);
  visit_fields(value, parser);
  if (Result<void> parsed = parser.finish(); !parsed) return parsed.error();
  return value;
}

/// The first word of a case: its op. Empty for a line without words.
std::string_view case_op(std::string_view text);

}  // namespace baracuda::testing

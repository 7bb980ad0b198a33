#include "testing/case_text.h"

#include <algorithm>
#include <cassert>
#include <charconv>

namespace baracuda::testing {
namespace {

constexpr std::string_view kBlanks = " \t\n\r";

/// Takes the first word off `text`; empty when there is none left.
std::string_view take_word(std::string_view& text) {
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == text.npos) return text = {};
  const std::size_t end = std::min(text.find_first_of(kBlanks, begin), text.size());
  const std::string_view word = text.substr(begin, end - begin);
  text.remove_prefix(end);
  return word;
}

template <class Int>
bool parse_number(std::string_view text, Int& value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

template <class Names>
std::string join(const Names& names) {
  std::string text;
  for (std::string_view name : names) text.append(text.empty() ? "" : ", ").append(name);
  return text;
}

}  // namespace

namespace internal {

Expected parse_value(std::string_view text, std::int64_t lo, std::int64_t hi, std::int64_t& value) {
  if (parse_number(text, value) && lo <= value && value <= hi) return {};
  return "a whole number from " + std::to_string(lo) + " to " + std::to_string(hi);
}

Expected parse_value(std::string_view text, std::uint64_t hi, std::uint64_t& value) {
  if (parse_number(text, value) && value <= hi) return {};
  return "a whole number from 0 to " + std::to_string(hi);
}

Expected parse_value(std::string_view text, bool& value) {
  if (text != "true" && text != "false") return "true or false";
  value = text == "true";
  return {};
}

Expected parse_value(std::string_view text, Element& value) {
  std::vector<std::string_view> names;
  for (const ElementInfo& info : kElements) {
    if (text == info.name) return value = info.element, Expected();
    names.push_back(info.name);
  }
  return one_of(names);
}

Expected parse_value(std::string_view text, Dims& value) {
  std::vector<std::int64_t> numbers;
  if (text != "scalar") {
    while (true) {
      const std::size_t end = std::min(text.find('x'), text.size());
      if (!parse_number(text.substr(0, end), numbers.emplace_back()))
        return "whole numbers with x between them, as in 4x1024, or scalar";
      if (end == text.size()) break;
      text.remove_prefix(end + 1);
    }
  }
  value = Dims(numbers);
  return {};
}

Expected parse_value(std::string_view text, std::string& value) {
  value = text;
  return {};
}

Expected one_of(std::span<const std::string_view> names) { return "one of " + join(names); }

std::string print_value(std::int64_t value) { return std::to_string(value); }
std::string print_value(std::uint64_t value) { return std::to_string(value); }
std::string print_value(bool value) { return value ? "true" : "false"; }
std::string print_value(Element value) { return name_of(value); }

std::string print_value(const Dims& value) {
  if (value.empty()) return "scalar";
  std::string text;
  for (int axis = 0; axis < value.rank(); ++axis) {
    if (axis > 0) text += 'x';
    // What lies past the eighth number is not kept and does not count in comparisons: any number stands for it.
    text += std::to_string(axis < value.size() ? value[axis] : 0);
  }
  return text;
}

std::string print_value(const std::string& value) {
  assert(value.find_first_of(kBlanks) == value.npos && "a string with blanks cannot be read back");
  return value;
}

FieldParser::FieldParser(std::string_view op_name, std::string_view text) : op_name_(op_name) {
  if (std::string_view word = take_word(text); word != op_name)
    fail("the first word is \"" + std::string(word) + "\", expected \"" + op_name_ + "\"");
  for (std::string_view word = take_word(text); !word.empty(); word = take_word(text)) {
    const std::size_t equals = word.find('=');
    if (equals == word.npos || equals == 0) {
      fail("\"" + std::string(word) + "\" is not a field, expected name=value");
      continue;
    }
    const Field field{word.substr(0, equals), word.substr(equals + 1)};
    for (const Field& other : fields_)
      if (other.name == field.name) fail("field " + std::string(field.name) + " is given twice, expected once");
    fields_.push_back(field);
  }
}

std::optional<std::string_view> FieldParser::take(std::string_view name) {
  known_.push_back(name);
  for (Field& field : fields_) {
    if (field.name != name) continue;
    field.taken = true;
    return field.value;
  }
  return std::nullopt;
}

void FieldParser::reject(std::string_view name, std::string_view text, const Expected& expected) {
  if (!expected.empty()) fail("field " + std::string(name) + " is \"" + std::string(text) + "\", expected " + expected);
}

void FieldParser::fail(std::string message) {
  if (!message_) message_ = std::move(message);
}

Result<void> FieldParser::finish() const {
  if (message_) return Error::invalid_problem("case of " + op_name_ + ": " + *message_);
  for (const Field& field : fields_)
    if (!field.taken)
      return Error::invalid_problem("case of " + op_name_ + ": there is no field " + std::string(field.name) +
                                    ", expected one of " + join(known_));
  return {};
}

std::string join_case(std::string_view op_name, const FieldPrinter& values, const FieldPrinter& defaults) {
  std::string text(op_name);
  for (std::size_t i = 0; i < values.fields.size(); ++i) {
    const auto& [name, value] = values.fields[i];
    if (value != defaults.fields[i].second) text.append(" ").append(name).append("=").append(value);
  }
  return text;
}

}  // namespace internal

std::string_view case_op(std::string_view text) { return take_word(text); }

}  // namespace baracuda::testing

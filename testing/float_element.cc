#include "testing/float_element.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace baracuda::testing {
namespace {

struct Format {
  int bytes;
  int precision;       ///< bits of the significand, the leading one included
  int least_exponent;  ///< 2^it is the least normal number
};

Format format_of(Element element) {
  switch (element) {
    case Element::F16: return {2, 11, -14};
    case Element::Bf16: return {2, 8, -126};
    case Element::F32: return {4, 24, -126};
    default: assert(element == Element::F64 && "a float element"); return {8, 53, -1022};
  }
}

int mantissa_bits(const Format& format) { return format.precision - 1; }
int bias(const Format& format) { return 1 - format.least_exponent; }
std::uint64_t special_exponent(const Format& format) { return 2 * static_cast<std::uint64_t>(bias(format)) + 1; }

}  // namespace

double read_float(Element element, const std::byte* bytes) {
  const Format format = format_of(element);
  std::uint64_t bits = 0;
  std::memcpy(&bits, bytes, static_cast<std::size_t>(format.bytes));
  const bool negative = bits >> (8 * format.bytes - 1);
  const std::uint64_t mantissa = bits & ((std::uint64_t{1} << mantissa_bits(format)) - 1);
  const std::uint64_t exponent = bits >> mantissa_bits(format) & special_exponent(format);
  double value;
  if (exponent == special_exponent(format)) {
    value = mantissa ? std::numeric_limits<double>::quiet_NaN() : std::numeric_limits<double>::infinity();
  } else {
    const std::uint64_t significand = exponent ? mantissa | std::uint64_t{1} << mantissa_bits(format) : mantissa;
    const int power = static_cast<int>(std::max<std::uint64_t>(exponent, 1)) - bias(format) - mantissa_bits(format);
    value = std::ldexp(static_cast<double>(significand), power);
  }
  return negative ? -value : value;
}

double float_ulp(Element element, double value) {
  const Format format = format_of(element);
  int exponent = format.least_exponent;
  if (value != 0) exponent = std::max(exponent, std::ilogb(value));
  return std::ldexp(1.0, exponent - mantissa_bits(format));
}

double round_float(Element element, double value) {
  if (value == 0 || !std::isfinite(value) || element == Element::F64) return value;
  const Format format = format_of(element);
  const double ulp = float_ulp(element, value);
  const double steps = value / ulp;  // exact: ulp is a power of two
  double whole = std::floor(steps);
  const double rest = steps - whole;
  if (rest > 0.5 || (rest == 0.5 && std::fmod(whole, 2) != 0)) whole += 1;
  const double rounded = std::copysign(whole * ulp, value);
  const double infinite = std::ldexp(1.0, bias(format) + 1);
  return std::abs(rounded) >= infinite ? std::copysign(std::numeric_limits<double>::infinity(), value) : rounded;
}

void write_float(Element element, double value, std::byte* bytes) {
  const Format format = format_of(element);
  const double rounded = round_float(element, value);
  std::uint64_t bits;
  if (std::isnan(rounded)) {
    // The one that the library stores: of 16 bits with a mantissa of all ones.
    const std::uint64_t mantissa = (std::uint64_t{1} << mantissa_bits(format)) - 1;
    bits = special_exponent(format) << mantissa_bits(format) | (format.bytes == 2 ? mantissa : (mantissa + 1) / 2);
  } else if (std::isinf(rounded)) {
    bits = special_exponent(format) << mantissa_bits(format);
  } else {
    // With the exponent of its ulp; a normal number's leading one counts 1 in the exponent field.
    const double ulp = float_ulp(element, rounded);
    const auto significand = static_cast<std::uint64_t>(std::abs(rounded) / ulp);
    const int exponent = std::ilogb(ulp) + mantissa_bits(format) - format.least_exponent;
    bits = (static_cast<std::uint64_t>(exponent) << mantissa_bits(format)) + significand;
  }
  if (!std::isnan(rounded) && std::signbit(rounded)) bits |= std::uint64_t{1} << (8 * format.bytes - 1);
  std::memcpy(bytes, &bits, static_cast<std::size_t>(format.bytes));
}

}  // namespace baracuda::testing

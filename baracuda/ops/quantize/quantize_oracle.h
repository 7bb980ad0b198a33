#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "baracuda/core/element.h"

// Slow and plain: a quotient is one of 113 bits, rounded to f32 or f64 (which is the correctly rounded quotient, since
// 113 ≥ 2 · 53 + 2), integers are 64 bits wide, f16 and bf16 are looked up by bisection.

namespace baracuda::testing {

struct OracleFormat {
  int exponent_bits, mantissa_bits;
};
constexpr OracleFormat kOracleF16{5, 10}, kOracleBf16{8, 7};

/// The number that 16 bits stand for.
inline double oracle_decode(OracleFormat format, unsigned bits) {
  const int fields = format.exponent_bits + format.mantissa_bits;
  const int exponent = static_cast<int>((bits >> format.mantissa_bits) & ((1u << format.exponent_bits) - 1));
  const int mantissa = static_cast<int>(bits & ((1u << format.mantissa_bits) - 1));
  const int bias = (1 << (format.exponent_bits - 1)) - 1;
  double value;
  if (exponent == (1 << format.exponent_bits) - 1) {
    value = mantissa ? NAN : INFINITY;
  } else if (exponent == 0) {
    value = std::ldexp(mantissa, 1 - bias - format.mantissa_bits);
  } else {
    value = std::ldexp(mantissa + (1 << format.mantissa_bits), exponent - bias - format.mantissa_bits);
  }
  return (bits >> fields) & 1 ? -value : value;
}

/// The 16 bits of the nearest number, of two the even one.
inline unsigned oracle_encode(OracleFormat format, double value) {
  const int fields = format.exponent_bits + format.mantissa_bits;
  const unsigned sign = std::signbit(value) ? 1u << fields : 0;
  const unsigned infinity = ((1u << format.exponent_bits) - 1) << format.mantissa_bits;
  if (std::isnan(value)) return sign | infinity | 1u << (format.mantissa_bits - 1);
  const double magnitude = std::fabs(value);
  unsigned low = 0, high = infinity;  // decode(low) ≤ magnitude
  while (high - low > 1) {
    const unsigned middle = (low + high) / 2;
    (oracle_decode(format, middle) <= magnitude ? low : high) = middle;
  }
  // Infinity stands where the next number would.
  const double below = oracle_decode(format, low);
  const double above = high == infinity ? 2 * below - oracle_decode(format, low - 1) : oracle_decode(format, high);
  const double to_below = magnitude - below, to_above = above - magnitude;
  const bool up = to_above < to_below || (to_above == to_below && low % 2 == 1);
  return sign | (up ? high : low);
}

inline double oracle_load(Element element, const std::byte* at) {
  if (element == Element::F64) {
    double value;
    std::memcpy(&value, at, 8);
    return value;
  }
  if (element == Element::F32) {
    float value;
    std::memcpy(&value, at, 4);
    return value;
  }
  std::uint16_t bits;
  std::memcpy(&bits, at, 2);
  return oracle_decode(element == Element::F16 ? kOracleF16 : kOracleBf16, bits);
}

inline void oracle_store(Element element, std::byte* at, double value) {
  if (element == Element::F64) {
    std::memcpy(at, &value, 8);
  } else if (element == Element::F32) {
    const auto narrow = static_cast<float>(value);
    std::memcpy(at, &narrow, 4);
  } else {
    const auto bits =
        static_cast<std::uint16_t>(oracle_encode(element == Element::F16 ? kOracleF16 : kOracleBf16, value));
    std::memcpy(at, &bits, 2);
  }
}

/// What q is, and whether it was in the range by itself, clamped by nothing.
struct OracleQuantized {
  std::int64_t q;
  bool inside;
};

/// x and scale are numbers of f32, or of f64 where `in_f64`.
inline OracleQuantized oracle_quantize(double x, double scale, std::int64_t zero_point, std::int64_t q_min,
                                       std::int64_t q_max, bool in_f64) {
  const __float128 exact = static_cast<__float128>(x) / static_cast<__float128>(scale);
  const double quotient = in_f64 ? static_cast<double>(exact) : static_cast<float>(exact);
  const bool is_scale = scale > 0 && !std::isinf(scale);
  const auto round_and_shift = [&](double value) -> std::int64_t {
    // Far outside every range, whatever the zero point.
    if (value >= 0x1p40) return std::int64_t{1} << 40;
    if (value <= -0x1p40) return -(std::int64_t{1} << 40);
    auto whole = static_cast<std::int64_t>(std::floor(value));
    const double rest = value - std::floor(value);
    if (rest > 0.5 || (rest == 0.5 && whole % 2 != 0)) ++whole;
    return whole + zero_point;
  };
  const std::int64_t q = round_and_shift(is_scale && !std::isnan(quotient) ? quotient : 0);
  OracleQuantized result{q < q_min ? q_min : q > q_max ? q_max : q, false};
  if (std::isnan(quotient)) return result;
  const std::int64_t unclamped = round_and_shift(quotient);
  result.inside = q_min <= unclamped && unclamped <= q_max;
  return result;
}

inline double oracle_dequantize(std::int64_t q, double scale, std::int64_t zero_point, bool in_f64) {
  const std::int64_t difference = q - zero_point;
  if (in_f64) return static_cast<double>(difference) * scale;
  const __float128 product = static_cast<__float128>(static_cast<float>(difference)) * static_cast<__float128>(scale);
  return static_cast<float>(product);
}

}  // namespace baracuda::testing

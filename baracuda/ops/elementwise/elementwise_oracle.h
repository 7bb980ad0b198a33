#pragma once

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "baracuda/core/element.h"
#include "baracuda/ops/elementwise/elementwise.h"

// The definition of every operator, typed a second time: over double and long double for floats, over 128-bit integers,
// wrapped to the element afterwards, for the others. An operator that is exact is asked in double, whose + − · / and
// sqrt round once; the rest in long double, which has 11 bits more than any result.

namespace baracuda::testing {

__extension__ using Integer128 = __int128;

/// A result, and of what an operator's tolerance counts units in the last place: of its largest term where terms
/// cancel, and no less than `subnormal_factor` times that of the least number, where one that may be subnormal is
/// multiplied.
template <class T>
struct OracleResult {
  T value;
  T magnitude;
  T subnormal_factor = 0;
  T subnormal_term = 1;  ///< what is multiplied by it

  OracleResult(T value) : value(value), magnitude(std::fabs(value)) {}
  OracleResult(T value, T magnitude, T subnormal_factor = 0, T subnormal_term = 1)
      : value(value),
        magnitude(magnitude),
        subnormal_factor(std::fabs(subnormal_factor)),
        subnormal_term(std::fabs(subnormal_term)) {}
};

template <ElementwiseOp>
struct OracleOfFloats;
template <ElementwiseOp>
struct OracleOfIntegers;

#define FLOATS(Name, ...)                                                                                              \
  template <>                                                                                                          \
  struct OracleOfFloats<ElementwiseOp::Name> {                                                                         \
    template <class T>                                                                                                 \
    static OracleResult<T> of([[maybe_unused]] T x, [[maybe_unused]] T y, [[maybe_unused]] T z, [[maybe_unused]] T s0, \
                              [[maybe_unused]] T s1) {                                                                 \
      return OracleResult<T>(__VA_ARGS__);                                                                             \
    }                                                                                                                  \
  };
// `width`: bits of the element.
#define INTEGERS(Name, ...)                                                                                            \
  template <>                                                                                                          \
  struct OracleOfIntegers<ElementwiseOp::Name> {                                                                       \
    static Integer128 of([[maybe_unused]] Integer128 x, [[maybe_unused]] Integer128 y, [[maybe_unused]] Integer128 z,  \
                         [[maybe_unused]] Integer128 s0, [[maybe_unused]] Integer128 s1, [[maybe_unused]] int width) { \
      return __VA_ARGS__;                                                                                              \
    }                                                                                                                  \
  };
#define NUMBERS(Name, ...)  \
  FLOATS(Name, __VA_ARGS__) \
  INTEGERS(Name, __VA_ARGS__)

namespace oracle {

template <class T>
T nan_of(T) {
  return std::numeric_limits<T>::quiet_NaN();
}

/// Of a term of a sum; an infinity leaves no error behind.
template <class T>
T size_of(T term) {
  return std::isfinite(term) ? std::fabs(term) : T(0);
}

/// The upper bound wins where the lower one lies above it. NaN is in no order, and stays.
template <class T>
T clamped(T x, T low, T high) {
  const T raised = x <= low ? low : x;
  return raised >= high ? high : raised;
}

template <class T>
T gelu_tanh_argument(T x) {
  return 2 * std::sqrt(2 / T(3.14159265358979323846264338327950288L)) * (x + T(0.044715L) * x * x * x);
}
template <class T>
T gelu_tanh(T x) {
  return x / (1 + std::exp(-gelu_tanh_argument(x)));
}

template <class T>
T softplus(T x, T beta, T threshold) {
  if (x * beta > threshold || x * beta == std::numeric_limits<T>::infinity()) return x;
  return (x * beta > 100 ? x * beta : std::log1p(std::exp(x * beta))) / beta;
}
/// e^(beta · x) repeats the rounding of its argument as often as that is large.
template <class T>
T softplus_magnitude(T x, T beta, T threshold) {
  return std::fabs(softplus(x, beta, threshold)) * (1 + (x * beta < 0 ? size_of(x * beta) : T(0)));
}

template <class T>
T logaddexp(T x, T y) {
  if (x == y) return x + std::log(T(2));
  return std::isnan(x) || std::isnan(y) ? nan_of(x) : std::fmax(x, y) + std::log1p(std::exp(-std::fabs(x - y)));
}
template <class T>
T logaddexp_magnitude(T x, T y) {
  const T distance = size_of(x - y);
  return size_of(std::fmax(x, y)) + (1 + distance) * std::exp(-distance);
}

template <class T>
T celu(T x, T alpha) {
  return x > 0 ? x : alpha * std::expm1(x / alpha);
}

/// With a negative alpha the argument of exp is positive, and its rounding counts as often as it is large.
template <class T>
T celu_magnitude(T x, T alpha) {
  return std::fabs(celu(x, alpha)) * (1 + (x < 0 && alpha < 0 ? size_of(x / alpha) : T(0)));
}

template <class T>
T gelu(T x) {
  return x * std::erfc(-x / std::sqrt(T(2))) / 2;
}

template <class T>
T floor_quotient(T x, T y) {
  if (y == 0) return x / y;
  if (std::isinf(x) || std::isnan(x / y)) return nan_of(x);
  if (std::isinf(y) && x != 0 && std::signbit(x) != std::signbit(y)) return -1;
  return std::floor(x / y);
}

inline Integer128 quotient(Integer128 x, Integer128 y) { return y == 0 ? 0 : x / y; }
inline Integer128 rest(Integer128 x, Integer128 y) { return y == 0 ? 0 : x % y; }
inline Integer128 floor_rest(Integer128 x, Integer128 y) { return y == 0 ? 0 : (x % y + y) % y; }
/// Products of 64-bit numbers and what is made of them, of which the low bits are wanted.
inline Integer128 product(Integer128 x, Integer128 y) {
  __extension__ using Unsigned128 = unsigned __int128;
  return static_cast<Integer128>(static_cast<Unsigned128>(x) * static_cast<Unsigned128>(y));
}

}  // namespace oracle

// clang-format off
FLOATS(Abs, std::fabs(x))
INTEGERS(Abs, x < 0 ? -x : x)
NUMBERS(Neg, -x)
FLOATS(Sign, std::isnan(x) || x == 0 ? x : std::copysign(T(1), x))
INTEGERS(Sign, (x > 0) - (x < 0))
FLOATS(Square, x * x)
INTEGERS(Square, oracle::product(x, x))
FLOATS(Reciprocal, 1 / x)
FLOATS(Sqrt, std::sqrt(x))
FLOATS(Rsqrt, 1 / std::sqrt(x))
FLOATS(Floor, std::floor(x))
FLOATS(Ceil, std::ceil(x))
FLOATS(Trunc, std::trunc(x))
FLOATS(Round, std::nearbyint(x))
FLOATS(Frac, x - std::trunc(x))
INTEGERS(BitwiseNot, ~x)
FLOATS(Exp, std::exp(x))
FLOATS(Exp2, std::exp2(x))
FLOATS(Expm1, std::expm1(x))
FLOATS(Log, std::log(x))
FLOATS(Log2, std::log2(x))
FLOATS(Log10, std::log10(x))
FLOATS(Log1p, std::log1p(x))
FLOATS(Sin, std::sin(x))
FLOATS(Cos, std::cos(x))
FLOATS(Tan, std::tan(x))
FLOATS(Asin, std::asin(x))
FLOATS(Acos, std::acos(x))
FLOATS(Atan, std::atan(x))
FLOATS(Sinh, std::sinh(x))
FLOATS(Cosh, std::cosh(x))
FLOATS(Tanh, std::tanh(x))
FLOATS(Asinh, std::asinh(x))
FLOATS(Acosh, std::acosh(x))
FLOATS(Atanh, std::atanh(x))
FLOATS(Erf, std::erf(x))
FLOATS(Erfc, std::erfc(x))
FLOATS(Isnan, T(std::isnan(x)))
FLOATS(Isinf, T(std::isinf(x)))
FLOATS(Isposinf, T(std::isinf(x) && x > 0))
FLOATS(Isneginf, T(std::isinf(x) && x < 0))
FLOATS(Isfinite, T(std::isfinite(x)))
FLOATS(Signbit, T(std::signbit(x)))
NUMBERS(LogicalNot, x == 0 ? 1 : 0)

FLOATS(Relu, std::isnan(x) || x > 0 ? x : x == 0 ? x : T(0))
INTEGERS(Relu, x > 0 ? x : 0)
FLOATS(Relu6, std::isnan(x) ? x : x > 6 ? T(6) : x > 0 ? x : T(0))
INTEGERS(Relu6, x > 6 ? 6 : x > 0 ? x : 0)
FLOATS(Hardsigmoid, std::isnan(x) ? x : x <= -3 ? T(0) : x >= 3 ? T(1) : (x + 3) / 6)
FLOATS(Hardswish, std::isnan(x) || x >= 3 ? x : x <= -3 ? T(-0.0) : x * (x + 3) / 6)
FLOATS(Softsign, std::isinf(x) ? std::copysign(T(1), x) : x / (1 + std::fabs(x)))
FLOATS(Sigmoid, 1 / (1 + std::exp(-x)))
FLOATS(LogSigmoid, x < -50 ? x : -std::log1p(std::exp(-x)))
FLOATS(Silu, x / (1 + std::exp(-x)))
FLOATS(Gelu, oracle::gelu(x))
FLOATS(GeluTanh, oracle::gelu_tanh(x),
       std::fabs(oracle::gelu_tanh(x)) * (1 + oracle::size_of(oracle::gelu_tanh_argument(x))))
FLOATS(Mish, x * std::tanh(std::log1p(std::exp(x))))
FLOATS(Selu, T(1.0507009873554804934193349852946L) *
             (x > 0 ? x : T(1.6732632423543772848170429916717L) * std::expm1(x)))
FLOATS(Tanhshrink, x - std::tanh(x), oracle::size_of(x) + std::fabs(std::tanh(x)))
FLOATS(Elu, x > 0 ? x : s0 * std::expm1(x))
FLOATS(Celu, oracle::celu(x, s0), oracle::celu_magnitude(x, s0), oracle::size_of(s0))
FLOATS(Softplus, oracle::softplus(x, s0, s1), oracle::softplus_magnitude(x, s0, s1))
FLOATS(LeakyRelu, x > 0 ? x : x * s0)
FLOATS(Hardtanh, oracle::clamped(x, s0, s1))
INTEGERS(Hardtanh, oracle::clamped(x, s0, s1))
FLOATS(Hardshrink, std::fabs(x) <= s0 ? T(0) : x)
FLOATS(Softshrink, std::fabs(x) <= s0 ? T(0) : x > s0 ? x - s0 : x < -s0 ? x + s0 : x)
NUMBERS(Threshold, x <= s0 ? s1 : x)
FLOATS(Clamp, oracle::clamped(x, s0, s1))
INTEGERS(Clamp, oracle::clamped(x, s0, s1))
FLOATS(Affine, std::fma(x, s0, s1))

NUMBERS(Add, x + y)
NUMBERS(Sub, x - y)
FLOATS(Mul, x * y)
INTEGERS(Mul, oracle::product(x, y))
FLOATS(Div, x / y)
FLOATS(FloorDivide, oracle::floor_quotient(x, y))
INTEGERS(FloorDivide, oracle::quotient(x - oracle::floor_rest(x, y), y))
FLOATS(Remainder, std::fmod(x, y) != 0 && std::signbit(x) != std::signbit(y) ? std::fmod(x, y) + y : std::fmod(x, y))
INTEGERS(Remainder, oracle::floor_rest(x, y))
FLOATS(Fmod, std::fmod(x, y))
INTEGERS(Fmod, oracle::rest(x, y))
FLOATS(Minimum, std::isnan(x) || std::isnan(y) ? oracle::nan_of(x) : x < y ? x : y)
INTEGERS(Minimum, x < y ? x : y)
FLOATS(Maximum, std::isnan(x) || std::isnan(y) ? oracle::nan_of(x) : x > y ? x : y)
INTEGERS(Maximum, x > y ? x : y)
FLOATS(Fmin, std::isnan(x) || y <= x ? y : x)
INTEGERS(Fmin, x < y ? x : y)
FLOATS(Fmax, std::isnan(x) || y >= x ? y : x)
INTEGERS(Fmax, x > y ? x : y)
FLOATS(SquaredDifference, (x - y) * (x - y))
INTEGERS(SquaredDifference, oracle::product(x - y, x - y))
FLOATS(Pow, std::pow(x, y))
FLOATS(Atan2, std::atan2(x, y))
FLOATS(Hypot, std::hypot(x, y))
FLOATS(Logaddexp, oracle::logaddexp(x, y), oracle::logaddexp_magnitude(x, y))
FLOATS(Xlogy, x == 0 && !std::isnan(y) ? T(0) : x * std::log(y))
FLOATS(Copysign, std::copysign(x, y))
FLOATS(Heaviside, std::isnan(x) ? x : x == 0 ? y : x < 0 ? T(0) : T(1))
INTEGERS(BitwiseAnd, x & y)
INTEGERS(BitwiseOr, x | y)
INTEGERS(BitwiseXor, x ^ y)
INTEGERS(ShiftLeft, y < 0 || y >= width ? 0 : oracle::product(x, Integer128(1) << y))
INTEGERS(ShiftRight, y < 0 || y >= width ? (x < 0 ? -1 : 0) : x >> y)
NUMBERS(Eq, x == y ? 1 : 0)
NUMBERS(Ne, x == y ? 0 : 1)
NUMBERS(Lt, x < y ? 1 : 0)
NUMBERS(Le, x <= y ? 1 : 0)
NUMBERS(Gt, x > y ? 1 : 0)
NUMBERS(Ge, x >= y ? 1 : 0)
NUMBERS(LogicalAnd, x != 0 && y != 0 ? 1 : 0)
NUMBERS(LogicalOr, x != 0 || y != 0 ? 1 : 0)
NUMBERS(LogicalXor, (x != 0) != (y != 0) ? 1 : 0)

INTEGERS(Where, x != 0 ? y : z)
FLOATS(Lerp, std::fabs(z) < T(0.5) ? x + z * (y - x) : y - (y - x) * (1 - z),
       oracle::size_of(x) + oracle::size_of(y) + oracle::size_of(z * (y - x)))
FLOATS(Addcmul, x + s0 * y * z,
       oracle::size_of(x) + oracle::size_of(s0 * y) + oracle::size_of(s0 * y * z), z, s0 * y)
// clang-format on

#undef FLOATS
#undef INTEGERS
#undef NUMBERS

/// What the oracle knows of an operator; null where it has no definition.
struct ElementwiseOracle {
  OracleResult<double> (*of_doubles)(double, double, double, double, double) = nullptr;
  OracleResult<long double> (*of_long_doubles)(long double, long double, long double, long double,
                                               long double) = nullptr;
  Integer128 (*of_integers)(Integer128, Integer128, Integer128, Integer128, Integer128, int) = nullptr;
};

template <ElementwiseOp kOp>
constexpr ElementwiseOracle make_oracle() {
  ElementwiseOracle oracle;
  if constexpr (requires { sizeof(OracleOfFloats<kOp>); }) {
    oracle.of_doubles = &OracleOfFloats<kOp>::template of<double>;
    oracle.of_long_doubles = &OracleOfFloats<kOp>::template of<long double>;
  }
  if constexpr (requires { sizeof(OracleOfIntegers<kOp>); }) oracle.of_integers = &OracleOfIntegers<kOp>::of;
  return oracle;
}

inline const ElementwiseOracle& elementwise_oracle(ElementwiseOp op) {
  static constexpr ElementwiseOracle kOracles[] = {
#define ROW(Name, ...) make_oracle<ElementwiseOp::Name>(),
#include "baracuda/ops/elementwise/elementwise_rows.def"
  };
  return kOracles[static_cast<std::size_t>(op)];
}

// ---- elements as numbers --------------------------------------------------------------------------------------------

/// A binary float kind. `greatest` is its greatest finite number; what rounds past it is infinity, or NaN where the
/// kind has no infinity.
struct FloatFormat {
  int bytes;
  int mantissa_bits;  ///< without the leading one
  int least_exponent;
  int exponent_bits;
  long double greatest;
  bool has_infinity = true;
};

inline const FloatFormat* float_format(Element element) {
  static const FloatFormat f16{2, 10, -14, 5, 65504}, bf16{2, 7, -126, 8, 0x1.fep127L}, f32{4, 23, -126, 8, FLT_MAX},
      f64{8, 52, -1022, 11, DBL_MAX}, f8e4m3{1, 3, -6, 4, 448, false}, f8e5m2{1, 2, -14, 5, 57344};
  switch (element) {
    case Element::F16: return &f16;
    case Element::Bf16: return &bf16;
    case Element::F32: return &f32;
    case Element::F64: return &f64;
    case Element::F8E4M3: return &f8e4m3;
    case Element::F8E5M2: return &f8e5m2;
    default: return nullptr;
  }
}

/// One unit in the last place of the format at `value`.
inline long double ulp_at(const FloatFormat& format, long double value) {
  if (!std::isfinite(value)) return 0;
  const int exponent = value == 0 ? format.least_exponent : std::max(std::ilogb(value), format.least_exponent);
  return std::ldexp(1.0L, exponent - format.mantissa_bits);
}

/// Rounded to nearest, ties to even; what a kind without infinity cannot hold is NaN.
inline long double round_to(const FloatFormat& format, long double value) {
  if (std::isnan(value) || (std::isinf(value) && format.has_infinity)) return value;
  if (std::isinf(value)) return std::numeric_limits<long double>::quiet_NaN();
  const long double unit = ulp_at(format, value);
  const long double rounded = std::copysign(std::nearbyint(value / unit) * unit, value);
  if (std::fabs(rounded) <= format.greatest) return rounded;
  return format.has_infinity ? std::copysign(std::numeric_limits<long double>::infinity(), value)
                             : std::numeric_limits<long double>::quiet_NaN();
}

inline long double decode_float(Element element, const std::byte* data) {
  const FloatFormat& format = *float_format(element);
  std::uint64_t bits = 0;
  std::memcpy(&bits, data, static_cast<std::size_t>(format.bytes));
  const std::uint64_t mantissa = bits & ((std::uint64_t{1} << format.mantissa_bits) - 1);
  const auto exponent = static_cast<int>(bits >> format.mantissa_bits & ((1u << format.exponent_bits) - 1));
  const bool negative = bits >> (format.bytes * 8 - 1);
  const int greatest_exponent = (1 << format.exponent_bits) - 1;
  long double value;
  if (exponent == greatest_exponent && format.has_infinity) {
    value =
        mantissa == 0 ? std::numeric_limits<long double>::infinity() : std::numeric_limits<long double>::quiet_NaN();
  } else if (exponent == greatest_exponent && mantissa == (std::uint64_t{1} << format.mantissa_bits) - 1) {
    value = std::numeric_limits<long double>::quiet_NaN();
  } else {
    const std::uint64_t leading = exponent > 0 ? std::uint64_t{1} << format.mantissa_bits : 0;
    value = std::ldexp(static_cast<long double>(leading + mantissa),
                       std::max(exponent - 1, 0) + format.least_exponent - format.mantissa_bits);
  }
  return negative ? -value : value;
}

inline bool is_signed_integer(Element element) {
  return element == Element::I8 || element == Element::I16 || element == Element::I32 || element == Element::I64;
}

/// The low bits as a number of the element; of a bool the lowest.
inline Integer128 wrap_to(Element element, Integer128 value) {
  const int width = element == Element::Bool ? 1 : 8 * find_element(element)->layout.block_bytes;
  const Integer128 range = Integer128(1) << width;
  Integer128 low = value & (range - 1);
  if (is_signed_integer(element) && low >= range / 2) low -= range;
  return low;
}

inline Integer128 decode_integer(Element element, const std::byte* data) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, data, static_cast<std::size_t>(find_element(element)->layout.block_bytes));
  if (element == Element::Bool) return bits != 0;
  return wrap_to(element, static_cast<Integer128>(bits));
}

/// A whole number in the range of the element, as near to `value` as can be, cut towards zero; of NaN 0.
inline Integer128 saturate_to(Element element, long double value) {
  if (element == Element::Bool) return value != 0;
  if (std::isnan(value)) return 0;
  const int width = 8 * find_element(element)->layout.block_bytes;
  const Integer128 range = Integer128(1) << width;
  const Integer128 least = is_signed_integer(element) ? -range / 2 : 0;
  const Integer128 greatest = least + range - 1;
  if (value <= static_cast<long double>(least)) return least;
  if (value >= static_cast<long double>(greatest)) return greatest;
  return static_cast<Integer128>(value);
}

}  // namespace baracuda::testing

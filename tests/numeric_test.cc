// baracuda/device/numeric/: the scalar text against libm's wider functions, C99's special values, every 8- and 16-bit
// number, and the same text compiled for GPUs. numeric_simd_test.cc has the vectors.

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <tuple>

#include "baracuda/core/buffer.h"
#include "baracuda/device/numeric/divisor.cuh"
#include "baracuda/jit/compiler.h"
#include "baracuda/jit/load.h"
#include "testing/devices.h"
#include "testing/options.h"
#include "tests/numeric/all_functions.h"
#include "tests/numeric/numeric_loops.h"
#include "tests/numeric/points.h"

namespace baracuda {
namespace {

using testing::numeric_points;
using testing::NumericPoints;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// The definitions again, from libm, for double and long double.
namespace reference {

using std::acos, std::acosh, std::asin, std::asinh, std::atan, std::atan2, std::atanh, std::cos, std::cosh, std::erf,
    std::erfc, std::exp, std::exp2, std::expm1, std::fmod, std::hypot, std::log, std::log10, std::log1p, std::log2,
    std::pow, std::remainder, std::sin, std::sinh, std::tan, std::tanh;

template <class R>
R sigmoid(R x) {
  return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
}
template <class R>
R softplus(R x) {
  return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
}
template <class R>
R silu(R x) {
  return x < 0 ? x * std::exp(x) / (1 + std::exp(x)) : x / (1 + std::exp(-x));
}
/// x · Φ(x). The rounding of erfc's argument would count as often as that is large: its derivative makes up for it.
template <class R>
R gelu(R x) {
  const R root = std::sqrt(R(0.5)), root_lo = std::fma(-root, root, R(0.5)) / (2 * root);
  const R z = -x * root;
  if (!(std::fabs(z) < 1000)) return x < 0 ? (std::isinf(x) ? std::numeric_limits<R>::quiet_NaN() : R(-0.0)) : x;
  const R z_lo = std::fma(-x, root, -z) - x * root_lo;
  return x * (std::erfc(z) - 2 / std::sqrt(std::acos(R(-1))) * std::exp(-z * z) * z_lo) / 2;
}
template <class R>
R rsqrt(R x) {
  return 1 / std::sqrt(x);
}

}  // namespace reference

template <class T>
struct WiderOf;
template <>
struct WiderOf<float> {
  using Type = double;
};
template <>
struct WiderOf<double> {
  using Type = long double;
};
template <class T>
using Wider = typename WiderOf<T>::Type;

struct Function {
  const char* name;
  const char* header;
  int num_args;
  float (*f32)(float, float);
  double (*f64)(double, double);
  double (*wide_f32)(double, double);
  long double (*wide_f64)(long double, long double);
};

#define UNARY(name, header)                             \
  {#name,                                               \
   header,                                              \
   1,                                                   \
   [](float x, float) { return baracuda::name(x); },    \
   [](double x, double) { return baracuda::name(x); },  \
   [](double x, double) { return reference::name(x); }, \
   [](long double x, long double) { return reference::name(x); }},
#define BINARY(name, header)                                 \
  {#name,                                                    \
   header,                                                   \
   2,                                                        \
   [](float x, float y) { return baracuda::name(x, y); },    \
   [](double x, double y) { return baracuda::name(x, y); },  \
   [](double x, double y) { return reference::name(x, y); }, \
   [](long double x, long double y) { return reference::name(x, y); }},
const Function kFunctions[] = {
#include "tests/numeric/functions.def"
};
#undef UNARY
#undef BINARY

/// In units of the last place that T has in the binade of `want`. A wrong NaN, infinity or sign of zero is infinite.
template <class T>
double error_in_ulp(T got, Wider<T> want) {
  using Limits = std::numeric_limits<T>;
  if (std::isnan(got) || std::isnan(want)) return std::isnan(got) && std::isnan(want) ? 0 : kInf;
  if (std::isinf(want)) return got == want ? 0 : kInf;
  if (std::isinf(got) && got == static_cast<T>(want)) return 0;
  if (got == 0 && want == 0) return std::signbit(got) == std::signbit(want) ? 0 : kInf;
  // An infinity in place of a finite number counts as the power of two behind the largest.
  const Wider<T> finite =
      std::isinf(got) ? std::copysign(std::ldexp(Wider<T>(1), Limits::max_exponent), Wider<T>(got)) : Wider<T>(got);
  const int lowest = Limits::min_exponent - Limits::digits, highest = Limits::max_exponent - Limits::digits;
  const int last = want == 0 ? lowest : std::clamp(std::ilogb(want) - (Limits::digits - 1), lowest, highest);
  return static_cast<double>(std::fabs(finite - want) * std::ldexp(Wider<T>(1), -last));
}

class Numeric : public ::testing::TestWithParam<Function> {
 protected:
  template <class T, class F, class Reference>
  void expect_within_2_ulp(F function, Reference reference) {
    const NumericPoints<T> points = numeric_points<T>(testing::options().seed);
    double worst = 0;
    std::size_t at = 0;
    for (std::size_t i = 0; i < points.x.size(); ++i) {
      const double error = error_in_ulp<T>(function(points.x[i], points.y[i]), reference(points.x[i], points.y[i]));
      if (error > worst) worst = error, at = i;
    }
    const T x = points.x[at], y = points.y[at];
    EXPECT_LE(worst, 2) << GetParam().name << " of f" << 8 * sizeof(T) << " at " << std::hexfloat << x << ", " << y
                        << " (seed " << testing::options().seed << "): " << function(x, y) << ", not "
                        << static_cast<T>(reference(x, y));
  }
};

TEST_P(Numeric, IsWithin2UlpF32) { expect_within_2_ulp<float>(GetParam().f32, GetParam().wide_f32); }
TEST_P(Numeric, IsWithin2UlpF64) { expect_within_2_ulp<double>(GetParam().f64, GetParam().wide_f64); }

std::string function_name(const ::testing::TestParamInfo<Function>& info) { return info.param.name; }
void PrintTo(const Function& function, std::ostream* out) { *out << function.name; }

INSTANTIATE_TEST_SUITE_P(Functions, Numeric, ::testing::ValuesIn(kFunctions), function_name);

TEST(NumericUlp, CountsAsItSays) {
  EXPECT_EQ(error_in_ulp(1.0f, 1.0), 0);
  EXPECT_EQ(error_in_ulp(1.0f, 1 + 0x1p-23), 1);
  EXPECT_EQ(error_in_ulp(1.0f, 1 - 0x1p-24), 1);
  EXPECT_EQ(error_in_ulp(0x1p-149f, 0x3p-149), 2);
  EXPECT_EQ(error_in_ulp(0.0f, 0x1p-150), 0.5);
  EXPECT_EQ(error_in_ulp(kInf, 0x1p128 - 0x1p104), 1);
  EXPECT_EQ(error_in_ulp(kInf, 0x1p128), 0);
  EXPECT_EQ(error_in_ulp(kInf, 0x1.fp127), 0x1p19);
  EXPECT_EQ(error_in_ulp(0.0f, -0.0), kInf);
  EXPECT_EQ(error_in_ulp(kNan, 0.0), kInf);
}

struct SpecialUnary {
  const char* name;
  double x, want;
};
struct SpecialBinary {
  const char* name;
  double x, y, want;
};

// C99, annex F.9. What follows from an odd or even function stands once.
// clang-format off
constexpr SpecialUnary kSpecialUnary[] = {
    {"exp", -0.0, 1}, {"exp", kInf, kInf}, {"exp", -kInf, 0}, {"exp", 1e4, kInf}, {"exp", -1e4, 0},
    {"exp2", -0.0, 1}, {"exp2", kInf, kInf}, {"exp2", -kInf, 0}, {"exp2", 10, 1024}, {"exp2", -20, 0x1p-20},
    {"expm1", 0, 0}, {"expm1", -0.0, -0.0}, {"expm1", kInf, kInf}, {"expm1", -kInf, -1}, {"expm1", -1e4, -1},
    {"log", 0, -kInf}, {"log", -0.0, -kInf}, {"log", 1, 0}, {"log", -1, kNan}, {"log", kInf, kInf},
    {"log", -kInf, kNan},
    {"log2", 0, -kInf}, {"log2", 1, 0}, {"log2", 1024, 10}, {"log2", 0x1p-140, -140}, {"log2", -1, kNan},
    {"log2", kInf, kInf},
    {"log10", 0, -kInf}, {"log10", 1, 0}, {"log10", 1000, 3}, {"log10", -1, kNan}, {"log10", kInf, kInf},
    {"log1p", 0, 0}, {"log1p", -0.0, -0.0}, {"log1p", -1, -kInf}, {"log1p", -2, kNan}, {"log1p", kInf, kInf},
    {"sin", 0, 0}, {"sin", -0.0, -0.0}, {"sin", kInf, kNan}, {"sin", -kInf, kNan},
    {"cos", 0, 1}, {"cos", -0.0, 1}, {"cos", kInf, kNan},
    {"tan", 0, 0}, {"tan", -0.0, -0.0}, {"tan", kInf, kNan},
    {"asin", 0, 0}, {"asin", -0.0, -0.0}, {"asin", 1.5, kNan}, {"asin", -kInf, kNan},
    {"acos", 1, 0}, {"acos", -1.5, kNan}, {"acos", kInf, kNan},
    {"atan", 0, 0}, {"atan", -0.0, -0.0},
    {"sinh", -0.0, -0.0}, {"sinh", kInf, kInf}, {"sinh", -kInf, -kInf},
    {"cosh", -0.0, 1}, {"cosh", kInf, kInf}, {"cosh", -kInf, kInf},
    {"tanh", -0.0, -0.0}, {"tanh", kInf, 1}, {"tanh", -kInf, -1}, {"tanh", 1e30, 1},
    {"asinh", -0.0, -0.0}, {"asinh", kInf, kInf}, {"asinh", -kInf, -kInf},
    {"acosh", 1, 0}, {"acosh", 0.5, kNan}, {"acosh", -5, kNan}, {"acosh", kInf, kInf}, {"acosh", -kInf, kNan},
    {"atanh", -0.0, -0.0}, {"atanh", 1, kInf}, {"atanh", -1, -kInf}, {"atanh", 1.5, kNan}, {"atanh", -kInf, kNan},
    {"erf", -0.0, -0.0}, {"erf", kInf, 1}, {"erf", -kInf, -1}, {"erf", 1e30, 1},
    {"erfc", 0, 1}, {"erfc", -0.0, 1}, {"erfc", kInf, 0}, {"erfc", -kInf, 2}, {"erfc", 1e30, 0},
    {"sigmoid", -0.0, 0.5}, {"sigmoid", kInf, 1}, {"sigmoid", -kInf, 0},
    {"softplus", kInf, kInf}, {"softplus", -kInf, 0}, {"softplus", 1e5, 1e5},
    {"silu", 0, 0}, {"silu", -0.0, -0.0}, {"silu", kInf, kInf}, {"silu", -kInf, kNan}, {"silu", -1e5, -0.0},
    {"gelu", 0, 0}, {"gelu", -0.0, -0.0}, {"gelu", kInf, kInf}, {"gelu", -kInf, kNan}, {"gelu", -50, -0.0},
    {"rsqrt", 0, kInf}, {"rsqrt", -0.0, -kInf}, {"rsqrt", 4, 0.5}, {"rsqrt", -1, kNan}, {"rsqrt", kInf, 0},
};
constexpr SpecialBinary kSpecialBinary[] = {
    {"pow", 0, -3, kInf}, {"pow", -0.0, -3, -kInf}, {"pow", 0, -2, kInf}, {"pow", -0.0, -2, kInf},
    {"pow", -0.0, -0.5, kInf},
    {"pow", -0.0, -kInf, kInf}, {"pow", 0, 3, 0}, {"pow", -0.0, 3, -0.0}, {"pow", -0.0, 2, 0}, {"pow", -0.0, 0.5, 0},
    {"pow", -1, kInf, 1}, {"pow", -1, -kInf, 1}, {"pow", 1, kNan, 1}, {"pow", kNan, 0, 1}, {"pow", kNan, -0.0, 1},
    {"pow", -2, 0.5, kNan}, {"pow", -2, -1.5, kNan}, {"pow", 0.5, -kInf, kInf}, {"pow", -0.5, -kInf, kInf},
    {"pow", 2, -kInf, 0},
    {"pow", 0.5, kInf, 0}, {"pow", -2, kInf, kInf}, {"pow", -kInf, -3, -0.0}, {"pow", -kInf, -2, 0},
    {"pow", -kInf, -0.5, 0},
    {"pow", -kInf, 3, -kInf}, {"pow", -kInf, 2, kInf}, {"pow", -kInf, 0.5, kInf}, {"pow", kInf, -1, 0},
    {"pow", kInf, 0.1, kInf},
    {"pow", kNan, 1, kNan}, {"pow", 2, kNan, kNan}, {"pow", -2, 3, -8}, {"pow", -2, 4, 16}, {"pow", 2, -10, 0x1p-10},
    {"pow", 1e30, 1e30, kInf}, {"pow", -1e30, -1e30, 0}, {"pow", -2, 9, -512}, {"pow", -1, 16777215, -1},
    {"pow", -1, 1e30, 1}, {"pow", 3445, 2, 11868025}, {"pow", 3537, 2, 12510369}, {"pow", 10, 6, 1e6},
    {"atan2", 0, 0, 0}, {"atan2", -0.0, 0, -0.0}, {"atan2", 0, 1, 0}, {"atan2", -0.0, 1, -0.0}, {"atan2", 0, kInf, 0},
    {"atan2", -0.0, kInf, -0.0}, {"atan2", 1, kInf, 0}, {"atan2", -1, kInf, -0.0}, {"atan2", kNan, 1, kNan},
    {"atan2", 1, kNan, kNan},
    {"hypot", 3, 4, 5}, {"hypot", kInf, kNan, kInf}, {"hypot", kNan, -kInf, kInf}, {"hypot", kNan, 1, kNan},
    {"hypot", -0.0, -0.0, 0},
    {"hypot", -0.0, -3, 3},
    {"fmod", 5.5, 2, 1.5}, {"fmod", -5.5, 2, -1.5}, {"fmod", 5.5, -2, 1.5}, {"fmod", -4, 2, -0.0},
    {"fmod", -0.0, 2, -0.0},
    {"fmod", 1, 0, kNan}, {"fmod", kInf, 2, kNan}, {"fmod", 5, kInf, 5}, {"fmod", -5, -kInf, -5},
    {"fmod", kNan, 0, kNan},
    {"remainder", 5, 2, 1}, {"remainder", 7, 2, -1}, {"remainder", -7, 2, 1}, {"remainder", 3, 2, -1},
    {"remainder", -4, 2, -0.0},
    {"remainder", 1, 0, kNan}, {"remainder", kInf, 2, kNan}, {"remainder", 5, kInf, 5}, {"remainder", -0.0, 2, -0.0},
};
// clang-format on

const Function& find(std::string_view name) {
  for (const Function& function : kFunctions)
    if (name == function.name) return function;
  ADD_FAILURE() << name;
  return kFunctions[0];
}

TEST(NumericSpecial, ValuesAreThoseOfC99) {
  const auto check = [](const char* name, double x, double y, double want) {
    const Function& function = find(name);
    const auto f32 = static_cast<float>(x), y32 = static_cast<float>(y);
    EXPECT_TRUE(testing::same_bits(function.f32(f32, y32), static_cast<float>(want)))
        << name << " of f32 " << x << ", " << y << ": " << function.f32(f32, y32) << ", not " << want;
    EXPECT_TRUE(testing::same_bits(function.f64(x, y), want))
        << name << " of f64 " << x << ", " << y << ": " << function.f64(x, y) << ", not " << want;
  };
  for (const SpecialUnary& row : kSpecialUnary) check(row.name, row.x, 0, row.want);
  for (const SpecialBinary& row : kSpecialBinary) check(row.name, row.x, row.y, row.want);
  for (const Function& function : kFunctions) {
    EXPECT_TRUE(std::isnan(function.f32(kNan, 2))) << function.name;
    EXPECT_TRUE(std::isnan(function.f64(kNan, 2))) << function.name;
  }
}

// --- Conversions ---

/// By the definition: sign, exponent and mantissa.
double value_of(const SmallFloat& format, int code) {
  const int mantissa = code & ((1 << format.mantissa_bits) - 1);
  const int exponent = (code >> format.mantissa_bits) & ((1 << format.exponent_bits) - 1);
  const double sign = code & format.sign_bit() ? -1 : 1;
  const bool all_ones = exponent == (1 << format.exponent_bits) - 1;
  if (format.has_infinity && all_ones) return mantissa ? std::nan("") : sign * kInf;
  if (all_ones && mantissa == (1 << format.mantissa_bits) - 1) return std::nan("");
  const int bias = (1 << (format.exponent_bits - 1)) - 1;
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - format.mantissa_bits);
  return sign * std::ldexp(mantissa + (1 << format.mantissa_bits), exponent - bias - format.mantissa_bits);
}

template <Element kElement>
class Conversion {
 public:
  static constexpr SmallFloat kFormat = small_float<kElement>();

  /// All that can be stored, widened; then every boundary between two neighbours, and what is next to it.
  static void check_all() {
    const int num_codes = kFormat.sign_bit() * 2;
    for (int code = 0; code < num_codes; ++code) {
      const double value = value_of(kFormat, code);
      EXPECT_TRUE(testing::same_bits(decode<kElement, double>(code), value)) << code;
      EXPECT_TRUE(testing::same_bits(decode<kElement, float>(code), static_cast<float>(value))) << code;
      check(value, std::isnan(value) ? kFormat.quiet_nan() : code);
    }
    for (int code = 0; code < kFormat.sign_bit(); ++code) {
      const double low = value_of(kFormat, code);
      if (!std::isfinite(low)) break;
      // Above the largest finite number the next would be as far away as the one below.
      double high = value_of(kFormat, code + 1);
      if (!std::isfinite(high)) high = 2 * low - value_of(kFormat, code - 1);
      const double middle = (low + high) / 2;
      check(middle, code & 1 ? code + 1 : code);
      check_f64(std::nextafter(middle, 0), code);
      check_f64(std::nextafter(middle, kInf), code + 1);
      check_f32(std::nextafterf(static_cast<float>(middle), 0), code);
      check_f32(std::nextafterf(static_cast<float>(middle), kInf), code + 1);
    }
    check(1e38, kElement == Element::Bf16 ? encode<kElement>(1e38) : kFormat.overflow());
    check_f64(1e300, kFormat.overflow());
    check_f64(1e-300, 0);
    check(kInf, kFormat.overflow());
    check(-kNan, kFormat.quiet_nan());
  }

 private:
  static void check_f32(float x, int want) {
    EXPECT_EQ(encode<kElement>(x), want) << std::hexfloat << x;
    if (x > 0) {
      EXPECT_EQ(encode<kElement>(-x), want | kFormat.sign_bit()) << std::hexfloat << -x;
    }
  }
  static void check_f64(double x, long long want) {
    EXPECT_EQ(encode<kElement>(x), want) << std::hexfloat << x;
    if (x > 0) {
      EXPECT_EQ(encode<kElement>(-x), want | kFormat.sign_bit()) << std::hexfloat << -x;
    }
  }
  static void check(double x, long long want) {
    check_f32(static_cast<float>(x), static_cast<int>(want));
    check_f64(x, want);
  }
};

TEST(NumericConvert, F16) { Conversion<Element::F16>::check_all(); }
TEST(NumericConvert, Bf16) { Conversion<Element::Bf16>::check_all(); }
TEST(NumericConvert, F8E4M3) { Conversion<Element::F8E4M3>::check_all(); }
TEST(NumericConvert, F8E5M2) { Conversion<Element::F8E5M2>::check_all(); }

TEST(NumericConvert, KnownCodes) {
  EXPECT_EQ(encode<Element::F16>(1.0f), 0x3c00);
  EXPECT_EQ(encode<Element::F16>(65519.99f), 0x7bff);
  EXPECT_EQ(encode<Element::F16>(65520.0f), 0x7c00);
  EXPECT_EQ(encode<Element::F16>(kNan), 0x7fff);
  EXPECT_EQ(encode<Element::Bf16>(-1.0f), 0xbf80);
  EXPECT_EQ(encode<Element::Bf16>(kNan), 0x7fff);
  EXPECT_EQ(encode<Element::F8E4M3>(448.0f), 0x7e);
  EXPECT_EQ(encode<Element::F8E4M3>(464.0f), 0x7e);
  EXPECT_EQ(encode<Element::F8E4M3>(464.1f), 0x7f);
  EXPECT_EQ(encode<Element::F8E4M3>(-kInf), 0xff);
  EXPECT_EQ(encode<Element::F8E5M2>(57344.0f), 0x7b);
  EXPECT_EQ(encode<Element::F8E5M2>(61440.0f), 0x7c);
  // One rounding: through f32 this would become a tie.
  EXPECT_EQ(encode<Element::F16>(1 + 0x1p-11 + 0x1p-40), 0x3c01);
}

// --- Kernels ---

/// Both types in one kernel: half the compiler's starts.
std::string kernel_text(const Function& function) {
  const std::string args = function.num_args == 1 ? "(a.x[i])" : "(a.x[i], a.y[i])";
  return std::string("#include \"baracuda/device/numeric/") + function.header + R"(.cuh"
template <class T>
struct Arrays { const T* x; const T* y; T* out; long long count; };
struct Params { Arrays<float> f32; Arrays<double> f64; };
template <class T>
void apply(const Arrays<T>& a, long long i) {
  if (i < a.count) a.out[i] = baracuda::)" +
         function.name + args + R"(;
}
extern "C" __global__ void baracuda_kernel(const __grid_constant__ Params params) {
  const long long i = blockIdx.x * 256ll + threadIdx.x;
  apply(params.f32, i);
  apply(params.f64, i);
}
)";
}

jit::KernelSpec kernel_spec(const Function& function, const CodeTarget& target) {
  return {std::string("numeric.") + function.name, kernel_text(function), target};
}

class NumericKernel : public ::testing::TestWithParam<Function> {};

TEST_P(NumericKernel, CompilesWithoutLocalMemory) {
  if (!jit::nvrtc()) {
    if (testing::options().require_nvrtc) FAIL() << jit::nvrtc().error().message;
    GTEST_SKIP() << jit::nvrtc().error().message;
  }
  for (const Arch arch : kCudaArchs) {
    const auto kernel = jit::compile(kernel_spec(GetParam(), native_target(arch)));
    ASSERT_TRUE(kernel) << kernel.error().message;
    EXPECT_EQ(kernel->resources.stack_bytes, 0);
    EXPECT_EQ(kernel->resources.spill_store_bytes + kernel->resources.spill_load_bytes, 0);
    EXPECT_TRUE(kernel->resources.warnings.empty());
  }
}

INSTANTIATE_TEST_SUITE_P(Functions, NumericKernel, ::testing::ValuesIn(kFunctions), function_name);

/// The mirror of the kernel's Arrays, and the memory behind it.
template <class T>
struct Arrays {
  const void* x;
  const void* y;
  void* out;
  long long count;
};
template <class T>
struct GpuArrays {
  NumericPoints<T> points = numeric_points<T>(testing::options().seed);
  Buffer x, y, out;

  std::int64_t bytes() const { return static_cast<std::int64_t>(points.x.size() * sizeof(T)); }
  Arrays<T> arrays() const { return {x.data(), y.data(), out.data(), static_cast<long long>(points.x.size())}; }
  Result<void> upload(const Stream& stream) {
    for (Buffer* buffer : {&x, &y, &out}) {
      auto allocated = Buffer::allocate(stream, bytes());
      if (!allocated) return allocated.error();
      *buffer = std::move(*allocated);
    }
    if (auto copied = x.copy_from_host(stream, points.x.data(), bytes()); !copied) return copied;
    return y.copy_from_host(stream, points.y.data(), bytes());
  }
  template <class F>
  void expect_the_bits_of(F function, const Stream& stream) const {
    std::vector<T> got(points.x.size());
    ASSERT_TRUE(out.copy_to_host(stream, got.data(), bytes()) && stream.synchronize());
    int different = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
      const T want = function(points.x[i], points.y[i]);
      if (testing::same_bits(got[i], want) || ++different > 1) continue;
      ADD_FAILURE() << "f" << 8 * sizeof(T) << " at " << std::hexfloat << points.x[i] << ", " << points.y[i]
                    << " (seed " << testing::options().seed << "): " << got[i] << ", on the host " << want;
    }
    EXPECT_EQ(different, 0) << "of f" << 8 * sizeof(T);
  }
};

class NumericGpu : public ::testing::TestWithParam<std::tuple<Device, Function>> {};

TEST_P(NumericGpu, GivesTheBitsOfTheHost) {
  const auto& [device, function] = GetParam();
  const auto stream = testing::make_stream(device);
  ASSERT_TRUE(stream) << stream.error().message;
  GpuArrays<float> f32;
  GpuArrays<double> f64;
  ASSERT_TRUE(f32.upload(*stream) && f64.upload(*stream));
  const struct {
    Arrays<float> f32;
    Arrays<double> f64;
  } params = {f32.arrays(), f64.arrays()};

  const DeviceInfo& info = stream->device_info();
  const auto kernel = jit::load_kernel(kernel_spec(function, code_target(info, info.arch)), *stream);
  ASSERT_TRUE(kernel) << kernel.error().message;
  const auto num_blocks = static_cast<std::uint32_t>((std::max(params.f32.count, params.f64.count) + 255) / 256);
  ASSERT_TRUE(cuda::launch(**kernel, *stream, {.grid = {num_blocks}, .block = {256}}, &params));
  f32.expect_the_bits_of(function.f32, *stream);
  f64.expect_the_bits_of(function.f64, *stream);
}

std::vector<Device> gpus() {
  std::vector<Device> gpus;
  for (const Device device : testing::test_devices())
    if (device.is_cuda()) gpus.push_back(device);
  return gpus;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(NumericGpu);
INSTANTIATE_TEST_SUITE_P(Devices, NumericGpu,
                         ::testing::Combine(::testing::ValuesIn(gpus()), ::testing::ValuesIn(kFunctions)),
                         [](const auto& info) {
                           return testing::test_name(std::get<Device>(info.param)) + "_" +
                                  std::get<Function>(info.param).name;
                         });

// ---- divisor.cuh ----------------------------------------------------------------------------------------------------

void expect_same_integer(float x, float value) {
  const float given = std::rint(Divisor<float>(value).narrow_quotient(x)), expected = std::rint(x / value);
  EXPECT_EQ(given, expected) << x << " / " << value;
}

/// The proof that narrow_quotient's comment tells of. Next to h = N / 2, N odd, lies a middle between two floats,
/// M = 2^(25 − b) · N ± 1 in units of its last bit, where N has b bits. A quotient of X · 2^k, X < 2^11, by S, of 24
/// bits, lies within 2^-43 of it, relatively, only where M · S + d = X · 2^k for some |d| ≤ 96. As k is at least
/// 25 − b, that asks S to be ∓d modulo 2^(25 − b), so that all such S can be counted up. (Below N = 1 the middle is
/// nearer, but 1/2 and the float below it both round to 0.)
TEST(Divisor, NarrowQuotientsRoundToTheIntegerOfTheQuotient) {
  int found = 0;
  for (int b = 1; b <= 9; ++b)
    for (std::int64_t n = (std::int64_t{1} << (b - 1)) | 1; n < std::int64_t{1} << b; n += 2)
      for (int sign : {-1, 1})
        for (std::int64_t c = std::int64_t{1} << (b - 2 + (b == 1)); c <= std::int64_t{1} << b; ++c)
          for (std::int64_t d = -96; d <= 96; ++d) {
            const std::int64_t s = (c << (25 - b)) - sign * d, product = ((n << (25 - b)) + sign) * s + d;
            if (s < 1 << 23 || s >= 1 << 24) continue;
            if (std::bit_width(static_cast<std::uint64_t>(product)) -
                    std::countr_zero(static_cast<std::uint64_t>(product)) >
                11)
              continue;
            ++found;
            // In the ratio of the two the quotient is about h.
            expect_same_integer(static_cast<float>(product) * 0x1p-25f * (1 << b) * 0.5f, static_cast<float>(s));
          }
  EXPECT_GT(found, 0);
}

/// Numbers of f16 and bf16 about halves of scales of all kinds.
TEST(Divisor, NarrowQuotientsAboutHalves) {
  std::uint64_t state = testing::options().seed;
  for (int i = 0; i < 20000; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    // Every other one of few bits, so that there are exact halves.
    const std::uint32_t random_bits = static_cast<std::uint32_t>(state >> 33) & (i % 2 ? 0x1fff0000u : 0x1fffffffu);
    const float value = std::bit_cast<float>(0x30000000u + random_bits);
    const float half = static_cast<float>((state >> 20) % 256) + 0.5f;
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(half * value);
    for (int dropped : {13, 16})
      for (std::uint32_t up : {0u, 1u})
        expect_same_integer(std::bit_cast<float>(((bits >> dropped) + up) << dropped), value);
  }
}

/// Next to middles between floats, and anywhere.
TEST(Divisor, QuotientsAreRounded) {
  std::mt19937_64 random(testing::options().seed);
  const auto number = [&](std::uint32_t least_exponent, std::uint32_t exponents) {
    const auto exponent = static_cast<std::uint32_t>(least_exponent + random() % exponents);
    return std::bit_cast<float>(exponent << 23 | static_cast<std::uint32_t>(random() & 0x7fffff));
  };
  for (int i = 0; i < 200000; ++i) {
    const float value = number(127 - 100, 201), quotient = number(127 - 2, 35);
    const double middle = quotient * (1 + (random() % 2 ? 0x1p-24 : -0x1p-24));
    const auto x = static_cast<float>((i % 2 ? middle : quotient) * static_cast<double>(value));
    const float exact = x / value;
    if (!(std::abs(exact) >= 0.25f && std::abs(exact) <= 0x1p33f)) continue;
    EXPECT_EQ(Divisor<float>(value).quotient(x), exact) << std::hexfloat << x << " / " << value;
  }
  for (float value : {0x1p-100f, 3.0f, 0x1.fffffep99f}) {
    const Divisor<float> by(value);
    EXPECT_LT(by.quotient(0x1.fffffep-3f * value), 0.5f);
    EXPECT_TRUE(std::isnan(by.quotient(kNan)));
    for (float greater : {0x1p34f, 0x1p60f}) {
      const float quotient = by.quotient(greater * std::min(value, 1.0f));
      EXPECT_TRUE(std::isnan(quotient) || quotient >= std::min(greater, greater * std::min(value, 1.0f) / value));
    }
    EXPECT_FALSE(by.quotient(kInf) < 0x1p33f);
  }
}

class DivisorGpu : public ::testing::TestWithParam<Device> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DivisorGpu);
INSTANTIATE_TEST_SUITE_P(Devices, DivisorGpu, ::testing::ValuesIn(gpus()), testing::NameOfParam());

/// Every mantissa, in the middle and at both ends of what is regular.
TEST_P(DivisorGpu, ReciprocalsAreRounded) {
  const auto stream = testing::make_stream(GetParam());
  ASSERT_TRUE(stream) << stream.error().message;
  const DeviceInfo& info = stream->device_info();
  const jit::KernelSpec spec{"divisor.reciprocal", R"(#include "baracuda/device/numeric/divisor.cuh"
struct Params { float* out; unsigned first; };
extern "C" __global__ void baracuda_kernel(const __grid_constant__ Params params) {
  const unsigned i = blockIdx.x * 256 + threadIdx.x;
  params.out[i] = baracuda::Divisor<float>(__uint_as_float(params.first + i)).reciprocal;
}
)",
                             code_target(info, info.arch)};
  const auto kernel = jit::load_kernel(spec, *stream);
  ASSERT_TRUE(kernel) << kernel.error().message;
  constexpr std::uint32_t kMantissas = 1 << 23;
  auto out = Buffer::allocate(*stream, std::int64_t{kMantissas} * 4);
  ASSERT_TRUE(out) << out.error().message;
  std::vector<float> got(kMantissas);
  for (std::uint32_t exponent : {127 - 100, 127, 127 + 124}) {
    const struct {
      void* out;
      std::uint32_t first;
    } params = {out->data(), exponent << 23};
    ASSERT_TRUE(cuda::launch(**kernel, *stream, {.grid = {kMantissas / 256}, .block = {256}}, &params));
    ASSERT_TRUE(out->copy_to_host(*stream, got.data(), out->bytes()) && stream->synchronize());
    for (std::uint32_t i = 0; i < kMantissas; ++i) {
      const auto value = std::bit_cast<float>(params.first + i);
      ASSERT_TRUE(Divisor<float>(value).regular());
      ASSERT_EQ(got[i], 1 / value) << std::hexfloat << value;
    }
  }
}

}  // namespace
}  // namespace baracuda

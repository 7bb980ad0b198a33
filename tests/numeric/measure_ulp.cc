// Measures the functions of baracuda/device/numeric/, for the table of docs/numeric.md: the scalar text, f32 against
// glibc's double functions, f64 against libquadmath. Not part of any build:
//
//   g++ -std=gnu++20 -O2 -mfma -fno-math-errno -ffp-contract=off -I. tests/numeric/measure_ulp.cc -lquadmath
//   ./a.out f32 1           # every f32: some minutes a function. 61: each 61st bit pattern. Pairs are random
//   ./a.out f64 10000000    # so many points, random bit patterns and dense ranges; also: f64 1000000 sin
//
// An error is in units of the last place of the result's binade, at least the least subnormal; a wrong special value
// counts as 1e30.

#include <quadmath.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "testing/random.h"
#include "tests/numeric/all_functions.h"

namespace {

using Quad = __float128;

constexpr double kWrong = 1e30;

double error(float got, double want) {
  const float rounded = static_cast<float>(want);
  if (std::isnan(got) || std::isnan(want)) return std::isnan(got) && std::isnan(want) ? 0 : kWrong;
  if (got == rounded && (got == 0 || std::isinf(got))) return std::signbit(got) == std::signbit(want) ? 0 : kWrong;
  if (std::isinf(want)) return kWrong;
  const double finite = std::isinf(got) ? std::copysign(0x1p128, got) : got;
  std::int64_t exponent = (__builtin_bit_cast(std::int64_t, want) >> 52 & 2047) - 1023 - 23;
  if (exponent < -149) exponent = -149;
  if (exponent > 104) exponent = 104;
  return std::fabs(finite - want) * __builtin_bit_cast(double, (1023 - exponent) << 52);
}

double error(double got, Quad want) {
  const double rounded = static_cast<double>(want);
  if (std::isnan(got) || isnanq(want)) return std::isnan(got) && isnanq(want) ? 0 : kWrong;
  if (got == rounded && (got == 0 || std::isinf(got))) return std::signbit(got) == (signbitq(want) != 0) ? 0 : kWrong;
  if (isinfq(want)) return kWrong;
  const Quad finite = std::isinf(got) ? copysignq(scalbnq(1, 1024), got) : got;
  int exponent = -1074;
  if (want != 0) exponent = std::max(ilogbq(want) - 52, -1074);
  return static_cast<double>(scalbnq(fabsq(finite - want), -std::min(exponent, 971)));
}

template <class T>
T sigmoid_of(T x, T e) {
  return x < 0 ? e / (1 + e) : 1 / (1 + e);
}

struct Unary {
  const char* name;
  float (*f32)(float);
  double (*f64)(double);
  double (*in_f64)(double);
  Quad (*in_f128)(Quad);
  double low, high;  ///< where it is interesting
};
#define UNARY(f, low, high)                                                                                 \
  {                                                                                                         \
#f, &baracuda::f < float>, &baracuda::f < double>, [](double x) { return std::f(x); }, &f##q, low, high \
  }
const Unary kUnary[] = {
    UNARY(exp, -746, 710),
    UNARY(exp2, -1075, 1024),
    UNARY(expm1, -40, 710),
    UNARY(log, 0, 4),
    UNARY(log2, 0, 4),
    UNARY(log10, 0, 4),
    UNARY(log1p, -1, 2),
    UNARY(sin, -20, 20),
    UNARY(cos, -20, 20),
    UNARY(tan, -20, 20),
    UNARY(asin, -1, 1),
    UNARY(acos, -1, 1),
    UNARY(atan, -4, 4),
    UNARY(sinh, -3, 3),
    UNARY(cosh, -3, 3),
    UNARY(tanh, -3, 3),
    UNARY(asinh, -4, 4),
    UNARY(acosh, 1, 4),
    UNARY(atanh, -1, 1),
    UNARY(erf, -6, 6),
    UNARY(erfc, -1, 28),
    {"sigmoid", &baracuda::sigmoid<float>, &baracuda::sigmoid<double>,
     [](double x) { return sigmoid_of(x, std::exp(-std::fabs(x))); },
     [](Quad x) { return sigmoid_of(x, expq(-fabsq(x))); }, -40, 40},
    {"softplus", &baracuda::softplus<float>, &baracuda::softplus<double>,
     [](double x) { return std::isnan(x) ? x : std::fmax(x, 0.) + std::log1p(std::exp(-std::fabs(x))); },
     [](Quad x) { return isnanq(x) ? x : fmaxq(x, 0) + log1pq(expq(-fabsq(x))); }, -40, 40},
    {"silu", &baracuda::silu<float>, &baracuda::silu<double>,
     [](double x) { return x * sigmoid_of(x, std::exp(-std::fabs(x))); },
     [](Quad x) { return x * sigmoid_of(x, expq(-fabsq(x))); }, -750, 40},
    {"gelu", &baracuda::gelu<float>, &baracuda::gelu<double>,
     [](double x) { return static_cast<double>(x * erfcl(-x * sqrtl(0.5L)) / 2); },
     [](Quad x) { return x * erfcq(-x * M_SQRT1_2q) / 2; }, -39, 9},
    {"rsqrt", &baracuda::rsqrt<float>, &baracuda::rsqrt<double>, [](double x) { return 1 / std::sqrt(x); },
     [](Quad x) { return 1 / sqrtq(x); }, 0, 4},
};

struct Binary {
  const char* name;
  float (*f32)(float, float);
  double (*f64)(double, double);
  double (*in_f64)(double, double);
  Quad (*in_f128)(Quad, Quad);
};
#define BINARY(f)                                                                                             \
  {                                                                                                           \
#f, &baracuda::f < float>, &baracuda::f < double>, [](double x, double y) { return std::f(x, y); }, &f##q \
  }
const Binary kBinary[] = {BINARY(pow), BINARY(atan2), BINARY(hypot), BINARY(fmod), BINARY(remainder)};

template <class T>
const T kSpecial[] = {0,
                      -0.,
                      1,
                      -1,
                      2,
                      -2,
                      3,
                      -3,
                      T(0.5),
                      T(-0.5),
                      T(1.5),
                      T(2.5),
                      T(4e9),
                      INFINITY,
                      -INFINITY,
                      NAN,
                      std::numeric_limits<T>::denorm_min(),
                      -std::numeric_limits<T>::denorm_min(),
                      std::numeric_limits<T>::min(),
                      std::numeric_limits<T>::max(),
                      std::numeric_limits<T>::lowest(),
                      1 - std::numeric_limits<T>::epsilon() / 2,
                      1 + std::numeric_limits<T>::epsilon(),
                      1 / std::numeric_limits<T>::epsilon(),
                      1 / std::numeric_limits<T>::epsilon() - 1};

template <class T>
struct Worst {
  double error = 0;
  T x = 0, y = 0;
  void see(double at, T of_x, T of_y = 0) {
    if (at > error) *this = {at, of_x, of_y};
  }
};

template <class T>
T from_pattern(std::uint64_t pattern) {
  if constexpr (sizeof(T) == 4)
    return __builtin_bit_cast(float, static_cast<std::uint32_t>(pattern));
  else
    return __builtin_bit_cast(double, pattern);
}

/// 2^e with e drawn from (-span, span).
double spread(baracuda::testing::Random& random, double span) {
  return std::exp2(span * (static_cast<double>(random.next() >> 11) * 0x1p-52 - 1));
}

/// A pair: any patterns; both around 1; x next to 1; nearly equal; and for pow an x^y that neither overflows nor is 0.
template <class T>
void draw_pair(baracuda::testing::Random& random, int sort, T* x, T* y) {
  const double sign = random.one_in(2) ? -1 : 1;
  *x = from_pattern<T>(random.next());
  *y = from_pattern<T>(random.next());
  if (sort == 1) *x = T(spread(random, 20)), *y = T(sign * spread(random, 20));
  if (sort == 2) *x = T(1 + sign * spread(random, 50) * 0x1p-50), *y = T(sign * spread(random, 60));
  if (sort == 3) *y = T(*x * (1 + sign * spread(random, 50) * 0x1p-50));
  if (sort == 4) {
    *x = T(spread(random, sizeof(T) == 4 ? 149 : 1074));
    *y = T((sizeof(T) == 4 ? 103 : 745) * sign * (1 - spread(random, 20) * 0x1p-20) / std::log(*x));
  }
}

template <class T, class Wide, class Function, class Reference>
void measure_pairs(const char* name, Function function, Reference reference, std::uint64_t count) {
  Worst<T> worst;
  const auto see = [&](T x, T y) { worst.see(error(function(x, y), reference(Wide(x), Wide(y))), x, y); };
  for (const T x : kSpecial<T>)
    for (const T y : kSpecial<T>) see(x, y);
  baracuda::testing::Random random(1);
  for (std::uint64_t i = 0; i < count; ++i) {
    T x, y;
    draw_pair(random, static_cast<int>(i % 5), &x, &y);
    see(x, y);
  }
  std::printf("%-10s %.3f at %.17g, %.17g\n", name, worst.error, double(worst.x), double(worst.y));
}

void measure_f32(const Unary& f, std::uint64_t stride) {
  Worst<float> worst;
  for (std::uint64_t pattern = 0; pattern < std::uint64_t{1} << 32; pattern += stride) {
    const float x = from_pattern<float>(pattern);
    worst.see(error(f.f32(x), f.in_f64(x)), x);
  }
  std::printf("%-10s %.3f at %.9g\n", f.name, worst.error, double(worst.x));
}

void measure_f64(const Unary& f, std::uint64_t count) {
  Worst<double> worst;
  const auto see = [&](double x) { worst.see(error(f.f64(x), f.in_f128(x)), x); };
  for (const double x : kSpecial<double>) see(x);
  baracuda::testing::Random random(1);
  for (std::uint64_t i = 0; i < count; ++i) {
    const double sign = random.one_in(2) ? -1 : 1;
    switch (i % 4) {
      case 0: see(from_pattern<double>(random.next())); break;
      case 1: see(f.low + (f.high - f.low) * static_cast<double>(random.next() >> 11) * 0x1p-53); break;
      case 2: see(sign * spread(random, 30)); break;
      default: see(1 + sign * spread(random, 50) * 0x1p-50);
    }
  }
  std::printf("%-10s %.3f at %.17g\n", f.name, worst.error, worst.x);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string type = argc > 2 ? argv[1] : "";
  const std::uint64_t amount = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
  if ((type != "f32" && type != "f64") || amount == 0) {
    std::fprintf(stderr, "measure_ulp f32 STRIDE [FUNCTION] | f64 COUNT [FUNCTION]\n");
    return 2;
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  for (const Unary& f : kUnary) {
    if (argc > 3 && f.name != std::string(argv[3])) continue;
    type == "f32" ? measure_f32(f, amount) : measure_f64(f, amount);
  }
  for (const Binary& f : kBinary) {
    if (argc > 3 && f.name != std::string(argv[3])) continue;
    if (type == "f32") {
      measure_pairs<float, double>(f.name, f.f32, f.in_f64, 200000000 / amount);
    } else {
      measure_pairs<double, Quad>(f.name, f.f64, f.in_f128, amount);
    }
  }
}

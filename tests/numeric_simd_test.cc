// The functions of baracuda/device/numeric/ on vectors of every instruction set give the bits of the scalar text.

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "baracuda/core/device.h"
#include "testing/options.h"
#include "tests/numeric/numeric_loops.h"
#include "tests/numeric/points.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/numeric_simd_test.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "baracuda/cpu/simd-inl.h"
#include "tests/numeric/all_functions.h"

HWY_BEFORE_NAMESPACE();
namespace baracuda {
namespace HWY_NAMESPACE {

/// Whole vectors; what is left of n is done one by one, with the same text.
template <class T, class Function>
void ForEach(const T* x, const T* y, T* out, std::int64_t n, Function function) {
  using V = Vec<T>;
  std::int64_t i = 0;
  for (; i + kLanes<V> <= n; i += kLanes<V>) store_lanes(function(load_lanes<V>(x + i), load_lanes<V>(y + i)), out + i);
  for (; i < n; ++i) out[i] = function(x[i], y[i]);
}

#define NUMERIC_LOOPS(name, call)                                                         \
  template <class T>                                                                      \
  void Loop_##name(const T* x, const T* y, T* out, std::int64_t n) {                      \
    ForEach(x, y, out, n, [](auto x, [[maybe_unused]] auto y) HWY_ATTR { return call; }); \
  }
#define UNARY(name, header) NUMERIC_LOOPS(name, name(x))
#define BINARY(name, header) NUMERIC_LOOPS(name, name(x, y))
#include "tests/numeric/functions.def"
#undef UNARY
#undef BINARY

/// bits → decode → encode: back, as V sees it.
template <Element kElement, class V>
V RoundTrip(V x) {
  return decode<kElement, V>(encode<kElement>(x));
}
NUMERIC_LOOPS(f16, RoundTrip<Element::F16>(x))
NUMERIC_LOOPS(bf16, RoundTrip<Element::Bf16>(x))
NUMERIC_LOOPS(f8e4m3, RoundTrip<Element::F8E4M3>(x))
NUMERIC_LOOPS(f8e5m2, RoundTrip<Element::F8E5M2>(x))

const testing::NumericLoop* Loops() {
  static constexpr testing::NumericLoop kLoops[] = {
#define UNARY(name, header) {#name, &Loop_##name<float>, &Loop_##name<double>},
#define BINARY(name, header) UNARY(name, header)
#include "tests/numeric/functions.def"
      UNARY(f16, "convert") UNARY(bf16, "convert") UNARY(f8e4m3, "convert") UNARY(f8e5m2, "convert"){}};
#undef UNARY
#undef BINARY
  return kLoops;
}

}  // namespace HWY_NAMESPACE
}  // namespace baracuda
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "baracuda/cpu/dispatch.h"

namespace baracuda::testing {
namespace {

struct Target {
  std::string name;
  const NumericLoop* loops;
};

/// Loop number `index` of every target gives what `expected` gives.
template <class T>
void expect_same_bits(std::size_t index, LoopOf<T> expected, const std::vector<Target>& targets,
                      LoopOf<T> NumericLoop::*type) {
  const NumericPoints<T> points = numeric_points<T>(options().seed);
  const std::size_t n = points.x.size() | 1;  // not a multiple of the lanes
  std::vector<T> x = points.x, y = points.y, want(n), got(n);
  x.resize(n);
  y.resize(n);
  expected(x.data(), y.data(), want.data(), static_cast<std::int64_t>(n));
  for (const Target& target : targets) {
    const NumericLoop& loop = target.loops[index];
    (loop.*type)(x.data(), y.data(), got.data(), static_cast<std::int64_t>(n));
    int different = 0;
    for (std::size_t i = 0; i < n; ++i) {
      if (same_bits(want[i], got[i]) || ++different > 1) continue;
      ADD_FAILURE() << loop.name << " of f" << 8 * sizeof(T) << " on " << target.name << " at " << std::hexfloat << x[i]
                    << ", " << y[i] << " (seed " << options().seed << "): " << got[i] << ", scalar " << want[i];
    }
    EXPECT_EQ(different, 0) << loop.name << " on " << target.name;
  }
}

TEST(NumericSimd, EveryInstructionSetGivesTheBitsOfTheScalarText) {
  const NumericLoop* scalar = (BARACUDA_CPU_FUNCTION(CpuTarget::Scalar, Loops))();
  std::vector<Target> targets;
  for (const CpuTarget target : available_cpu_targets()) {
    if (target == CpuTarget::Scalar) continue;
    targets.push_back({std::string(name_of(target)), (BARACUDA_CPU_FUNCTION(target, Loops))()});
  }
  if (targets.empty()) GTEST_SKIP() << "this CPU has the scalar target alone";
  for (std::size_t index = 0; scalar[index].name; ++index) {
    expect_same_bits(index, scalar[index].f32, targets, &NumericLoop::f32);
    expect_same_bits(index, scalar[index].f64, targets, &NumericLoop::f64);
  }
}

}  // namespace
}  // namespace baracuda::testing
#endif

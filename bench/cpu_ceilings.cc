#include "bench/cpu_ceilings.h"

#include <numeric>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/cpu_ceilings.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace baracuda::bench {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

std::uint32_t WordSum(const void* data, std::int64_t bytes) {
  const hn::ScalableTag<std::uint32_t> words;
  const std::int64_t lanes = static_cast<std::int64_t>(hn::Lanes(words));
  const auto* from = static_cast<const std::uint32_t*>(data);
  auto sum0 = hn::Zero(words), sum1 = sum0, sum2 = sum0, sum3 = sum0;
  // 256 bytes are four vectors of at most 64.
  for (const auto* const end = from + bytes / 4; from < end; from += 4 * lanes) {
    sum0 = hn::Add(sum0, hn::LoadU(words, from));
    sum1 = hn::Add(sum1, hn::LoadU(words, from + lanes));
    sum2 = hn::Add(sum2, hn::LoadU(words, from + 2 * lanes));
    sum3 = hn::Add(sum3, hn::LoadU(words, from + 3 * lanes));
  }
  // Not SumOfLanes: GCC's sum of a 512-bit vector adds signed numbers, and UBSan stops at their overflow.
  std::uint32_t of_lane[HWY_MAX_BYTES / sizeof(std::uint32_t)];
  hn::StoreU(hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3)), words, of_lane);
  return std::accumulate(of_lane, of_lane + lanes, std::uint32_t{0});
}

/// Eight chains hide a latency of four cycles at two operations a cycle.
constexpr int kVectors = 8;

int MultiplyAddChains() { return kVectors * static_cast<int>(hn::Lanes(hn::ScalableTag<float>())); }

float MultiplyAdd(std::int64_t iterations) {
  const hn::ScalableTag<float> floats;
  const auto half = hn::Set(floats, 0.5f), one = hn::Set(floats, 1.0f);
  auto x0 = hn::Iota(floats, 0), x1 = hn::Add(x0, one), x2 = hn::Add(x1, one), x3 = hn::Add(x2, one),
       x4 = hn::Add(x3, one), x5 = hn::Add(x4, one), x6 = hn::Add(x5, one), x7 = hn::Add(x6, one);
  for (std::int64_t i = 0; i < iterations; ++i) {
    x0 = hn::MulAdd(x0, half, one);
    x1 = hn::MulAdd(x1, half, one);
    x2 = hn::MulAdd(x2, half, one);
    x3 = hn::MulAdd(x3, half, one);
    x4 = hn::MulAdd(x4, half, one);
    x5 = hn::MulAdd(x5, half, one);
    x6 = hn::MulAdd(x6, half, one);
    x7 = hn::MulAdd(x7, half, one);
  }
  const auto sum = hn::Add(hn::Add(hn::Add(x0, x1), hn::Add(x2, x3)), hn::Add(hn::Add(x4, x5), hn::Add(x6, x7)));
  return hn::GetLane(hn::SumOfLanes(floats, sum));
}

}  // namespace HWY_NAMESPACE
}  // namespace baracuda::bench
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include "baracuda/cpu/dispatch.h"

namespace baracuda::bench {

std::uint32_t cpu_word_sum(CpuTarget target, const void* data, std::int64_t bytes) {
  return BARACUDA_CPU_FUNCTION(target, WordSum)(data, bytes);
}

float cpu_multiply_add(CpuTarget target, std::int64_t iterations) {
  return BARACUDA_CPU_FUNCTION(target, MultiplyAdd)(iterations);
}

int cpu_multiply_add_chains(CpuTarget target) { return BARACUDA_CPU_FUNCTION(target, MultiplyAddChains)(); }

}  // namespace baracuda::bench

#endif  // HWY_ONCE

#include "bench/report.h"

#include <gtest/gtest.h>

#include "bench/cpu_ceilings.h"
#include "testing/random.h"

namespace baracuda::bench {
namespace {

using Bounds = Ceiling::Bounds;

Timed taking(double seconds) { return {.sample = {}, .samples = {{.seconds = seconds}}}; }

// Reads 200, copies 100 bytes a second; 1000 and 4000 operations in s8, 500 in f16; one that is not there.
std::vector<Ceiling> ceilings() {
  return {
      {.name = "read", .how = "", .bounds = Bounds::Read, .amount = 200, .timed = taking(1)},
      {.name = "copy", .how = "", .bounds = Bounds::Copy, .amount = 200, .timed = taking(2)},
      {.name = "ring", .how = "", .amount = 900, .timed = taking(1)},
      {.name = "mma s8",
       .how = "",
       .bounds = Bounds::Math,
       .math = MathPrecision::Int8,
       .amount = 1000,
       .timed = taking(1)},
      {.name = "wgmma s8",
       .how = "",
       .bounds = Bounds::Math,
       .math = MathPrecision::Int8,
       .amount = 2000,
       .timed = taking(.5)},
      {.name = "mma f16",
       .how = "",
       .bounds = Bounds::Math,
       .math = MathPrecision::F16,
       .amount = 500,
       .timed = taking(1)},
      {.name = "wgmma f16", .how = "", .bounds = Bounds::Math, .math = MathPrecision::F16, .absent = "no such unit"},
  };
}

CaseReport report(MathPrecision math, std::int64_t bytes, std::int64_t ops, double seconds) {
  CaseReport report;
  report.math = math;
  report.bytes = bytes;
  report.ops = ops;
  report.run = taking(seconds);
  return report;
}

void expect_roofline(const CaseReport& report, const std::string& ceiling, double fraction) {
  const Roofline line = roofline(report, ceilings());
  EXPECT_EQ(line.ceiling, ceiling);
  EXPECT_DOUBLE_EQ(line.fraction, fraction);
}

TEST(Roofline, TheLongerOfTwoTimesBinds) {
  expect_roofline(report(MathPrecision::None, 400, 0, 8), "copy", 0.5);
  expect_roofline(report(MathPrecision::Int8, 400, 4000, 4), "read", 0.5);
  expect_roofline(report(MathPrecision::Int8, 400, 16000, 8), "wgmma s8", 0.5);
  expect_roofline(report(MathPrecision::F16, 4, 2000, 8), "mma f16", 0.5);
  expect_roofline(report(MathPrecision::F64, 400, 1 << 30, 4), "read", 0.5);  // no ceiling of its arithmetic
  expect_roofline(report(MathPrecision::None, 0, 0, 8), "", 0);
}

TEST(RandomBuffer, HoldsTheTileAgainAndAgain) {
  const Stream stream = Stream::cpu();
  const std::int64_t bytes = kRandomTileBytes + 4096;
  const auto buffer = random_buffer(stream, bytes);
  ASSERT_TRUE(buffer);
  for (CpuTarget target : available_cpu_targets()) {
    EXPECT_EQ(cpu_word_sum(target, buffer->data(), 4096), random_word_sum(4096));
    EXPECT_EQ(cpu_word_sum(target, buffer->data(), bytes), random_word_sum(bytes));
  }
  EXPECT_NE(random_word_sum(4096), random_word_sum(4100));
}

TEST(MultiplyAdd, GoesToTwo) {
  for (CpuTarget target : available_cpu_targets()) {
    const auto chains = static_cast<float>(cpu_multiply_add_chains(target));
    EXPECT_EQ(cpu_multiply_add(target, 40), 2 * chains);
    EXPECT_NE(cpu_multiply_add(target, 2), 2 * chains);
  }
}

TEST(ColdBuffers, ExceedTheCacheFourTimes) {
  EXPECT_EQ(num_cold_buffers(100, 1000), 41);
  EXPECT_EQ(num_cold_buffers(1 << 20, 1000), 2);
  EXPECT_EQ(num_cold_buffers(1, 1000), 64);
  EXPECT_EQ(num_cold_buffers(0, 1000), 64);
}

}  // namespace
}  // namespace baracuda::bench

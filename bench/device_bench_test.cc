// What a measurement needs, on every device: operands that cases run on, ceilings whose kernels do what they say.

#include "bench/device_bench.h"

#include <gtest/gtest.h>

#include "testing/devices.h"

namespace baracuda::bench {
namespace {

using testing::Op;

class BenchTest : public ::testing::TestWithParam<Device> {};

TEST_P(BenchTest, EveryOpHasCasesThatCanBeSelected) {
  const auto stream = testing::make_stream(GetParam());
  ASSERT_TRUE(stream) << stream.error().message;
  for (const Op* op : testing::ops()) {
    const std::vector<std::string> cases = op->bench_cases(GetParam());
    EXPECT_FALSE(cases.empty()) << op->name();
    for (const std::string& text : cases) {
      const auto selected = op->select(text, *stream);
      EXPECT_TRUE(selected) << text << ": " << selected.error().message;
    }
  }
}

const std::string kCases[] = {
    "write_slice element=s4 dest=9x64 start=1x3 end=8x40 device_starts=true starts=2x5 status=true",
    "write_slice element=f32 dest=4x64 start=1x0 end=3x64",
    "kv_cache_append layout=paged num_tokens=3 num_kv_heads=2 k_head_dim=8 v_head_dim=8 num_pages=4 page_size=2"};

const Op& op_of(const std::string& text) {
  for (const Op* op : testing::ops())
    if (text.starts_with(op->name())) return *op;
  std::abort();
}

TEST_P(BenchTest, ACaseRunsOnEachOfItsSets) {
  for (const std::string& text : kCases) {
    const auto prepared = op_of(text).prepare(text, GetParam());
    ASSERT_TRUE(prepared) << prepared.error().message;
    testing::PreparedCase& each = **prepared;
    EXPECT_EQ(each.num_sets(), 1);
    ASSERT_TRUE(each.add_set());
    EXPECT_EQ(each.num_sets(), 2);
    EXPECT_GT(each.bytes_per_set(), each.explanation().bytes / 2);
    EXPECT_EQ(each.sku().op, op_of(text).name());
    EXPECT_TRUE(each.can_implement());
    EXPECT_TRUE(each.select());
    for (int set = 0; set < 2; ++set) EXPECT_TRUE(each.run(set));
    EXPECT_TRUE(each.stream().synchronize());
  }
}

TEST_P(BenchTest, TimesCeilingsCopiesAndCases) {
  const auto bench = DeviceBench::create(GetParam());
  ASSERT_TRUE(bench) << bench.error().message;
  EXPECT_EQ((*bench)->info().device, GetParam());
  EXPECT_FALSE((*bench)->description().empty());
  std::vector<Timed> timed;
  for (Ceiling& ceiling : (*bench)->ceilings()) {
    EXPECT_GT(ceiling.amount, 0) << ceiling.name;
    EXPECT_NE(ceiling.absent.empty(), !ceiling.timed.sample) << ceiling.name;
    if (ceiling.absent.empty()) timed.push_back(ceiling.timed);
  }
  auto copy = (*bench)->time_copy(1 << 20);
  ASSERT_TRUE(copy) << copy.error().message;
  timed.push_back(*std::move(copy));

  std::vector<std::unique_ptr<testing::PreparedCase>> cases;
  for (const std::string& text : kCases) {
    auto prepared = op_of(text).prepare(text, GetParam());
    ASSERT_TRUE(prepared) << prepared.error().message;
    cases.push_back(*std::move(prepared));
    auto run = (*bench)->time_case(*cases.back());
    ASSERT_TRUE(run) << run.error().message;
    timed.push_back(*std::move(run));
  }
  for (const Timed& each : timed) {
    const auto sample = each.sample();
    ASSERT_TRUE(sample) << sample.error().message;
    EXPECT_GT(sample->seconds, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, BenchTest, ::testing::ValuesIn(testing::test_devices()), testing::NameOfParam());

}  // namespace
}  // namespace baracuda::bench

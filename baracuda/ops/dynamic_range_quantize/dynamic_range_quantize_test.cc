#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <set>
#include <thread>
#include <vector>

#include "baracuda/jit/nvrtc.h"
#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize_case.h"
#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize_kernels.h"
#include "baracuda/plan/plan_cache.h"
#include "testing/call_counter.h"
#include "testing/case_text.h"
#include "testing/compare.h"
#include "testing/cuda_graph.h"
#include "testing/fields.h"
#include "testing/float_element.h"
#include "testing/guarded_buffer.h"
#include "testing/options.h"

namespace baracuda::testing {
namespace {

using Plan = DynamicRangeQuantizePlan;

/// A failure of a case prints the command that repeats it.
::testing::AssertionResult passes(const DynamicRangeQuantizeCase& value, const TestTarget& target) {
  Result<void> checked = check_dynamic_range_quantize(value, target);
  if (checked) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << target.name << ": " << checked.error().to_string()
                                       << "\n  baracuda verify --device " << target.device.name() << " --case \""
                                       << to_string(value) << '"';
}

DynamicRangeQuantizeCase parse(const std::string& fields) {
  auto value =
      parse_case<DynamicRangeQuantizeCase>("dynamic_range_quantize", "dynamic_range_quantize hostile=true " + fields);
  EXPECT_TRUE(value) << value.error().message;
  return *value;
}

class DynamicRangeQuantizeTest : public ::testing::TestWithParam<TestTarget> {};
INSTANTIATE_TEST_SUITE_P(Targets, DynamicRangeQuantizeTest, ::testing::ValuesIn(test_targets()), NameOfParam());
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DynamicRangeQuantizeTest);

class DynamicRangeQuantizeCudaTest : public ::testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, DynamicRangeQuantizeCudaTest, ::testing::ValuesIn(cuda_test_devices()),
                         NameOfParam());
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DynamicRangeQuantizeCudaTest);

// ---- against the oracle ---------------------------------------------------------------------------------------------

TEST_P(DynamicRangeQuantizeTest, RandomCases) {
  Random random(options().seed);
  for (int i = 0; i < (options().full ? 4000 : 1500); ++i)
    ASSERT_TRUE(passes(random_dynamic_range_quantize_case(random), GetParam())) << "random case " << i;
}

/// The sanitizers run this suite too.
TEST_P(DynamicRangeQuantizeTest, CoveringSetSanitizer) {
  Random random(options().seed + 1);
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(passes(random_dynamic_range_quantize_case(random), GetParam()));
}

TEST_P(DynamicRangeQuantizeTest, EdgeCases) {
  for (const char* fields : {
           "shape=1",
           "shape=0",
           "shape=7x0",
           "shape=0x7",
           "shape=7x0 symmetric=false",
           "shape=1x1 symmetric=false",
           "shape=2x1x2x1x2x1x2x33 element=bf16",
           "shape=3x4096 element=bf16",
           "shape=3x4096 element=f16",
           // a row just within, at the end of, and beyond the registers of a warp and of blocks of 64, 128, 256
           "shape=129x1016",
           "shape=129x1024",
           "shape=129x1028 symmetric=false",
           "shape=129x2052",
           "shape=129x4096 q_min=-3",
           "shape=129x4100",
           "shape=129x8192 element=bf16",
           "shape=129x8200 element=f16",
           "shape=129x257 x_misalignment=4",
           // of fewer rows, which have more threads each
           "shape=5x1016",
           "shape=5x1024",
           "shape=5x1028",
           "shape=5x2048",
           "shape=5x2052 symmetric=false",
           "shape=5x4096",
           "shape=5x4100",
           "shape=2x8188",
           "shape=2x8192",
           "shape=2x8196",
           "shape=2x16384 element=bf16",
           "shape=2x16392 element=bf16 symmetric=false",
           "shape=2x40000 element=f64",
           // the same one by one
           "shape=5x255 x_misalignment=4",
           "shape=5x257 x_misalignment=4",
           "shape=2x2049 q_misalignment=1",
           "shape=3x5x7 x_strides=1x3x15 q_strides=-35x-7x-1",
           "shape=9x64 x_strides=0x1",
           "shape=9x64 x_strides=64x0",
           // rows that are cut for the threads
           "shape=1x300000 num_threads=4",
           "shape=2x300000 num_threads=4 symmetric=false element=f64",
           "shape=1x600001 num_threads=4 element=f16 q_strides=1x2",
           "shape=4000x31 num_threads=4",
       })
    for (std::uint64_t seed : {1, 2, 3, 4, 5, 6}) {
      DynamicRangeQuantizeCase value = parse(fields);
      value.seed = seed;
      EXPECT_TRUE(passes(value, GetParam()));
    }
}

/// One row of f32 through the plan.
struct RowResult {
  std::vector<int> q;
  float scale;
  int zero_point;
};
RowResult quantize(const std::vector<float>& x, const TestTarget& target, DynamicRangeQuantizeDescriptor descriptor) {
  const Stream stream = *make_stream(target.device);
  const auto length = static_cast<std::int64_t>(x.size());
  descriptor.shape = {1, length};
  Random random(1);
  GuardedBuffer from = *GuardedBuffer::create("x", stream, 4 * length, random);
  GuardedBuffer q = *GuardedBuffer::create("q", stream, length, random);
  GuardedBuffer scale = *GuardedBuffer::create("scale", stream, 4, random);
  GuardedBuffer zero_point = *GuardedBuffer::create("zero_point", stream, 4, random);
  std::memcpy(from.image().data(), x.data(), from.image().size());
  EXPECT_TRUE(from.upload() && q.upload() && scale.upload() && zero_point.upload());
  const auto plan = Plan::select(stream, descriptor, target.preference);
  EXPECT_TRUE(plan) << plan.error().message;
  const Result<void> ran = plan->run(stream, Workspace::none(),
                                     {.x = from.tensor(Element::F32, {1, length}),
                                      .q = q.tensor(descriptor.output_element, {1, length}),
                                      .scale = scale.vector(Element::F32, 1),
                                      .zero_point = zero_point.vector(Element::I32, 1)});
  EXPECT_TRUE(ran) << ran.error().message;
  EXPECT_TRUE(q.download() && scale.download() && zero_point.download());
  RowResult result{};
  for (std::byte byte : q.image())
    result.q.push_back(descriptor.output_element == Element::U8 ? std::to_integer<int>(byte)
                                                                : static_cast<std::int8_t>(byte));
  std::memcpy(&result.scale, scale.image().data(), 4);
  std::memcpy(&result.zero_point, zero_point.image().data(), 4);
  return result;
}

/// Results that can be checked by head.
TEST_P(DynamicRangeQuantizeTest, KnownRows) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  using Codes = std::vector<int>;
  const auto symmetric = [&](const std::vector<float>& x) { return quantize(x, GetParam(), {}); };
  RowResult row = symmetric({127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -127, 126.5f});
  EXPECT_EQ(row.scale, 1);
  EXPECT_EQ(row.q, (Codes{127, 0, 2, 2, 0, -2, -127, 126})) << "ties go to even";
  row = symmetric({0, -0.0f, 0});
  EXPECT_EQ(row.scale, 1);
  EXPECT_EQ(row.q, (Codes{0, 0, 0}));
  row = symmetric({kTiny, -kTiny});
  EXPECT_EQ(row.scale, 1) << "the quotient underflows to 0";
  EXPECT_EQ(row.q, (Codes{0, 0}));
  row = symmetric({190 * kTiny, 63 * kTiny, -64 * kTiny});
  EXPECT_EQ(row.scale, kTiny) << "1.496 steps are rounded to 1";
  EXPECT_EQ(row.q, (Codes{127, 63, -64})) << "190 is clamped";
  for (float bad : {kNaN, kInf, -kInf}) {
    row = symmetric({1, bad, -1});
    EXPECT_TRUE(std::isnan(row.scale));
    EXPECT_EQ(row.q, (Codes{0, 0, 0}));
    row = quantize({1, bad, -1}, GetParam(), {.symmetric = false, .q_min = 3, .q_max = 9});
    EXPECT_TRUE(std::isnan(row.scale));
    EXPECT_EQ(row.zero_point, 3);
    EXPECT_EQ(row.q, (Codes{3, 3, 3}));
  }
  const DynamicRangeQuantizeDescriptor u8{.output_element = Element::U8, .symmetric = false};
  row = quantize({-1, 0, 1, 254}, GetParam(), u8);
  EXPECT_EQ(row.scale, 1);
  EXPECT_EQ(row.zero_point, 1);
  EXPECT_EQ(row.q, (Codes{0, 1, 2, 255}));
  row = quantize({510, 2, 5}, GetParam(), u8);
  EXPECT_EQ(row.scale, 2) << "the range always holds 0";
  EXPECT_EQ(row.zero_point, 0);
  EXPECT_EQ(row.q, (Codes{255, 1, 2}));
  row = quantize({-255, 0}, GetParam(), {.symmetric = false});
  EXPECT_EQ(row.zero_point, 127);
  EXPECT_EQ(row.q, (Codes{-128, 127}));
  row = quantize({3e38f, -3e38f, 1}, GetParam(), {.symmetric = false});
  EXPECT_EQ(row.scale, kInf) << "the range passes the greatest f32";
  EXPECT_EQ(row.q, (Codes{-128, -128, -128}));
}

/// A thousand quotients around every half, where a product with the reciprocal would often round to the other side.
TEST_P(DynamicRangeQuantizeTest, QuotientsNextToTies) {
  std::vector<float> row = {std::ldexp(127.0f, -3) * 1.3f};
  const float scale = row[0] / 127;
  for (int n = -126; n < 126; ++n) {
    float x = (static_cast<float>(n) + 0.5f) * scale;
    for (int i = 0; i < 4; ++i) x = std::nextafter(x, -1e9f);
    for (int i = 0; i < 9; ++i, x = std::nextafter(x, 1e9f)) row.push_back(x);
  }
  const RowResult result = quantize(row, GetParam(), {});
  EXPECT_EQ(result.scale, scale);
  for (std::size_t i = 0; i < row.size(); ++i)
    ASSERT_EQ(result.q[i], std::clamp(static_cast<int>(std::nearbyint(row[i] / scale)), -127, 127)) << row[i];
}

// ---- the rules ------------------------------------------------------------------------------------------------------

struct DescriptorRule {
  const char* name;
  DynamicRangeQuantizeDescriptor descriptor;
  ErrorKind kind;
  const char* field;
};

const std::vector<DescriptorRule>& descriptor_rules() {
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  using D = DynamicRangeQuantizeDescriptor;
  static const std::vector<DescriptorRule> rules = {
      {"rank 0", D{.shape = {}}, ErrorKind::InvalidProblem, "shape"},
      {"rank 9", D{.shape = Dims::filled(9, 1)}, ErrorKind::Unsupported, "shape"},
      {"negative extent", D{.shape = {4, -4}}, ErrorKind::InvalidProblem, "shape[1]"},
      {"2^63 elements", D{.shape = {kMax, 2}}, ErrorKind::InvalidProblem, "shape"},
      {"2^63 bytes", D{.element = Element::F64, .shape = {kMax / 4}}, ErrorKind::InvalidProblem, "shape"},
      {"2^63 scales", D{.shape = {kMax / 2, 2, 0}}, ErrorKind::InvalidProblem, "shape"},
      {"integers", D{.element = Element::I32, .shape = {4}}, ErrorKind::Unsupported, "element"},
      {"fp8", D{.element = Element::F8E4M3, .shape = {4}}, ErrorKind::Unsupported, "element"},
      {"no element at all", D{.element = static_cast<Element>(200), .shape = {4}}, ErrorKind::Unsupported, "element"},
      {"q of i32", D{.shape = {4}, .output_element = Element::I32}, ErrorKind::Unsupported, "output_element"},
      {"q of s4", D{.shape = {4}, .output_element = Element::S4}, ErrorKind::Unsupported, "output_element"},
      {"q_min too low", D{.shape = {4}, .q_min = -129}, ErrorKind::InvalidProblem, "q_min"},
      {"q_max too high", D{.shape = {4}, .q_max = 128}, ErrorKind::InvalidProblem, "q_max"},
      {"q_max 0", D{.shape = {4}, .q_max = 0}, ErrorKind::InvalidProblem, "q_max"},
      {"q_min over q_max", D{.shape = {4}, .q_min = 5, .q_max = 4}, ErrorKind::InvalidProblem, "q_min"},
      {"negative u8", D{.shape = {4}, .output_element = Element::U8, .q_min = -1}, ErrorKind::InvalidProblem, "q_min"},
      {"u8 over 255", D{.shape = {4}, .output_element = Element::U8, .q_max = 256}, ErrorKind::InvalidProblem, "q_max"},
      {"an asymmetric range of one", D{.shape = {4}, .symmetric = false, .q_min = 4, .q_max = 4},
       ErrorKind::InvalidProblem, "q_min"},
  };
  return rules;
}

TEST(DynamicRangeQuantizeRules, Descriptors) {
  for (const DeviceInfo& device : {DeviceInfo::cpu(), DeviceInfo::sm80(), DeviceInfo::sm90a()})
    for (const DescriptorRule& rule : descriptor_rules()) {
      const auto choice = Plan::choose(rule.descriptor, {}, device);
      ASSERT_FALSE(choice) << rule.name;
      EXPECT_EQ(choice.error().kind, rule.kind) << rule.name;
      EXPECT_NE(choice.error().message.find("DynamicRangeQuantizePlan"), std::string::npos) << choice.error().message;
      EXPECT_NE(choice.error().message.find(rule.field), std::string::npos) << choice.error().message;
    }
}

TEST(DynamicRangeQuantizeRules, LimitsThatAreServed) {
  using D = DynamicRangeQuantizeDescriptor;
  for (const D& descriptor :
       {D{.shape = {4}, .q_min = -128, .q_max = 127}, D{.shape = {4}, .q_min = 5, .q_max = 5},
        D{.shape = {4}, .output_element = Element::U8}, D{.shape = {4}, .symmetric = false, .q_min = -9, .q_max = -8},
        D{.shape = Dims::filled(8, 3)}, D{.shape = {std::int64_t{1} << 40, std::int64_t{1} << 40, 0, 5}},
        D{.shape = {std::int64_t{1} << 40, std::int64_t{1} << 18}}})
    for (const DeviceInfo& device : {DeviceInfo::cpu(), DeviceInfo::sm90a()}) {
      EXPECT_TRUE(Plan::explain(descriptor, {}, device));
      EXPECT_TRUE(Plan::explain(descriptor, {.autotune = true}, device)) << "one candidate qualifies";
    }
}

TEST(DynamicRangeQuantizeRules, Choices) {
  using D = DynamicRangeQuantizeDescriptor;
  const auto sku = [](const D& descriptor, const DeviceInfo& device) {
    return Plan::choose(descriptor, {}, device)->sku.to_string();
  };
  const DeviceInfo h200 = DeviceInfo::sm90a();
  EXPECT_EQ(sku({.shape = {4, 16}}, h200), "dynamic_range_quantize/f32->i8/-/symmetric/vectors/sm90a/bespoke");
  EXPECT_EQ(sku({.element = Element::Bf16, .shape = {4, 12}, .output_element = Element::U8, .symmetric = false}, h200),
            "dynamic_range_quantize/bf16->u8/-/asymmetric/elements/sm90a/bespoke");
  const auto explained = Plan::explain({.element = Element::Bf16, .shape = {4096, 8192}, .symmetric = false}, {}, h200);
  ASSERT_TRUE(explained);
  EXPECT_EQ(explained->bytes, std::int64_t{4096} * 8192 * 3 + 4096 * 8);
  EXPECT_DOUBLE_EQ(explained->seconds, static_cast<double>(explained->bytes) / h200.copy_bytes_per_second);
  for (Determinism level : {Determinism::RunToRun, Determinism::BatchInvariant, Determinism::MatchesCpu})
    EXPECT_TRUE(Plan::choose({.shape = {4, 16}}, {.determinism = level}, h200));
  EXPECT_FALSE(Plan::choose({.shape = {4, 16}}, {.force_backend = Backend::Cublas}, h200));
}

TEST(DynamicRangeQuantizeRules, EveryFieldCounts) {
  using D = DynamicRangeQuantizeDescriptor;
  expect_every_field_counts<D>({.shape = {4, 4}}, {{"element", [](D& d) { d.element = Element::F64; }},
                                                   {"shape",
                                                    [](D& d) {
                                                      d.shape = {4, 5};
                                                    }},
                                                   {"output_element", [](D& d) { d.output_element = Element::U8; }},
                                                   {"symmetric", [](D& d) { d.symmetric = false; }},
                                                   {"q_min", [](D& d) { d.q_min = -127; }},
                                                   {"q_max", [](D& d) { d.q_max = 100; }}});
}

/// A run that must be refused: `spoil` changes args that were sound.
struct ArgsRule {
  const char* name;
  std::function<void(DynamicRangeQuantizeArgs&)> spoil;
  ErrorKind kind;
  const char* field;
};

TEST_P(DynamicRangeQuantizeTest, Args) {
  const Stream stream = *make_stream(GetParam().device);
  Random random(3);
  GuardedBuffer memory = *GuardedBuffer::create("memory", stream, 1024, random);
  ASSERT_TRUE(memory.upload());
  const Device elsewhere = stream.device().is_cpu() ? Device::cuda() : Device::cpu();
  const Dims shape = {4, 6};
  const std::vector<ArgsRule> rules = {
      {"x elsewhere", [&](auto& a) { a.x.device = elsewhere; }, ErrorKind::InvalidProblem, "x is on"},
      {"q elsewhere", [&](auto& a) { a.q.device = elsewhere; }, ErrorKind::InvalidProblem, "q is on"},
      {"scale elsewhere", [&](auto& a) { a.scale.device = elsewhere; }, ErrorKind::InvalidProblem, "scale"},
      {"zero_point elsewhere", [&](auto& a) { a.zero_point->device = elsewhere; }, ErrorKind::InvalidProblem,
       "zero_point"},
      {"x of another element", [&](auto& a) { a.x.element = Element::I32; }, ErrorKind::Unsupported, "x.element"},
      {"q of another element", [&](auto& a) { a.q.element = Element::U8; }, ErrorKind::Unsupported, "q.element"},
      {"scale of another element", [&](auto& a) { a.scale.element = Element::I32; }, ErrorKind::Unsupported,
       "scale.element"},
      {"zero_point of another element", [&](auto& a) { a.zero_point->element = Element::F32; }, ErrorKind::Unsupported,
       "zero_point.element"},
      {"x of another shape",
       [&](auto& a) {
         a.x = memory.tensor(Element::F32, {6, 4});
       },
       ErrorKind::InvalidProblem, "x.shape"},
      {"q of another shape", [&](auto& a) { a.q = memory.tensor(Element::I8, {24}, 256); }, ErrorKind::InvalidProblem,
       "q.shape"},
      {"scale short", [&](auto& a) { a.scale.length = 3; }, ErrorKind::InvalidProblem, "scale.length"},
      {"scale long", [&](auto& a) { a.scale.length = 5; }, ErrorKind::InvalidProblem, "scale.length"},
      {"zero_point short", [&](auto& a) { a.zero_point->length = 3; }, ErrorKind::InvalidProblem, "zero_point.length"},
      {"zero_point missing", [&](auto& a) { a.zero_point.reset(); }, ErrorKind::InvalidProblem, "zero_point"},
      {"null x", [&](auto& a) { a.x.data = nullptr; }, ErrorKind::InvalidProblem, "x.data"},
      {"null q", [&](auto& a) { a.q.data = nullptr; }, ErrorKind::InvalidProblem, "q.data"},
      {"null scale", [&](auto& a) { a.scale.data = nullptr; }, ErrorKind::InvalidProblem, "scale.data"},
      {"misaligned x", [&](auto& a) { a.x = memory.tensor(Element::F32, shape, 2); }, ErrorKind::MisalignedOperand,
       "x.data"},
      {"misaligned scale", [&](auto& a) { a.scale = memory.vector(Element::F32, 4, 513); },
       ErrorKind::MisalignedOperand, "scale.data"},
      {"x past its buffer", [&](auto& a) { a.x.buffer.end = a.x.buffer.begin + 95; }, ErrorKind::BufferTooSmall, "x"},
      {"q past its buffer", [&](auto& a) { a.q.buffer.end = a.q.buffer.begin + 256 + 23; }, ErrorKind::BufferTooSmall,
       "q"},
      {"scale past its buffer", [&](auto& a) { a.scale.buffer.end = a.scale.buffer.begin + 512; },
       ErrorKind::BufferTooSmall, "scale"},
      {"q onto itself",
       [&](auto& a) {
         a.q = memory.tensor(Element::I8, shape, Dims{5, 1}, 256);
       },
       ErrorKind::InvalidProblem, "overlap itself"},
      {"q in x", [&](auto& a) { a.q = memory.tensor(Element::I8, shape, 95); }, ErrorKind::InvalidProblem, "overlap"},
      {"scale in x", [&](auto& a) { a.scale = memory.vector(Element::F32, 4, 92); }, ErrorKind::InvalidProblem,
       "overlap"},
      {"scale in q", [&](auto& a) { a.scale = memory.vector(Element::F32, 4, 276); }, ErrorKind::InvalidProblem,
       "overlap"},
      {"zero_point in x", [&](auto& a) { a.zero_point = memory.vector(Element::I32, 4, 0); }, ErrorKind::InvalidProblem,
       "overlap"},
      {"zero_point in q", [&](auto& a) { a.zero_point = memory.vector(Element::I32, 4, 264); },
       ErrorKind::InvalidProblem, "overlap"},
      {"zero_point in scale", [&](auto& a) { a.zero_point = memory.vector(Element::I32, 4, 512); },
       ErrorKind::InvalidProblem, "overlap"},
  };
  const auto plan = Plan::select(stream, {.shape = shape, .symmetric = false}, GetParam().preference);
  ASSERT_TRUE(plan) << plan.error().message;
  const DynamicRangeQuantizeArgs sound{.x = memory.tensor(Element::F32, shape),
                                       .q = memory.tensor(Element::I8, shape, 256),
                                       .scale = memory.vector(Element::F32, 4, 512),
                                       .zero_point = memory.vector(Element::I32, 4, 600)};
  EXPECT_TRUE(plan->can_implement(sound));
  for (const ArgsRule& rule : rules) {
    DynamicRangeQuantizeArgs args = sound;
    rule.spoil(args);
    for (const Result<void>& refused : {plan->can_implement(args), plan->run(stream, Workspace::none(), args)}) {
      ASSERT_FALSE(refused) << rule.name;
      EXPECT_EQ(refused.error().kind, rule.kind) << rule.name << ": " << refused.error().message;
      EXPECT_NE(refused.error().message.find("DynamicRangeQuantizePlan"), std::string::npos);
      EXPECT_NE(refused.error().message.find(rule.field), std::string::npos)
          << rule.name << ": " << refused.error().message;
    }
  }
  ASSERT_TRUE(stream.synchronize());
  EXPECT_TRUE(memory.expect_unchanged());
  // Symmetric: no zero points are asked for.
  DynamicRangeQuantizeArgs without = sound;
  without.zero_point.reset();
  EXPECT_TRUE(Plan::select(stream, {.shape = shape}, GetParam().preference)->can_implement(without));
  EXPECT_EQ(plan->workspace_size(), 0);
}

TEST_P(DynamicRangeQuantizeCudaTest, StridesPickTheVariant) {
  const Stream stream = *make_stream(GetParam());
  const auto plan = *Plan::select(stream, {.element = Element::Bf16, .shape = {4, 32}});
  Random random(3);
  GuardedBuffer memory = *GuardedBuffer::create("memory", stream, 8192, random);
  const auto variant = [&](Dims x_strides, std::int64_t x_offset, Dims q_strides, std::int64_t q_offset) {
    return plan
        .sku({.x = memory.tensor(Element::Bf16, {4, 32}, x_strides, x_offset),
              .q = memory.tensor(Element::I8, {4, 32}, q_strides, 4096 + q_offset),
              .scale = memory.vector(Element::F32, 4, 8000)})
        ->variant;
  };
  EXPECT_EQ(variant({32, 1}, 0, {32, 1}, 0), "vectors");
  EXPECT_EQ(variant({40, 1}, 16, {40, 1}, 8), "vectors");
  EXPECT_EQ(variant({32, 1}, 2, {32, 1}, 0), "elements");
  EXPECT_EQ(variant({33, 1}, 0, {32, 1}, 0), "elements");
  EXPECT_EQ(variant({32, 1}, 0, {32, 1}, 4), "elements");
  EXPECT_EQ(variant({32, 1}, 0, {36, 1}, 0), "elements");
  EXPECT_EQ(variant({1, 4}, 0, {32, 1}, 0), "elements");
}

// ---- claims ---------------------------------------------------------------------------------------------------------

/// The same bits however many rows there are beside, run after run.
TEST_P(DynamicRangeQuantizeTest, BatchInvariantAndBitStable) {
  const Stream stream = GetParam().device.is_cpu() ? Stream::cpu(3) : *make_stream(GetParam().device);
  constexpr std::int64_t kRows = 130, kLength = 1100;  // a single row and all have other numbers of threads
  Random random(2);
  GuardedBuffer x = *GuardedBuffer::create("x", stream, kRows * kLength * 4, random);
  for (std::int64_t i = 0; i < kRows; ++i) {
    const std::vector<double> row = random_row(Element::F32, kLength, true, random);
    for (std::int64_t p = 0; p < kLength; ++p)
      write_float(Element::F32, row[static_cast<std::size_t>(p)], x.image().data() + (i * kLength + p) * 4);
  }
  GuardedBuffer q = *GuardedBuffer::create("q", stream, kRows * kLength, random);
  GuardedBuffer scale = *GuardedBuffer::create("scale", stream, kRows * 4, random);
  ASSERT_TRUE(x.upload() && q.upload() && scale.upload());
  const auto run = [&](std::int64_t first, std::int64_t rows) {
    const auto plan = Plan::select(stream, {.shape = {rows, kLength}}, GetParam().preference);
    return plan && plan->run(stream, Workspace::none(),
                             {.x = x.tensor(Element::F32, {rows, kLength}, first * kLength * 4),
                              .q = q.tensor(Element::I8, {rows, kLength}, first * kLength),
                              .scale = scale.vector(Element::F32, rows, first * 4)});
  };
  ASSERT_TRUE(run(0, kRows) && q.download() && scale.download());
  const auto codes = std::vector<std::byte>(q.image().begin(), q.image().end());
  const auto scales = std::vector<std::byte>(scale.image().begin(), scale.image().end());
  const auto same = [&] {
    return q.download() && scale.download() && compare_bytes("q", q.image(), codes) &&
           compare_bytes("scale", scale.image(), scales);
  };
  for (std::int64_t i = 0; i < kRows; ++i) ASSERT_TRUE(run(i, 1));
  ASSERT_TRUE(same());
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(run(0, kRows) && (i % 50 != 0 || same()));
}

TEST_P(DynamicRangeQuantizeTest, RunDoesOnlyWhatItMust) {
  if (!kCanCountCalls) GTEST_SKIP() << "a sanitizer has taken the functions that are counted";
  const Stream stream = GetParam().device.is_cpu() ? Stream::cpu(2) : *make_stream(GetParam().device);
  constexpr std::int64_t kRows = 512, kLength = 2048;
  Random random(5);
  GuardedBuffer memory = *GuardedBuffer::create("memory", stream, kRows * kLength * 10, random);
  ASSERT_TRUE(memory.upload());
  for (const Dims& shape : {Dims{kRows, kLength}, Dims{1, kRows * kLength}}) {
    const auto plan = *Plan::select(stream, {.shape = shape}, GetParam().preference);
    for (bool reversed : {false, true}) {
      Dims strides = contiguous_strides(shape);
      if (reversed) strides[1] = 2, strides[0] *= 2;
      const DynamicRangeQuantizeArgs args{.x = memory.tensor(Element::F32, shape, strides),
                                          .q = memory.tensor(Element::I8, shape, kRows * kLength * 8),
                                          .scale = memory.vector(Element::F32, shape[0], kRows * kLength * 9)};
      CallCounter counter;
      const bool ran = plan.run(stream, Workspace::none(), args).has_value();
      EXPECT_EQ(counter.stop().total(), 0);
      EXPECT_TRUE(ran);
    }
  }
}

TEST_P(DynamicRangeQuantizeTest, ManyThreadsSelectAndRun) {
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      Random random(static_cast<std::uint64_t>(t));
      for (int i = 0; i < 10; ++i)
        failures += !check_dynamic_range_quantize(random_dynamic_range_quantize_case(random), GetParam());
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
}

TEST_P(DynamicRangeQuantizeCudaTest, GraphReplaysQuantizeNewValues) {
  const Stream stream = *make_stream(GetParam());
  DynamicRangeQuantizeCase value = parse("shape=33x520 element=bf16 symmetric=false");
  DynamicRangeQuantizeBuffers buffers = *DynamicRangeQuantizeBuffers::create(value, stream);
  const auto plan = *Plan::select(stream, value.descriptor);
  const auto graph = CudaGraph::capture(stream, [&] { return plan.run(stream, Workspace::none(), buffers.args()); });
  ASSERT_TRUE(graph) << graph.error().message;
  for (std::uint64_t seed : {2, 3, 4}) {
    value.seed = seed;
    DynamicRangeQuantizeBuffers fresh = *DynamicRangeQuantizeBuffers::create(value, stream);
    std::ranges::copy(fresh.x.image(), buffers.x.image().begin());
    ASSERT_TRUE(buffers.x.upload());
    ASSERT_TRUE(graph->replay(stream));
    const Result<void> checked = buffers.check();
    EXPECT_TRUE(checked) << checked.error().message;
  }
}

/// More than 2^31 elements, and more than 2^31 rows, of which the last ones are looked at.
TEST_P(DynamicRangeQuantizeCudaTest, SizesPast2To31) {
  if (!options().full) GTEST_SKIP() << "needs 28 GB of device memory: with --full";
  const Stream stream = *make_stream(GetParam());
  for (const Dims& shape : {Dims{(std::int64_t{1} << 31) / 4096 + 3, 4096}, Dims{(std::int64_t{1} << 31) + 77, 1}}) {
    const std::int64_t elements = shape[0] * shape[1];
    auto x = Buffer::allocate(stream, elements * 2), q = Buffer::allocate(stream, elements),
         scale = Buffer::allocate(stream, shape[0] * 4);
    ASSERT_TRUE(x && q && scale);
    ASSERT_TRUE(x->fill(stream, 0) && q->fill(stream, 0x5a) && scale->fill(stream, 0x5a));
    const std::uint16_t last = 0x42fe;  // 127
    ASSERT_TRUE(x->copy_from_host(stream, &last, 2, elements * 2 - 2));
    const auto plan = Plan::select(stream, {.element = Element::Bf16, .shape = shape});
    ASSERT_TRUE(plan) << plan.error().message;
    const Result<void> ran =
        plan->run(stream, Workspace::none(),
                  {.x = x->tensor(Element::Bf16, shape),
                   .q = q->tensor(Element::I8, shape),
                   .scale = VectorMut{{scale->data(), Element::F32, shape[0], stream.device(), scale->range()}}});
    ASSERT_TRUE(ran) << ran.error().message;
    std::vector<std::int8_t> codes(4096);
    std::vector<float> scales(2);
    ASSERT_TRUE(q->copy_to_host(stream, codes.data(), 4096, elements - 4096) &&
                scale->copy_to_host(stream, scales.data(), 8, shape[0] * 4 - 8) && stream.synchronize());
    EXPECT_EQ(codes.back(), 127);
    EXPECT_EQ(std::count(codes.begin(), codes.end(), 0), 4095);
    EXPECT_EQ(scales, (std::vector<float>{1, 1}));
  }
}

/// The lists from which CI compiles and the GPU record is made hold every kernel that some descriptor asks for.
TEST(DynamicRangeQuantizeKernels, TheOpListsWhatPlansCompile) {
  if (!jit::nvrtc()) {
    ASSERT_FALSE(options().require_nvrtc);
    GTEST_SKIP() << "no NVRTC";
  }
  const DeviceInfo h200 = DeviceInfo::sm90a();
  std::set<std::string> listed, asked;
  for (const jit::KernelSpec& kernel : dynamic_range_quantize_op().kernels({}, h200)) listed.insert(kernel.name);
  for (Element element : {Element::F32, Element::F64, Element::F16, Element::Bf16})
    for (bool symmetric : {true, false})
      for (std::int64_t vectors : {1, 100, 200, 300, 600, 1100, 3000})
        for (std::int64_t more : {0, 1})
          for (std::int64_t rows : {3, 300}) {
            const std::int64_t length = vectors * 16 / element_bytes(element) + more;
            const auto kernels =
                plan_kernels({.element = element, .shape = {rows, length}, .symmetric = symmetric}, {}, h200);
            ASSERT_TRUE(kernels) << kernels.error().message;
            for (const jit::KernelSpec& kernel : *kernels) asked.insert(kernel.name);
          }
  EXPECT_EQ(asked, listed);
  const auto report = Plan::compile({.shape = {8}}, {}, h200);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->kernels.size(), 2);
  EXPECT_TRUE(Plan::compile({.shape = {8}}, {}, DeviceInfo::cpu())->kernels.empty());
}

}  // namespace
}  // namespace baracuda::testing

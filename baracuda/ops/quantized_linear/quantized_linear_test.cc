#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <set>
#include <thread>
#include <vector>

#include "baracuda/core/propagate.h"
#include "baracuda/jit/nvrtc.h"
#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize_case.h"
#include "baracuda/ops/quantized_linear/quantized_linear_case.h"
#include "baracuda/ops/quantized_linear/quantized_linear_kernels.h"
#include "baracuda/ops/quantized_linear/quantized_linear_oracle.h"
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

using Plan = QuantizedLinearPlan;
using Desc = QuantizedLinearDescriptor;

/// A failure of a case prints the command that repeats it.
::testing::AssertionResult passes(const QuantizedLinearCase& value, const TestTarget& target) {
  Result<void> checked = check_quantized_linear(value, target);
  if (checked) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << target.name << ": " << checked.error().to_string()
                                       << "\n  baracuda verify --device " << target.device.name() << " --case \""
                                       << to_string(value) << '"';
}

QuantizedLinearCase parse(const std::string& fields) {
  auto value = parse_case<QuantizedLinearCase>("quantized_linear", "quantized_linear hostile=true " + fields);
  EXPECT_TRUE(value) << value.error().message;
  return *value;
}

class QuantizedLinearTest : public ::testing::TestWithParam<TestTarget> {};
INSTANTIATE_TEST_SUITE_P(Targets, QuantizedLinearTest, ::testing::ValuesIn(test_targets()), NameOfParam());
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(QuantizedLinearTest);

class QuantizedLinearCudaTest : public ::testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, QuantizedLinearCudaTest, ::testing::ValuesIn(cuda_test_devices()), NameOfParam());
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(QuantizedLinearCudaTest);

// ---- against the oracle ---------------------------------------------------------------------------------------------

TEST_P(QuantizedLinearTest, RandomCases) {
  Random random(options().seed);
  for (int i = 0; i < (options().full ? 2000 : 600); ++i)
    ASSERT_TRUE(passes(random_quantized_linear_case(random), GetParam())) << "random case " << i;
}

/// The sanitizers run this suite too.
TEST_P(QuantizedLinearTest, CoveringSetSanitizer) {
  Random random(options().seed + 1);
  for (int i = 0; i < 80; ++i) ASSERT_TRUE(passes(random_quantized_linear_case(random), GetParam()));
}

TEST_P(QuantizedLinearTest, EdgeCases) {
  for (const char* fields : {
           "m=1 c_out=1 k=1",
           "m=0 c_out=5 k=7",
           "m=5 c_out=0 k=7",
           "m=5 c_out=7 k=0",
           "m=5 c_out=7 k=0 bias_element=f32 activation=gelu",
           "m=5 c_out=0 k=0",
           "m=0 c_out=0 k=0",
           "m=3 c_out=7 k=0 weight_element=u8 element=f64",
           // one row, few rows, and around each tile, in whole pieces of 16 bytes
           "m=1 c_out=300 k=512",
           "m=16 c_out=33 k=256",
           "m=17 c_out=65 k=144",
           "m=64 c_out=64 k=128",
           "m=65 c_out=63 k=1040",
           "m=128 c_out=256 k=64",
           "m=129 c_out=257 k=80",
           "m=300 c_out=520 k=48",
           "m=300 c_out=520 k=48 weight_element=u8 element=bf16 bias_element=bf16 activation=silu",
           // rows of y that the copy engine takes: around tiles and boxes
           "m=17 c_out=8 k=16 element=bf16",
           "m=64 c_out=256 k=128 element=f16",
           "m=127 c_out=248 k=496 element=bf16 weight_element=u8 bias_element=f32 activation=relu",
           "m=128 c_out=264 k=512 element=bf16 activation=gelu",
           "m=129 c_out=64 k=528 element=f16 output_element=f32 weight_element=u8 activation=silu",
           "m=145 c_out=68 k=1152 output_element=f32 bias_element=f32",
           "m=257 c_out=520 k=144 output_element=bf16 y_padding=8 x_padding=3 weight_padding=16",
           "m=40 c_out=72 k=640 element=f16 q_min=-128 q_max=1 activation=relu bias_element=f16",
           "m=20 c_out=72 k=64 element=f16 y_padding=1",
           "m=20 c_out=72 k=64 element=f16 y_misalignment=8",
           // k longer than the ring, and than the CPU's stretch
           "m=3 c_out=5 k=8208",
           "m=70 c_out=6 k=4112 weight_element=u8",
           // any address and any k
           "m=20 c_out=70 k=33",
           "m=20 c_out=70 k=15 weight_element=u8",
           "m=70 c_out=20 k=513 num_threads=4",
           "m=20 c_out=70 k=64 weight_misalignment=1",
           "m=20 c_out=70 k=64 act_q_misalignment=15",
           "m=20 c_out=70 k=64 weight_padding=3 y_padding=1 x_padding=5 y_misalignment=4",
           "m=20 c_out=71 k=64 element=f16 y_misalignment=2",
           "m=90 c_out=200 k=320 num_threads=4",
       })
    for (std::uint64_t seed : {1, 2, 3}) {
      QuantizedLinearCase value = parse(fields);
      value.seed = seed;
      EXPECT_TRUE(passes(value, GetParam()));
    }
}

/// The kinds of large tiles that a device has, each with the fewest rows and channels that make it take that kind: more
/// tiles than multiprocessors, the last of them in part. The cluster has a block without rows.
struct LargeTiles {
  std::string variant;
  std::int64_t m, c_out;
};
std::vector<LargeTiles> large_tiles_of(const TestTarget& target, const DeviceInfo& device) {
  const auto variant_of = [&](std::int64_t m, std::int64_t c_out) {
    return Plan::choose({.m = m, .c_out = c_out, .k = 80}, target.preference, device)->sku.variant;
  };
  const bool has_wgmma = variant_of(385, 256).starts_with("wgmma");
  std::vector<LargeTiles> kinds;
  for (const char* variant : {"wgmma128x256", "wgmma128x256_cluster2", "tile128x256"}) {
    if (std::string_view(variant).starts_with("wgmma") != has_wgmma) continue;
    LargeTiles tiles{variant, std::string_view(variant).ends_with("cluster2") ? 257 : 385,
                     256 * (device.num_multiprocessors / 4 + 3) - 240};
    while (variant_of(tiles.m, tiles.c_out) != variant && tiles.c_out < 100000) tiles.c_out += 256;
    kinds.push_back(tiles);
  }
  return kinds;
}

TEST_P(QuantizedLinearTest, LargeTilesSanitizer) {
  if (GetParam().device.is_cpu()) GTEST_SKIP() << "tiles of 128 × 256 are CUDA's";
  const Stream stream = *make_stream(GetParam().device);
  for (const LargeTiles& tiles : large_tiles_of(GetParam(), stream.device_info()))
    for (Element weight : {Element::I8, Element::U8})
      for (Element output : {Element::F32, Element::F16, Element::Bf16, Element::F64}) {
        if (output != Element::F32 && !(weight == Element::U8 && output == Element::Bf16) && !options().full) continue;
        if (output == Element::F64 && tiles.variant != "tile128x256") continue;
        QuantizedLinearCase value = parse("");
        Desc& d = value.descriptor;
        // The ring of steps along k turns within a tile, and does not; the oracle's time.
        const bool few_steps = output != Element::F32;
        d = {.m = tiles.m,
             .c_out = tiles.c_out,
             .k = few_steps                                                     ? 80
                  : tiles.variant == "wgmma128x256_cluster2" && !options().full ? 144
                                                                                : 560,
             .element = output == Element::F64 ? Element::F64 : Element::F32,
             .output_element = output,
             .weight_element = weight};
        ASSERT_EQ(Plan::choose(d, GetParam().preference, stream.device_info())->sku.variant, tiles.variant);
        EXPECT_TRUE(passes(value, GetParam()));
      }
}

/// What becomes of the sums of large tiles: each activation, both kinds of weights in turn, with and without a bias,
/// every kind of outputs, to rows with gaps between them.
TEST_P(QuantizedLinearTest, EpiloguesOfLargeTiles) {
  if (GetParam().device.is_cpu()) GTEST_SKIP() << "tiles of 128 × 256 are CUDA's";
  const Stream stream = *make_stream(GetParam().device);
  constexpr Element kOutputs[] = {Element::Bf16, Element::F32, Element::F16};
  int number = 0;
  for (const LargeTiles& tiles : large_tiles_of(GetParam(), stream.device_info()))
    for (Activation activation : kActivations) {
      QuantizedLinearCase value = parse("weight_padding=16 y_padding=8");
      Desc& d = value.descriptor;
      d = {.m = tiles.m, .c_out = tiles.c_out, .k = 16, .element = Element::F16};
      d.weight_element = (number + number / 4) % 2 == 0 ? Element::I8 : Element::U8;
      if ((number / 2 + number / 4) % 2 == 0) d.bias_element = Element::F32;
      d.output_element = kOutputs[number++ % 3];
      d.activation = activation;
      ASSERT_EQ(Plan::choose(d, GetParam().preference, stream.device_info())->sku.variant, tiles.variant);
      EXPECT_TRUE(passes(value, GetParam()));
    }
}

/// Channels that a GPU's multiprocessors share in every way: halves of k, several waves, both sizes of blocks. Each of
/// the six kernels has a case whose k goes round its ring of stages.
constexpr const char* kFewRows[] = {
    "m=1 c_out=64 k=144 element=bf16",
    "m=5 c_out=8192 k=400 element=bf16 weight_element=u8 bias_element=f32 activation=relu",
    "m=31 c_out=8184 k=1296 element=f16",
    "m=32 c_out=136 k=4112 output_element=bf16 weight_element=u8",
    "m=3 c_out=28672 k=1040 element=bf16 weight_element=u8 activation=silu",
    "m=2 c_out=70000 k=144 element=bf16",
    "m=33 c_out=4096 k=656 weight_element=u8 bias_element=f32",
    "m=64 c_out=264 k=2064 element=bf16 activation=gelu weight_padding=16 y_padding=8",
    "m=40 c_out=28672 k=784 element=f16 weight_element=u8",
    "m=65 c_out=4100 k=528 output_element=f32",
    "m=128 c_out=520 k=4112 element=bf16 weight_element=u8 bias_element=bf16",
    "m=129 c_out=2056 k=784 element=bf16",
    "m=250 c_out=8200 k=144 element=f16 weight_element=u8",
    "m=65 c_out=28672 k=656 element=bf16",
};

TEST_P(QuantizedLinearTest, FewRowsSanitizer) {
  if (GetParam().device.is_cpu()) GTEST_SKIP() << "blocks with as many channels as fill a GPU are CUDA's";
  for (const char* fields : kFewRows) EXPECT_TRUE(passes(parse(fields), GetParam()));
}

TEST(QuantizedLinearChoice, FewRowsTakeEachKernelForThem) {
  std::set<std::string_view> variants;
  for (const char* fields : kFewRows)
    variants.insert(Plan::choose(parse(fields).descriptor, {}, DeviceInfo::sm90a())->sku.variant);
  EXPECT_EQ(variants,
            (std::set<std::string_view>{"wgmma_swapped128x32", "wgmma_swapped256x32", "wgmma_swapped128x64",
                                        "wgmma_swapped256x64", "wgmma_swapped128x128", "wgmma_swapped256x128"}));
}

/// Every element, activation and bias.
TEST_P(QuantizedLinearTest, EveryElementActivationAndBias) {
  QuantizedLinearCase value;
  value.hostile = true;
  Random random(3);
  for (Element element : {Element::F32, Element::F16, Element::Bf16, Element::F64})
    for (Element output : {Element::F32, Element::F16, Element::Bf16, Element::F64})
      for (Element weight : {Element::I8, Element::U8})
        for (Activation activation : kActivations) {
          if ((element == Element::F64) != (output == Element::F64)) continue;
          Desc& d = value.descriptor;
          d = {.m = random.draw(1, 30), .c_out = random.draw(1, 40), .k = 16 * random.draw(1, 5), .element = element};
          d.output_element = output;
          d.weight_element = weight;
          d.activation = activation;
          if (random.one_in(2)) d.weight_scale_element = element;
          if (!random.one_in(3)) d.bias_element = random.one_in(2) ? element : Element::F32;
          value.seed = random.next() >> 40;
          ASSERT_TRUE(passes(value, GetParam()));
        }
}

/// Sums at the ends of s32: the greatest k that is served, all q and all weights at their extremes.
TEST_P(QuantizedLinearTest, SumsAtTheEndsOfS32) {
  const Stream stream = *make_stream(GetParam().device);
  struct Extreme {
    Element weight_element;
    std::int64_t k;
    int weight, zero_point;
    float x;
    std::int64_t sum;
  };
  for (const Extreme& e : {Extreme{Element::I8, 132104, 0x80, 0, -1, std::int64_t{132104} * 127 * 128},
                           Extreme{Element::I8, 132104, 0x80, 0, 1, std::int64_t{132104} * -127 * 128},
                           Extreme{Element::U8, 66311, 255, 0, 1, std::int64_t{66311} * 127 * 255},
                           Extreme{Element::U8, 66311, 255, 0, -1, std::int64_t{66311} * -127 * 255},
                           Extreme{Element::U8, 66311, 0, 255, 1, std::int64_t{66311} * -127 * 255}}) {
    constexpr std::int64_t kRows = 2, kChannels = 3;
    Random random(1);
    GuardedBuffer x = *GuardedBuffer::create("x", stream, kRows * e.k * 4, random);
    GuardedBuffer weight = *GuardedBuffer::create("weight", stream, kChannels * e.k, random);
    GuardedBuffer zero_point = *GuardedBuffer::create("zero_point", stream, kChannels, random);
    GuardedBuffer scale = *GuardedBuffer::create("scale", stream, kChannels * 4, random);
    GuardedBuffer y = *GuardedBuffer::create("y", stream, kRows * kChannels * 4, random);
    GuardedBuffer act_q = *GuardedBuffer::create("act_q", stream, kRows * e.k, random);
    GuardedBuffer act_scale = *GuardedBuffer::create("act_scale", stream, kRows * 4, random);
    for (std::int64_t i = 0; i < kRows * e.k; ++i) std::memcpy(x.image().data() + 4 * i, &e.x, 4);
    std::ranges::fill(weight.image(), static_cast<std::byte>(e.weight));
    std::ranges::fill(zero_point.image(), static_cast<std::byte>(e.zero_point));
    const float one = 1;
    for (int n = 0; n < kChannels; ++n) std::memcpy(scale.image().data() + 4 * n, &one, 4);
    for (GuardedBuffer* each : {&x, &weight, &zero_point, &scale, &y, &act_q, &act_scale}) ASSERT_TRUE(each->upload());
    const Desc d{.m = kRows, .c_out = kChannels, .k = e.k, .weight_element = e.weight_element};
    const auto plan = Plan::select(stream, d, GetParam().preference);
    ASSERT_TRUE(plan) << plan.error().message;
    QuantizedLinearArgs args{.x = x.tensor(Element::F32, {kRows, e.k}),
                             .weight = weight.tensor(e.weight_element, {kChannels, e.k}),
                             .weight_scale = scale.vector(Element::F32, kChannels),
                             .y = y.tensor(Element::F32, {kRows, kChannels}),
                             .act_q_scratch = act_q.tensor(Element::I8, {kRows, e.k}),
                             .act_scale_scratch = act_scale.vector(Element::F32, kRows)};
    if (e.weight_element == Element::U8) args.weight_zero_point = zero_point.vector(Element::U8, kChannels);
    const Result<void> ran = plan->run(stream, Workspace::none(), args);
    ASSERT_TRUE(ran) << ran.error().message;
    ASSERT_TRUE(y.download());
    const float expected = static_cast<float>(e.sum) * (1.0f / 127);
    for (int i = 0; i < kRows * kChannels; ++i) {
      float actual;
      std::memcpy(&actual, y.image().data() + 4 * i, 4);
      EXPECT_EQ(actual, expected) << "sum " << e.sum;
    }
  }
}

/// x that is quantized without loss, and small integers: the result is the product itself.
TEST_P(QuantizedLinearTest, SmallIntegersAreExact) {
  const Stream stream = *make_stream(GetParam().device);
  constexpr std::int64_t kRows = 33, kChannels = 70, kK = 96;
  Random random(1);
  std::vector<float> x(kRows * kK), scale(kChannels, 1), y(kRows * kChannels);
  std::vector<std::int8_t> weight(kChannels * kK);
  for (float& value : x) value = static_cast<float>(random.draw(-127, 127));
  for (std::int64_t i = 0; i < kRows; ++i) x[i * kK + i] = 127;  // scale 1
  for (std::int8_t& value : weight) value = static_cast<std::int8_t>(random.draw(-128, 127));
  const auto buffer = [&](const void* data, std::size_t bytes) {
    Buffer made = *Buffer::allocate(stream, static_cast<std::int64_t>(bytes));
    EXPECT_TRUE(!data || made.copy_from_host(stream, data, static_cast<std::int64_t>(bytes)));
    return made;
  };
  const Buffer dx = buffer(x.data(), x.size() * 4), dw = buffer(weight.data(), weight.size()),
               ds = buffer(scale.data(), scale.size() * 4), dy = buffer(nullptr, y.size() * 4),
               dq = buffer(nullptr, x.size()), da = buffer(nullptr, kRows * 4);
  const auto plan = *Plan::select(stream, {.m = kRows, .c_out = kChannels, .k = kK}, GetParam().preference);
  const Result<void> ran =
      plan.run(stream, Workspace::none(),
               {.x = dx.tensor(Element::F32, {kRows, kK}),
                .weight = dw.tensor(Element::I8, {kChannels, kK}),
                .weight_scale = VectorRef{{ds.data(), Element::F32, kChannels, stream.device(), ds.range()}},
                .y = dy.tensor(Element::F32, {kRows, kChannels}),
                .act_q_scratch = dq.tensor(Element::I8, {kRows, kK}),
                .act_scale_scratch = VectorMut{{da.data(), Element::F32, kRows, stream.device(), da.range()}}});
  ASSERT_TRUE(ran) << ran.error().message;
  ASSERT_TRUE(dy.copy_to_host(stream, y.data(), kRows * kChannels * 4) && stream.synchronize());
  for (std::int64_t i = 0; i < kRows; ++i)
    for (std::int64_t n = 0; n < kChannels; ++n) {
      std::int64_t sum = 0;
      for (std::int64_t p = 0; p < kK; ++p) sum += static_cast<std::int64_t>(x[i * kK + p]) * weight[n * kK + p];
      ASSERT_EQ(y[i * kChannels + n], static_cast<float>(sum)) << i << ", " << n;
    }
}

// ---- the rules ------------------------------------------------------------------------------------------------------

struct DescriptorRule {
  const char* name;
  Desc descriptor;
  ErrorKind kind;
  const char* field;
};

const std::vector<DescriptorRule>& descriptor_rules() {
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  static const auto with = [](const std::function<void(Desc&)>& change) {
    Desc d{.m = 4, .c_out = 4, .k = 16};
    change(d);
    return d;
  };
  static const std::vector<DescriptorRule> rules = {
      {"m", with([](Desc& d) { d.m = -1; }), ErrorKind::InvalidProblem, "m is -1"},
      {"c_out", with([](Desc& d) { d.c_out = -1; }), ErrorKind::InvalidProblem, "c_out is -1"},
      {"k", with([](Desc& d) { d.k = -1; }), ErrorKind::InvalidProblem, "k is -1"},
      {"2^63 bytes of x", with([](Desc& d) { d.m = kMax / 64; }), ErrorKind::InvalidProblem, "2^63"},
      {"2^63 bytes of y", with([](Desc& d) { d.m = d.c_out = std::int64_t{1} << 31, d.k = 0; }),
       ErrorKind::InvalidProblem, "2^63"},
      {"2^63 bytes of weights", with([](Desc& d) { d.m = 0, d.c_out = kMax / 64; }), ErrorKind::InvalidProblem, "2^63"},
      {"2^63 bytes of scales", with([](Desc& d) { d.m = kMax / 4, d.k = d.c_out = 0; }), ErrorKind::InvalidProblem,
       "2^63"},
      {"q_max 0", with([](Desc& d) { d.q_max = 0; }), ErrorKind::InvalidProblem, "q_max"},
      {"q_max 128", with([](Desc& d) { d.q_max = 128; }), ErrorKind::InvalidProblem, "q_max"},
      {"q_min -129", with([](Desc& d) { d.q_min = -129; }), ErrorKind::InvalidProblem, "q_min"},
      {"q_min over q_max", with([](Desc& d) { d.q_min = 9, d.q_max = 8; }), ErrorKind::InvalidProblem, "q_min"},
      {"x of integers", with([](Desc& d) { d.element = Element::I8; }), ErrorKind::Unsupported, "element is i8"},
      {"x of fp8", with([](Desc& d) { d.element = Element::F8E4M3; }), ErrorKind::Unsupported, "element is f8e4m3"},
      {"no element", with([](Desc& d) { d.element = static_cast<Element>(99); }), ErrorKind::Unsupported, "element"},
      {"y of integers", with([](Desc& d) { d.output_element = Element::I32; }), ErrorKind::Unsupported,
       "output_element"},
      {"y of f64", with([](Desc& d) { d.output_element = Element::F64; }), ErrorKind::Unsupported, "output_element"},
      {"f64 to f32", with([](Desc& d) { d.element = Element::F64, d.output_element = Element::F32; }),
       ErrorKind::Unsupported, "output_element"},
      {"weights of s4", with([](Desc& d) { d.weight_element = Element::S4; }), ErrorKind::Unsupported,
       "weight_element"},
      {"weights of i16", with([](Desc& d) { d.weight_element = Element::I16; }), ErrorKind::Unsupported,
       "weight_element"},
      {"scales of f16 with x of f32", with([](Desc& d) { d.weight_scale_element = Element::F16; }),
       ErrorKind::Unsupported, "weight_scale_element"},
      {"bias of i32", with([](Desc& d) { d.bias_element = Element::I32; }), ErrorKind::Unsupported, "bias_element"},
      {"bias of bf16 with x of f16", with([](Desc& d) { d.element = Element::F16, d.bias_element = Element::Bf16; }),
       ErrorKind::Unsupported, "bias_element"},
      {"activation", with([](Desc& d) { d.activation = static_cast<Activation>(9); }), ErrorKind::Unsupported,
       "activation"},
      {"k too long for s8", with([](Desc& d) { d.k = 132105; }), ErrorKind::Unsupported, "at most 132104"},
      {"k too long for s8 and -128", with([](Desc& d) { d.q_min = -128, d.k = 131072; }), ErrorKind::Unsupported,
       "at most 131071"},
      {"k too long for u8 and -128", with([](Desc& d) { d.weight_element = Element::U8, d.q_min = -128, d.k = 65794; }),
       ErrorKind::Unsupported, "at most 65793"},
      {"k too long for u8", with([](Desc& d) { d.weight_element = Element::U8, d.k = 66312; }), ErrorKind::Unsupported,
       "at most 66311"},
      {"k too long for a narrow range", with([](Desc& d) { d.q_min = -63, d.q_max = 64, d.k = 262145; }),
       ErrorKind::Unsupported, "at most 262144"},
  };
  return rules;
}

TEST(QuantizedLinearRules, Descriptors) {
  for (const DeviceInfo& device : {DeviceInfo::cpu(), DeviceInfo::sm80(), DeviceInfo::sm90a()})
    for (const DescriptorRule& rule : descriptor_rules()) {
      const auto choice = Plan::choose(rule.descriptor, {}, device);
      ASSERT_FALSE(choice) << rule.name;
      EXPECT_EQ(choice.error().kind, rule.kind) << rule.name << ": " << choice.error().message;
      EXPECT_NE(choice.error().message.find("QuantizedLinearPlan"), std::string::npos) << choice.error().message;
      EXPECT_NE(choice.error().message.find(rule.field), std::string::npos) << choice.error().message;
    }
}

TEST_P(QuantizedLinearTest, SelectGivesTheErrorsOfChoose) {
  const Stream stream = *make_stream(GetParam().device);
  for (const DescriptorRule& rule : descriptor_rules()) {
    const auto plan = Plan::select(stream, rule.descriptor, GetParam().preference);
    ASSERT_FALSE(plan) << rule.name;
    EXPECT_EQ(plan.error().kind, rule.kind) << rule.name;
  }
}

TEST(QuantizedLinearRules, LimitsThatAreServed) {
  for (const Desc& d : {Desc{.m = 4, .c_out = 4, .k = 132104}, Desc{.m = 4, .c_out = 4, .k = 131071, .q_min = -128},
                        Desc{.m = 4, .c_out = 4, .k = 66311, .weight_element = Element::U8},
                        Desc{.m = 4, .c_out = 4, .k = 262144, .q_min = -63, .q_max = 64},
                        Desc{.m = 4, .c_out = 4, .k = 64, .q_min = 5, .q_max = 5},
                        Desc{.m = std::int64_t{1} << 40, .c_out = 4096, .k = 4096}, Desc{}})
    for (const DeviceInfo& device : {DeviceInfo::cpu(), DeviceInfo::sm80(), DeviceInfo::sm89(), DeviceInfo::sm90a()})
      EXPECT_TRUE(Plan::choose(d, {}, device)) << Plan::choose(d, {}, device).error().message;
}

TEST(QuantizedLinearRules, Choices) {
  const DeviceInfo h200 = DeviceInfo::sm90a();
  const auto sku = [](const Desc& d, const DeviceInfo& device, const PlanPreference& preference = {}) {
    return Plan::choose(d, preference, device)->sku.to_string();
  };
  EXPECT_EQ(sku({.m = 4096,
                 .c_out = 8192,
                 .k = 8192,
                 .element = Element::Bf16,
                 .bias_element = Element::F32,
                 .activation = Activation::Gelu},
                h200),
            "quantized_linear/bf16:i8/rcr/bias_gelu:f32/wgmma128x256_cluster2/sm90a/bespoke");
  EXPECT_EQ(sku({.m = 4096, .c_out = 8192, .k = 8192}, h200, {.force_arch = Arch::Sm80}),
            "quantized_linear/f32:i8/rcr/-/tile128x256/sm80@sm90/bespoke");
  EXPECT_EQ(sku({.m = 64, .c_out = 8190, .k = 8192, .weight_element = Element::U8}, h200),
            "quantized_linear/f32:u8/rcr/-/tile64x64/sm90a/bespoke");
  EXPECT_EQ(sku({.m = 1,
                 .c_out = 8192,
                 .k = 8192,
                 .element = Element::F16,
                 .output_element = Element::F32,
                 .activation = Activation::Silu},
                h200, {.force_arch = Arch::Sm89}),
            "quantized_linear/f16:i8->f32/rcr/silu/tile16x32/sm89@sm90/bespoke");
  EXPECT_EQ(sku({.m = 1, .c_out = 8192, .k = 8190}, h200), "quantized_linear/f32:i8/rcr/-/unaligned/sm90a/bespoke");
  const auto variant = [&](const Desc& d, const PlanPreference& preference = {}) {
    return Plan::choose(d, preference, h200)->sku.variant;
  };
  // Few large tiles would leave most multiprocessors without work.
  constexpr PlanPreference kOld{.force_arch = Arch::Sm80};
  EXPECT_EQ(variant({.m = 128, .c_out = 4096, .k = 4096}, kOld), "tile64x64");
  EXPECT_EQ(variant({.m = 1024, .c_out = 8192, .k = 8192}, kOld), "tile128x256");
  // As few rows as leave nothing to do but to bring the weights: a multiprocessor's share of the channels, 128 of 8192
  // for one half of k, or 224 of 28672.
  EXPECT_EQ(variant({.m = 1, .c_out = 8192, .k = 8192}), "wgmma_swapped128x32");
  EXPECT_EQ(variant({.m = 64, .c_out = 4096, .k = 4096}), "wgmma_swapped128x64");
  EXPECT_EQ(variant({.m = 64, .c_out = 8192, .k = 8192}), "wgmma_swapped128x64");
  EXPECT_EQ(variant({.m = 64, .c_out = 28672, .k = 8192}), "wgmma_swapped256x64");
  EXPECT_EQ(variant({.m = 128, .c_out = 8192, .k = 8192}), "wgmma_swapped128x128");
  EXPECT_EQ(variant({.m = 256, .c_out = 8192, .k = 8192}), "wgmma_swapped256x128");
  EXPECT_EQ(variant({.m = 512, .c_out = 8192, .k = 8192}), "wgmma128x256");
  // Two and four waves of tiles.
  EXPECT_EQ(variant({.m = 1024, .c_out = 8192, .k = 8192}), "wgmma128x256");
  EXPECT_EQ(variant({.m = 4096, .c_out = 4096, .k = 4096}), "wgmma128x256_cluster2");
  // What wgmma does not serve.
  EXPECT_EQ(variant({.m = 4096, .c_out = 4096, .k = 4096, .element = Element::F64}), "tile128x256");
  EXPECT_EQ(variant({.m = 4096, .c_out = 4095, .k = 4096}), "tile128x256");
  EXPECT_EQ(variant({.m = 4096, .c_out = 4092, .k = 4096}), "wgmma128x256_cluster2");
  EXPECT_EQ(variant({.m = 4096, .c_out = 4092, .k = 4096, .output_element = Element::F16}), "tile128x256");
  EXPECT_EQ(variant({.m = 4096, .c_out = 4096, .k = 0}), "tile128x256");
  EXPECT_EQ(variant({.m = 4096, .c_out = 4096, .k = 4104}), "unaligned");
  EXPECT_EQ(variant({.m = std::int64_t{1} << 31, .c_out = 64, .k = 64}), "tile64x64");

  DeviceInfo cpu = DeviceInfo::cpu();
  for (const auto& [target, variant] : {std::pair(CpuTarget::Scalar, "simd"),
                                        {CpuTarget::Avx2, "simd"},
                                        {CpuTarget::Avx512, "simd"},
                                        {CpuTarget::Avx512Vnni, "avx512_vnni"}}) {
    cpu.target = CodeTarget::for_cpu(target);
    EXPECT_EQ(Plan::choose({.m = 4, .c_out = 4, .k = 64}, {}, cpu)->sku.variant, variant);
  }
  EXPECT_EQ(Plan::choose({.m = 4, .c_out = 4, .k = 64}, {.force_cpu_target = CpuTarget::Avx512}, cpu)->sku.to_string(),
            "quantized_linear/f32:i8/rcr/-/simd/cpu@avx512/bespoke");
  for (const Desc& d : {Desc{.m = 4096, .c_out = 8192, .k = 8192}, Desc{.m = 64, .c_out = 8192, .k = 8192},
                        Desc{.m = 1, .c_out = 8192, .k = 8192}, Desc{.m = 1, .c_out = 8192, .k = 8190}})
    EXPECT_TRUE(Plan::choose(d, {.autotune = true}, h200)) << "one candidate qualifies";
  for (Determinism level : {Determinism::RunToRun, Determinism::BatchInvariant, Determinism::MatchesCpu})
    EXPECT_TRUE(Plan::choose({.m = 4, .c_out = 4, .k = 64}, {.determinism = level}, h200));
  EXPECT_FALSE(Plan::choose({.m = 4, .c_out = 4, .k = 64}, {.force_backend = Backend::Cublas}, h200));
}

/// Engines change m at every step: within a bucket the kernels stay the same.
TEST(QuantizedLinearRules, PlansOfAnyMShareKernels) {
  if (!jit::nvrtc()) GTEST_SKIP() << "no NVRTC";
  const auto names = [](std::int64_t m) {
    std::vector<std::string> names;
    const auto report = Plan::compile({.m = m, .c_out = 8192, .k = 8192}, {}, DeviceInfo::sm90a());
    for (const KernelReport& kernel : report->kernels) names.push_back(kernel.name);
    return names;
  };
  EXPECT_EQ(names(1), names(16));
  EXPECT_EQ(names(33), names(64));
  EXPECT_EQ(names(500), names(1024));
  EXPECT_EQ(names(4096), names(100000));
}

TEST(QuantizedLinearRules, ExplainCountsOperandsAndOperations) {
  const DeviceInfo h200 = DeviceInfo::sm90a();
  const auto large = *Plan::explain({.m = 4096, .c_out = 8192, .k = 8192, .element = Element::Bf16}, {}, h200);
  EXPECT_EQ(large.ops, std::int64_t{2} * 4096 * 8192 * 8192);
  EXPECT_EQ(large.bytes, std::int64_t{4096} * 8192 * 5 + 4096 * 4 + std::int64_t{8192} * 8192 + 8192 * 4);
  EXPECT_DOUBLE_EQ(large.seconds, static_cast<double>(large.ops) / h200.int8_ops_per_second);
  const auto one = *Plan::explain(
      {.m = 1, .c_out = 8192, .k = 8192, .weight_element = Element::U8, .bias_element = Element::F32}, {}, h200);
  EXPECT_EQ(one.bytes, 8192 * 5 + 4 + 8192 * 8192 + 8192 * (4 + 1 + 4 + 4));
  EXPECT_DOUBLE_EQ(one.seconds, static_cast<double>(one.bytes) / h200.copy_bytes_per_second);
  EXPECT_EQ(Plan::explain({.m = std::int64_t{1} << 40, .c_out = 65536, .k = 65536}, {}, h200)->ops,
            std::numeric_limits<std::int64_t>::max());
}

TEST(QuantizedLinearRules, EveryFieldCounts) {
  expect_every_field_counts<Desc>({.m = 4, .c_out = 5, .k = 6},
                                  {{"m", [](Desc& d) { d.m = 7; }},
                                   {"c_out", [](Desc& d) { d.c_out = 8; }},
                                   {"k", [](Desc& d) { d.k = 9; }},
                                   {"element", [](Desc& d) { d.element = Element::F16; }},
                                   {"output_element", [](Desc& d) { d.output_element = Element::F32; }},
                                   {"weight_element", [](Desc& d) { d.weight_element = Element::U8; }},
                                   {"weight_scale_element", [](Desc& d) { d.weight_scale_element = Element::F64; }},
                                   {"bias_element", [](Desc& d) { d.bias_element = Element::F32; }},
                                   {"activation", [](Desc& d) { d.activation = Activation::Silu; }},
                                   {"q_min", [](Desc& d) { d.q_min = -128; }},
                                   {"q_max", [](Desc& d) { d.q_max = 100; }}});
}

/// A run that must be refused: `spoil` changes args that were sound.
struct ArgsRule {
  const char* name;
  std::function<void(QuantizedLinearArgs&)> spoil;
  ErrorKind kind;
  const char* field;
};

TEST_P(QuantizedLinearTest, Args) {
  const Stream stream = *make_stream(GetParam().device);
  Random random(3);
  GuardedBuffer memory = *GuardedBuffer::create("memory", stream, 4096, random);
  ASSERT_TRUE(memory.upload());
  const Device elsewhere = stream.device().is_cpu() ? Device::cuda() : Device::cpu();
  constexpr std::int64_t kM = 3, kChannels = 5, kK = 16;
  // Where each operand lies.
  constexpr std::int64_t kX = 0, kWeight = 512, kScale = 1024, kZero = 1280, kBias = 1536, kY = 2048, kQ = 2560,
                         kActScale = 3072;
  const auto matrix = [&](Element element, Dims shape, std::int64_t offset) {
    return memory.tensor(element, shape, offset);
  };
  const std::vector<ArgsRule> rules = {
      {"x elsewhere", [&](auto& a) { a.x.device = elsewhere; }, ErrorKind::InvalidProblem, "x is on"},
      {"weight elsewhere", [&](auto& a) { a.weight.device = elsewhere; }, ErrorKind::InvalidProblem, "weight is on"},
      {"weight_scale elsewhere", [&](auto& a) { a.weight_scale.device = elsewhere; }, ErrorKind::InvalidProblem,
       "weight_scale is on"},
      {"zero point elsewhere", [&](auto& a) { a.weight_zero_point->device = elsewhere; }, ErrorKind::InvalidProblem,
       "weight_zero_point is on"},
      {"bias elsewhere", [&](auto& a) { a.bias->device = elsewhere; }, ErrorKind::InvalidProblem, "bias is on"},
      {"y elsewhere", [&](auto& a) { a.y.device = elsewhere; }, ErrorKind::InvalidProblem, "y is on"},
      {"act_q elsewhere", [&](auto& a) { a.act_q_scratch.device = elsewhere; }, ErrorKind::InvalidProblem,
       "act_q_scratch is on"},
      {"act_scale elsewhere", [&](auto& a) { a.act_scale_scratch.device = elsewhere; }, ErrorKind::InvalidProblem,
       "act_scale_scratch is on"},
      {"x's element", [&](auto& a) { a.x.element = Element::F64; }, ErrorKind::Unsupported, "x.element"},
      {"weight's element", [&](auto& a) { a.weight.element = Element::I8; }, ErrorKind::Unsupported, "weight.element"},
      {"weight_scale's element", [&](auto& a) { a.weight_scale.element = Element::F16; }, ErrorKind::Unsupported,
       "weight_scale.element"},
      {"zero point's element", [&](auto& a) { a.weight_zero_point->element = Element::I8; }, ErrorKind::Unsupported,
       "weight_zero_point.element"},
      {"bias's element", [&](auto& a) { a.bias->element = Element::F16; }, ErrorKind::Unsupported, "bias.element"},
      {"y's element", [&](auto& a) { a.y.element = Element::F16; }, ErrorKind::Unsupported, "y.element"},
      {"act_q's element", [&](auto& a) { a.act_q_scratch.element = Element::U8; }, ErrorKind::Unsupported,
       "act_q_scratch.element"},
      {"act_scale's element", [&](auto& a) { a.act_scale_scratch.element = Element::F64; }, ErrorKind::Unsupported,
       "act_scale_scratch.element"},
      {"x's shape",
       [&](auto& a) {
         a.x = matrix(Element::F32, {kM, kK - 1}, kX);
       },
       ErrorKind::InvalidProblem, "x.shape"},
      {"weight's shape",
       [&](auto& a) {
         a.weight = matrix(Element::U8, {kK, kChannels}, kWeight);
       },
       ErrorKind::InvalidProblem, "weight.shape"},
      {"y's shape",
       [&](auto& a) {
         a.y = matrix(Element::F32, {kChannels, kM}, kY);
       },
       ErrorKind::InvalidProblem, "y.shape"},
      {"act_q's shape",
       [&](auto& a) {
         a.act_q_scratch = matrix(Element::I8, {kM + 1, kK}, kQ);
       },
       ErrorKind::InvalidProblem, "act_q_scratch.shape"},
      {"weight_scale's length", [&](auto& a) { a.weight_scale.length = kChannels + 1; }, ErrorKind::InvalidProblem,
       "weight_scale.length"},
      {"zero point's length", [&](auto& a) { a.weight_zero_point->length = kChannels - 1; }, ErrorKind::InvalidProblem,
       "weight_zero_point.length"},
      {"bias's length", [&](auto& a) { a.bias->length = kChannels - 1; }, ErrorKind::InvalidProblem, "bias.length"},
      {"act_scale too short", [&](auto& a) { a.act_scale_scratch.length = kM - 1; }, ErrorKind::BufferTooSmall,
       "act_scale_scratch.length"},
      {"no zero point", [&](auto& a) { a.weight_zero_point.reset(); }, ErrorKind::InvalidProblem, "weight_zero_point"},
      {"no bias", [&](auto& a) { a.bias.reset(); }, ErrorKind::InvalidProblem, "bias"},
      {"null x", [&](auto& a) { a.x.data = nullptr; }, ErrorKind::InvalidProblem, "x.data"},
      {"null weight", [&](auto& a) { a.weight.data = nullptr; }, ErrorKind::InvalidProblem, "weight.data"},
      {"null y", [&](auto& a) { a.y.data = nullptr; }, ErrorKind::InvalidProblem, "y.data"},
      {"null act_q", [&](auto& a) { a.act_q_scratch.data = nullptr; }, ErrorKind::InvalidProblem, "act_q_scratch.data"},
      {"null act_scale", [&](auto& a) { a.act_scale_scratch.data = nullptr; }, ErrorKind::InvalidProblem,
       "act_scale_scratch.data"},
      {"misaligned x",
       [&](auto& a) {
         a.x = matrix(Element::F32, {kM, kK}, kX + 2);
       },
       ErrorKind::MisalignedOperand, "x.data"},
      {"misaligned y",
       [&](auto& a) {
         a.y = matrix(Element::F32, {kM, kChannels}, kY + 1);
       },
       ErrorKind::MisalignedOperand, "y.data"},
      {"misaligned bias", [&](auto& a) { a.bias = memory.vector(Element::F32, kChannels, kBias + 1); },
       ErrorKind::MisalignedOperand, "bias.data"},
      {"x past its buffer", [&](auto& a) { a.x.buffer.end = a.x.buffer.begin + 4 * kM * kK - 1; },
       ErrorKind::BufferTooSmall, "x"},
      {"weight past its buffer", [&](auto& a) { a.weight.buffer.end = a.weight.buffer.begin + kWeight; },
       ErrorKind::BufferTooSmall, "weight"},
      {"y past its buffer", [&](auto& a) { a.y.buffer.end = a.y.buffer.begin + kY; }, ErrorKind::BufferTooSmall, "y"},
      {"x with a step",
       [&](auto& a) {
         a.x.strides = {2 * kK, 2};
       },
       ErrorKind::Unsupported, "x.strides[1]"},
      {"x's rows overlap",
       [&](auto& a) {
         a.x.strides = {kK - 1, 1};
       },
       ErrorKind::Unsupported, "x.strides[0]"},
      {"weight transposed",
       [&](auto& a) {
         a.weight.strides = {1, kChannels};
       },
       ErrorKind::Unsupported, "weight.strides[1]"},
      {"weight broadcast",
       [&](auto& a) {
         a.weight.strides = {0, 1};
       },
       ErrorKind::Unsupported, "weight.strides[0]"},
      {"y transposed",
       [&](auto& a) {
         a.y.strides = {1, kM};
       },
       ErrorKind::Unsupported, "y.strides[1]"},
      {"y upside down",
       [&](auto& a) {
         a.y = memory.tensor(Element::F32, {kM, kChannels}, Dims{-kChannels, 1}, kY + 200);
       },
       ErrorKind::Unsupported, "y.strides[0]"},
      {"y's rows overlap",
       [&](auto& a) {
         a.y.strides = {kChannels - 1, 1};
       },
       ErrorKind::InvalidProblem, "overlap itself"},
      {"act_q with gaps",
       [&](auto& a) {
         a.act_q_scratch.strides = {kK + 1, 1};
       },
       ErrorKind::Unsupported, "act_q_scratch.strides"},
      {"y in x",
       [&](auto& a) {
         a.y = matrix(Element::F32, {kM, kChannels}, kX);
       },
       ErrorKind::InvalidProblem, "overlap"},
      {"y in weight",
       [&](auto& a) {
         a.y = matrix(Element::F32, {kM, kChannels}, kWeight + 4);
       },
       ErrorKind::InvalidProblem, "overlap"},
      {"y in weight_scale",
       [&](auto& a) {
         a.y = matrix(Element::F32, {kM, kChannels}, kScale + 4);
       },
       ErrorKind::InvalidProblem, "overlap"},
      {"y in bias",
       [&](auto& a) {
         a.y = matrix(Element::F32, {kM, kChannels}, kBias);
       },
       ErrorKind::InvalidProblem, "overlap"},
      {"y in act_q",
       [&](auto& a) {
         a.y = matrix(Element::F32, {kM, kChannels}, kQ);
       },
       ErrorKind::InvalidProblem, "overlap"},
      {"y in act_scale",
       [&](auto& a) {
         a.y = matrix(Element::F32, {kM, kChannels}, kActScale);
       },
       ErrorKind::InvalidProblem, "overlap"},
      {"act_q in x",
       [&](auto& a) {
         a.act_q_scratch = matrix(Element::I8, {kM, kK}, kX);
       },
       ErrorKind::InvalidProblem, "overlap"},
      {"act_q in zero point",
       [&](auto& a) {
         a.act_q_scratch = matrix(Element::I8, {kM, kK}, kZero - 8);
       },
       ErrorKind::InvalidProblem, "overlap"},
      {"act_scale in act_q", [&](auto& a) { a.act_scale_scratch = memory.vector(Element::F32, kM, kQ); },
       ErrorKind::InvalidProblem, "overlap"},
      {"act_scale in bias", [&](auto& a) { a.act_scale_scratch = memory.vector(Element::F32, kM, kBias); },
       ErrorKind::InvalidProblem, "overlap"},
  };
  const Desc d{.m = kM, .c_out = kChannels, .k = kK, .weight_element = Element::U8, .bias_element = Element::F32};
  const auto plan = Plan::select(stream, d, GetParam().preference);
  ASSERT_TRUE(plan) << plan.error().message;
  const QuantizedLinearArgs sound{.x = matrix(Element::F32, {kM, kK}, kX),
                                  .weight = matrix(Element::U8, {kChannels, kK}, kWeight),
                                  .weight_scale = memory.vector(Element::F32, kChannels, kScale),
                                  .weight_zero_point = memory.vector(Element::U8, kChannels, kZero),
                                  .bias = memory.vector(Element::F32, kChannels, kBias),
                                  .y = matrix(Element::F32, {kM, kChannels}, kY),
                                  .act_q_scratch = matrix(Element::I8, {kM, kK}, kQ),
                                  .act_scale_scratch = memory.vector(Element::F32, kM, kActScale)};
  EXPECT_TRUE(plan->can_implement(sound)) << plan->can_implement(sound).error().message;
  const auto refuses = [&](const Plan& by, const ArgsRule& rule, QuantizedLinearArgs args) {
    rule.spoil(args);
    for (const Result<void>& refused : {by.can_implement(args), by.run(stream, Workspace::none(), args)}) {
      ASSERT_FALSE(refused) << rule.name;
      EXPECT_EQ(refused.error().kind, rule.kind) << rule.name << ": " << refused.error().message;
      EXPECT_NE(refused.error().message.find("QuantizedLinearPlan: "), std::string::npos) << refused.error().message;
      EXPECT_NE(refused.error().message.find(rule.field), std::string::npos)
          << rule.name << ": " << refused.error().message;
    }
  };
  for (const ArgsRule& rule : rules) refuses(*plan, rule, sound);

  const auto plain = Plan::select(stream, {.m = kM, .c_out = kChannels, .k = kK}, GetParam().preference);
  QuantizedLinearArgs plain_args = sound;
  plain_args.weight = matrix(Element::I8, {kChannels, kK}, kWeight);
  plain_args.weight_zero_point.reset();
  plain_args.bias.reset();
  EXPECT_TRUE(plain->can_implement(plain_args));
  refuses(*plain, {"bias forbidden", [&](auto& a) { a.bias = sound.bias; }, ErrorKind::InvalidProblem, "bias is given"},
          plain_args);
  refuses(*plain,
          {"zero point forbidden", [&](auto& a) { a.weight_zero_point = sound.weight_zero_point; },
           ErrorKind::InvalidProblem, "weight_zero_point is given"},
          plain_args);
  ASSERT_TRUE(stream.synchronize());
  EXPECT_TRUE(memory.expect_unchanged());
  EXPECT_EQ(plan->workspace_size(), 0);
}

TEST_P(QuantizedLinearCudaTest, AddressesPickTheVariant) {
  const Stream stream = *make_stream(GetParam());
  const auto variant = [&](const char* fields) {
    const QuantizedLinearCase given = parse(std::string("m=20 c_out=40 k=64 ") + fields);
    const QuantizedLinearBuffers buffers = *QuantizedLinearBuffers::create(given, stream);
    return (*Plan::select(stream, given.descriptor)).sku(buffers.args())->variant;
  };
  const bool has_wgmma = stream.device_info().arch == Arch::Sm90a;
  const std::string_view aligned = has_wgmma ? "wgmma_swapped128x32" : "tile64x64";
  EXPECT_EQ(variant(""), aligned);
  EXPECT_EQ(variant("weight_padding=16 x_misalignment=4 y_padding=4 y_misalignment=16"), aligned);
  EXPECT_EQ(variant("y_misalignment=4"), "tile64x64");
  EXPECT_EQ(variant("y_padding=1"), "tile64x64");
  EXPECT_EQ(variant("weight_misalignment=8"), "unaligned");
  EXPECT_EQ(variant("weight_padding=8"), "unaligned");
  EXPECT_EQ(variant("act_q_misalignment=1 y_misalignment=4"), "unaligned");
}

// ---- claims ---------------------------------------------------------------------------------------------------------

/// A row's bits do not depend on how many rows there are, or on the kernel that their number picks; nor on the run.
TEST_P(QuantizedLinearTest, BatchInvariantAndBitStable) {
  const Stream stream = GetParam().device.is_cpu() ? Stream::cpu(3) : *make_stream(GetParam().device);
  std::vector<QuantizedLinearCase> cases = {
      parse("m=150 c_out=304 k=208 element=bf16 weight_element=u8 bias_element=f32 activation=gelu")};
  if (!GetParam().device.is_cpu()) {
    cases.push_back(cases[0]);
    Desc& large = cases[1].descriptor;
    const LargeTiles tiles = large_tiles_of(GetParam(), stream.device_info()).front();
    large.m = tiles.m, large.c_out = tiles.c_out;
    ASSERT_EQ(Plan::choose(large, GetParam().preference, stream.device_info())->sku.variant, tiles.variant);
  }
  for (const QuantizedLinearCase& value : cases) {
    QuantizedLinearBuffers buffers = *QuantizedLinearBuffers::create(value, stream);
    const Desc& whole = value.descriptor;
    const auto run = [&](std::int64_t first, std::int64_t rows) -> Result<void> {
      Desc d = whole;
      d.m = rows;
      const auto plan = Plan::select(stream, d, GetParam().preference);
      if (!plan) return plan.error();
      QuantizedLinearArgs args = buffers.args();
      args.x = buffers.x.tensor(d.element, {rows, d.k}, first * d.k * 2);
      args.y = buffers.y.tensor(d.element, {rows, d.c_out}, first * d.c_out * 2);
      args.act_q_scratch = buffers.act_q.tensor(Element::I8, {rows, d.k}, first * d.k);
      args.act_scale_scratch = buffers.act_scale.vector(Element::F32, rows, first * 4);
      return plan->run(stream, Workspace::none(), args);
    };
    ASSERT_TRUE(run(0, whole.m));
    ASSERT_TRUE(buffers.y.download());
    const std::vector<std::byte> expected(buffers.y.image().begin(), buffers.y.image().end());
    for (std::int64_t rows : {1, 7, 16, 40, 100, 257}) {
      std::ranges::fill(buffers.y.image(), std::byte{0xa5});
      ASSERT_TRUE(buffers.y.upload());
      for (std::int64_t first = 0; first < whole.m; first += rows)
        ASSERT_TRUE(run(first, std::min(rows, whole.m - first)));
      ASSERT_TRUE(buffers.y.download());
      EXPECT_TRUE(compare_bytes("y in parts", buffers.y.image(), expected));
    }
    for (int i = 0; i < 1000; ++i) {
      const bool looks = i % 100 == 0;
      if (looks) {
        std::ranges::fill(buffers.y.image(), std::byte{0xa5});
        ASSERT_TRUE(buffers.y.upload());
      }
      ASSERT_TRUE(run(0, looks || i % 40 == 0 ? whole.m : 8));
      if (!looks) continue;
      ASSERT_TRUE(buffers.y.download());
      ASSERT_TRUE(compare_bytes("y again", buffers.y.image(), expected));
    }
  }
}

/// Runs that overlap see all that the one ahead wrote, and overwrite nothing that it still reads: y of a run is the
/// next one's x, its bias and its weights, and all have the same scratch.
TEST_P(QuantizedLinearCudaTest, RunsThatOverlapAreOrdered) {
  const Stream stream = *make_stream(GetParam());
  struct Size {
    std::int64_t m, c_out;
  };
  Random random(options().seed);
  for (const auto& [m, c_out] :
       {Size{20, 2048}, Size{64, 8192}, Size{128, 4096}, Size{512, 4096}, Size{1024, 8192}, Size{2048, 8192}}) {
    const std::int64_t k = 4 * m;  // y has as many bytes as the weights
    constexpr int kRuns = 12;
    const auto plan = Plan::select(stream, {.m = m, .c_out = c_out, .k = k, .bias_element = Element::F32});
    ASSERT_TRUE(plan) << plan.error().message;
    GuardedBuffer scales = *GuardedBuffer::create("scales", stream, kRuns * c_out * 4, random);
    for (std::int64_t i = 0; i < kRuns * c_out; ++i) {
      const float scale = static_cast<float>(random.draw(-1000, 1000)) / (16e3f * std::sqrt(static_cast<float>(k)));
      std::memcpy(scales.image().data() + 4 * i, &scale, 4);
    }
    GuardedBuffer first = *GuardedBuffer::create("y", stream, m * c_out * 4, random);
    GuardedBuffer second = *GuardedBuffer::create("y", stream, m * c_out * 4, random);
    for (std::int64_t i = 0; i < m * c_out; ++i) {
      const auto value = static_cast<float>(random.draw(-1000, 1000));
      std::memcpy(first.image().data() + 4 * i, &value, 4);
    }
    const std::vector<std::byte> start(first.image().begin(), first.image().end());
    const GuardedBuffer act_q = *GuardedBuffer::create("act_q_scratch", stream, m * k, random);
    const GuardedBuffer act_scale = *GuardedBuffer::create("act_scale_scratch", stream, m * 4, random);
    ASSERT_TRUE(scales.upload());
    const auto run = [&](int i) {
      const GuardedBuffer& from = i % 2 == 0 ? first : second;
      const GuardedBuffer& to = i % 2 == 0 ? second : first;
      return plan->run(stream, Workspace::none(),
                       {.x = from.tensor(Element::F32, {m, k}, {c_out, 1}),
                        .weight = from.tensor(Element::I8, {c_out, k}),
                        .weight_scale = scales.vector(Element::F32, c_out, i * c_out * 4),
                        .bias = from.vector(Element::F32, c_out),
                        .y = to.tensor(Element::F32, {m, c_out}),
                        .act_q_scratch = act_q.tensor(Element::I8, {m, k}),
                        .act_scale_scratch = act_scale.vector(Element::F32, m)});
    };
    const auto result_of = [&](const std::function<Result<void>()>& run_all) {
      std::ranges::copy(start, first.image().begin());
      EXPECT_TRUE(first.upload());
      const Result<void> done = run_all();
      EXPECT_TRUE(done) << done.error().message;
      EXPECT_TRUE(first.download());
      return std::vector<std::byte>(first.image().begin(), first.image().end());
    };
    const auto run_all = [&](bool wait) -> Result<void> {
      for (int i = 0; i < kRuns; ++i) {
        BARACUDA_RETURN_IF_ERROR(run(i));
        if (wait) BARACUDA_RETURN_IF_ERROR(stream.synchronize());
      }
      return {};
    };
    const auto expected = result_of([&] { return run_all(true); });
    const auto graph = CudaGraph::capture(stream, [&] { return run_all(false); });
    ASSERT_TRUE(graph) << graph.error().message;
    for (int repeat = 0; repeat < 10; ++repeat) {
      const auto eager = result_of([&] { return run_all(false); });
      ASSERT_TRUE(compare_bytes("y of runs without a wait", eager, expected)) << m << " rows";
      const auto replayed = result_of([&] { return graph->replay(stream); });
      ASSERT_TRUE(compare_bytes("y of a graph", replayed, expected)) << m << " rows";
    }
  }
}

TEST_P(QuantizedLinearTest, RunDoesOnlyWhatItMust) {
  if (!kCanCountCalls) GTEST_SKIP() << "a sanitizer has taken the functions that are counted";
  const Stream stream = GetParam().device.is_cpu() ? Stream::cpu(2) : *make_stream(GetParam().device);
  for (const char* fields : {"m=100 c_out=300 k=4096 bias_element=f32 activation=silu", "m=1 c_out=600 k=4096",
                             "m=100 c_out=300 k=4099 element=f64", "m=9 c_out=0 k=64", "m=0 c_out=9 k=64"}) {
    const QuantizedLinearCase value = parse(fields);
    const auto plan = *Plan::select(stream, value.descriptor, GetParam().preference);
    const QuantizedLinearBuffers buffers = *QuantizedLinearBuffers::create(value, stream);
    const QuantizedLinearArgs args = buffers.args();
    CallCounter counter;
    const bool ran = plan.run(stream, Workspace::none(), args).has_value();
    EXPECT_EQ(counter.stop().total(), 0);
    EXPECT_TRUE(ran);
  }
}

TEST_P(QuantizedLinearTest, ManyThreadsSelectAndRun) {
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      Random random(static_cast<std::uint64_t>(t) + 100);
      for (int i = 0; i < 5; ++i) failures += !check_quantized_linear(random_quantized_linear_case(random), GetParam());
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
}

TEST_P(QuantizedLinearCudaTest, GraphReplaysOnNewValues) {
  const Stream stream = *make_stream(GetParam());
  for (const char* fields :
       {"m=130 c_out=272 k=160 element=bf16 bias_element=bf16 activation=relu", "m=130 c_out=270 k=1040 element=bf16",
        "m=3 c_out=270 k=160 weight_element=u8", "m=30 c_out=70 k=35"}) {
    QuantizedLinearCase value = parse(fields);
    QuantizedLinearBuffers buffers = *QuantizedLinearBuffers::create(value, stream);
    const auto plan = *Plan::select(stream, value.descriptor);
    const auto graph = CudaGraph::capture(stream, [&] { return plan.run(stream, Workspace::none(), buffers.args()); });
    ASSERT_TRUE(graph) << graph.error().message;
    for (std::uint64_t seed : {2, 3, 4}) {
      value.seed = seed;
      const QuantizedLinearBuffers fresh = *QuantizedLinearBuffers::create(value, stream);
      std::ranges::copy(fresh.x.image(), buffers.x.image().begin());
      ASSERT_TRUE(buffers.x.upload());
      ASSERT_TRUE(graph->replay(stream));
      const Result<void> checked = buffers.check();
      EXPECT_TRUE(checked) << fields << ": " << checked.error().message;
    }
  }
}

/// Rows, products and outputs past 2^31 elements, of which the last ones are looked at.
TEST_P(QuantizedLinearCudaTest, SizesPast2To31) {
  if (!options().full) GTEST_SKIP() << "needs 20 GB of device memory: with --full";
  const Stream stream = *make_stream(GetParam());
  struct Size {
    std::int64_t m, c_out, k;
  };
  for (const auto& [m, c_out, k] : {Size{(std::int64_t{1} << 31) / 4096 + 136, 16, 4096},
                                    Size{16, (std::int64_t{1} << 31) / 4096 + 136, 4096}, Size{70000, 32784, 16}}) {
    const auto buffer = [&](std::int64_t bytes, unsigned char value) {
      auto made = Buffer::allocate(stream, bytes);
      EXPECT_TRUE(made && made->fill(stream, value));
      return *std::move(made);
    };
    // x is 0x3c3c as bf16 throughout, so q is 127; weights are 1, the scales 2^-7 · (1 + 2^-7 …).
    const Buffer x = buffer(m * k * 2, 0x3c), weight = buffer(c_out * k, 1), scale = buffer(c_out * 4, 0x3c),
                 y = buffer(m * c_out * 2, 0), q = buffer(m * k, 0), act_scale = buffer(m * 4, 0);
    const auto plan = Plan::select(stream, {.m = m, .c_out = c_out, .k = k, .element = Element::Bf16});
    ASSERT_TRUE(plan) << plan.error().message;
    const auto vector = [&](const Buffer& of, std::int64_t length) {
      return VectorMut{{of.data(), Element::F32, length, stream.device(), of.range()}};
    };
    const Result<void> ran = plan->run(stream, Workspace::none(),
                                       {.x = x.tensor(Element::Bf16, {m, k}),
                                        .weight = weight.tensor(Element::I8, {c_out, k}),
                                        .weight_scale = vector(scale, c_out),
                                        .y = y.tensor(Element::Bf16, {m, c_out}),
                                        .act_q_scratch = q.tensor(Element::I8, {m, k}),
                                        .act_scale_scratch = vector(act_scale, m)});
    ASSERT_TRUE(ran) << ran.error().message;
    const std::uint32_t scale_bits = 0x3c3c3c3c;
    float weight_scale;
    std::memcpy(&weight_scale, &scale_bits, 4);
    const std::byte x_bytes[2] = {std::byte{0x3c}, std::byte{0x3c}};
    const double row_scale = round_float(Element::F32, read_float(Element::Bf16, x_bytes) / 127);
    const double v = scaled_sum_oracle(127 * k, k, row_scale, weight_scale, nullptr, Element::F32);
    std::byte expected[2];
    write_float(Element::Bf16, v, expected);
    std::vector<std::byte> last(static_cast<std::size_t>(2 * c_out));
    ASSERT_TRUE(y.copy_to_host(stream, last.data(), 2 * c_out, (m - 1) * c_out * 2) && stream.synchronize());
    for (std::size_t i = 0; i < last.size(); ++i) ASSERT_EQ(last[i], expected[i % 2]) << "byte " << i;
  }
}

/// The lists from which CI compiles and the GPU record is made hold every kernel that some descriptor asks for.
TEST(QuantizedLinearKernels, TheOpListsWhatPlansCompile) {
  if (!jit::nvrtc()) {
    ASSERT_FALSE(options().require_nvrtc);
    GTEST_SKIP() << "no NVRTC";
  }
  const DeviceInfo h200 = DeviceInfo::sm90a();
  std::set<std::string> listed, asked;
  for (const jit::KernelSpec& kernel : quantized_linear_op().kernels({}, h200)) listed.insert(kernel.name);
  for (Element element : {Element::F32, Element::F16, Element::Bf16, Element::F64})
    for (Element weight : {Element::I8, Element::U8})
      for (std::int64_t m : {0, 1, 20, 64, 128, 500, 8192})
        for (std::int64_t c_out : {8192, 8191, 28672})
          for (Activation activation : kActivations)
            for (std::int64_t k : {64, 65, 8192}) {
              const auto kernels = plan_kernels({.m = m,
                                                 .c_out = c_out,
                                                 .k = k,
                                                 .element = element,
                                                 .weight_element = weight,
                                                 .activation = activation},
                                                {}, h200);
              ASSERT_TRUE(kernels) << kernels.error().message;
              for (const jit::KernelSpec& kernel : *kernels)
                if (kernel.name.starts_with("quantized_linear")) asked.insert(kernel.name);
            }
  EXPECT_EQ(asked, listed);
  const auto report = Plan::compile({.m = 8, .c_out = 8, .k = 16}, {}, h200);
  ASSERT_TRUE(report) << report.error().message;
  // The quantizer's two, that by wgmma, those for rows of y and for all rows at any address.
  EXPECT_EQ(report->kernels.size(), 5);
  EXPECT_TRUE(Plan::compile({.m = 8, .c_out = 8, .k = 8}, {}, DeviceInfo::cpu())->kernels.empty());
}

/// What the layout of the ring promises: pieces do not collide, and eight neighbouring rows use all banks.
TEST(QuantizedLinearConfigs, EightRowsOfAPieceLieInAllBanks) {
  const auto check = [](auto tile_k) {
    constexpr int kTileK = tile_k;
    std::set<int> offsets;
    for (int row = 0; row < 64; ++row)
      for (int piece = 0; piece < kTileK / 16; ++piece) {
        const int offset = stage_offset<kTileK>(row, piece);
        EXPECT_TRUE(offset % 16 == 0 && offset >= 0 && offset < 64 * kTileK);
        EXPECT_TRUE(offsets.insert(offset).second);
      }
    for (int row = 0; row < 64; row += 8)
      for (int piece = 0; piece < kTileK / 16; ++piece) {
        std::set<int> banks;
        for (int i = 0; i < 8; ++i) banks.insert(stage_offset<kTileK>(row + i, piece) % 128);
        EXPECT_EQ(banks.size(), 8u);
      }
  };
  check(std::integral_constant<int, 64>());
  check(std::integral_constant<int, 128>());
  check(std::integral_constant<int, 256>());
}

/// Shared memory of the kernels for sm_90a: what the copy engine and wgmma touch lies where the swizzle starts anew,
/// and nothing overlaps.
TEST(QuantizedLinearConfigs, SharedMemoryOfSm90aIsAligned) {
  constexpr int kMost = 232448;
  for (int cluster : {1, 2}) {
    const QuantizedLinearWgmmaConfig config{Element::U8, Element::F32, cluster, false};
    EXPECT_EQ(config.q_bytes() % 1024, 0);
    EXPECT_EQ(config.stage_bytes() % 1024, 0);
    EXPECT_EQ(config.tile_n() / cluster * config.tile_k() % 1024, 0) << "a block's part of the weights";
    EXPECT_EQ(config.boxes_offset() % 1024, 0);
    EXPECT_EQ(config.box_bytes() % 1024, 0);
    EXPECT_GE(config.barriers_offset() - config.channels_offset(), int{sizeof(QuantizedLinearChannels)});
    EXPECT_EQ(config.barriers_offset() % 8, 0);
    EXPECT_LE(config.shared_bytes(), kMost);
  }
  for (int channels : {128, 256})
    for (int rows : {32, 64, 128}) {
      const QuantizedLinearSwappedConfig config{Element::U8, Element::F32, channels, rows};
      EXPECT_EQ(config.weight_chunk_bytes() % 1024, 0);
      EXPECT_EQ(config.q_chunk_bytes() % 1024, 0);
      EXPECT_GE(config.stages(), 3);
      EXPECT_LE(rows * config.sums_pitch() * 4, config.stages() * config.stage_bytes());
      EXPECT_EQ(config.sums_pitch() % 4, 0);
      EXPECT_EQ(config.rows_offset() % 16, 0);
      EXPECT_EQ(config.barriers_offset() % 8, 0);
      EXPECT_LE(config.shared_bytes(), kMost);
      // What a warp stores at a time: of 8 channels and 4 pairs of rows.
      std::set<int> banks;
      for (int lane_idx = 0; lane_idx < 32; ++lane_idx)
        banks.insert((lane_idx % 4 * 2 * config.sums_pitch() + lane_idx / 4) % 32);
      EXPECT_EQ(banks.size(), 32u);
    }
}

TEST(QuantizedLinearConfigs, TilesOfWgmmaCoverTheOutputs) {
  for (int cluster : {1, 2})
    for (const auto& [m, c_out, k] : {std::array<std::int64_t, 3>{1, 1, 1},
                                      {128, 256, 128},
                                      {129, 257, 129},
                                      {4096, 8192, 8192},
                                      {100000, 28672, 16}}) {
      const QuantizedLinearWgmmaConfig config{Element::I8, Element::Bf16, cluster, false};
      QuantizedLinearWgmmaParams params{};
      params.linear.m = m, params.linear.c_out = c_out, params.linear.k = k;
      params.set_tiles(config);
      const std::int64_t rows = 128 * cluster;
      EXPECT_TRUE(params.tiles_m * rows >= m && (params.tiles_m - 1) * rows < m);
      EXPECT_TRUE(params.tiles_n * 256 >= c_out && (params.tiles_n - 1) * 256 < c_out);
      EXPECT_TRUE(params.num_steps * 128 >= k && (params.num_steps - 1) * 128 < k);
      EXPECT_EQ(params.num_tiles, params.tiles_m * params.tiles_n);
    }
}

}  // namespace
}  // namespace baracuda::testing

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
#include "baracuda/ops/quantize/quantize_case.h"
#include "baracuda/ops/quantize/quantize_kernels.h"
#include "baracuda/ops/quantize/quantize_oracle.h"
#include "baracuda/plan/plan_cache.h"
#include "testing/call_counter.h"
#include "testing/compare.h"
#include "testing/cuda_graph.h"
#include "testing/fields.h"
#include "testing/options.h"

// The bodies are written once, for a plan's descriptor; the suites at the end run them for each of the four plans.

namespace baracuda::testing {
namespace {

using Granularity = QuantizationGranularity;

/// A failure of a case prints the command that repeats it.
template <class Descriptor>
::testing::AssertionResult passes(const QuantizationCase<Descriptor>& value, const TestTarget& target) {
  Result<void> checked = check_quantization(value, target);
  if (checked) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << target.name << ": " << checked.error().to_string()
                                       << "\n  baracuda verify --device " << target.device.name() << " --case \""
                                       << to_string(value) << '"';
}

// ---- what the plans call their views --------------------------------------------------------------------------------

TensorRef& input_of(QuantizeArgs& args) { return args.x; }
TensorRef& input_of(DequantizeArgs& args) { return args.q; }
TensorRef& input_of(FakeQuantizeArgs& args) { return args.x; }
TensorRef& input_of(FakeQuantizeBackwardArgs& args) { return args.x; }
TensorMut& output_of(QuantizeArgs& args) { return args.q; }
TensorMut& output_of(DequantizeArgs& args) { return args.x; }
TensorMut& output_of(FakeQuantizeArgs& args) { return args.y; }
TensorMut& output_of(FakeQuantizeBackwardArgs& args) { return args.dx; }

struct PlanNames {
  std::string plan, input, output;
};
PlanNames names(const QuantizeDescriptor&) { return {"QuantizePlan", "x", "q"}; }
PlanNames names(const DequantizeDescriptor&) { return {"DequantizePlan", "q", "x"}; }
PlanNames names(const FakeQuantizeDescriptor&) { return {"FakeQuantizePlan", "x", "y"}; }
PlanNames names(const FakeQuantizeBackwardDescriptor&) { return {"FakeQuantizeBackwardPlan", "x", "dx"}; }

template <class Descriptor>
constexpr bool kHasRange = requires(Descriptor descriptor) {
  descriptor.q_min;
};

// ---- against the oracle ---------------------------------------------------------------------------------------------

template <class Descriptor>
void random_cases(const TestTarget& target, int count, std::uint64_t seed) {
  Random random(seed);
  for (int i = 0; i < count; ++i)
    ASSERT_TRUE(passes(random_quantization_case<Descriptor>(random), target)) << "random case " << i;
}

template <class Descriptor>
void designed_cases(const TestTarget& target) {
  for (const auto& value : designed_quantization_cases<Descriptor>()) EXPECT_TRUE(passes(value, target));
}

/// Small numbers with known results: ties to even, clamps, NaN, infinities, zero points outside the range.
TEST(QuantizeOracle, KnownResults) {
  const auto q = [](double x, double scale, std::int64_t zero_point) {
    return oracle_quantize(x, scale, zero_point, -128, 127, false).q;
  };
  EXPECT_EQ(q(0.5, 1, 0), 0);
  EXPECT_EQ(q(1.5, 1, 0), 2);
  EXPECT_EQ(q(2.5, 1, 1), 3);
  EXPECT_EQ(q(-0.5, 1, 0), 0);
  EXPECT_EQ(q(-1.5, 1, 0), -2);
  EXPECT_EQ(q(-2.5, 1, -1), -3);
  EXPECT_EQ(q(127.5, 1, 0), 127);
  EXPECT_EQ(q(-1e30, 1e-30, 5), -128);
  EXPECT_EQ(q(INFINITY, 1, 5), 127);
  EXPECT_EQ(q(NAN, 1, 5), 5);
  EXPECT_EQ(q(NAN, 1, 300), 127);
  for (double scale : {0.0, -1.0, static_cast<double>(NAN), static_cast<double>(INFINITY)})
    EXPECT_EQ(q(100, scale, 5), 5);
  EXPECT_EQ(q(-2147483520.0, 1, 2147483647), 127);
  // In f32 the quotient is 0.5 exactly, and so a tie; it is a little less in f64.
  EXPECT_EQ(oracle_quantize(1.5f, 3.0000002384185791, 0, -8, 7, false).q, 0);
  EXPECT_EQ(oracle_dequantize(-3, 0.5, 4, false), -3.5);
  EXPECT_EQ(oracle_encode(kOracleF16, 65520), 0x7c00u);
  EXPECT_EQ(oracle_encode(kOracleF16, 65519), 0x7bffu);
  EXPECT_EQ(oracle_encode(kOracleF16, -0x1p-25), 0x8000u);
  EXPECT_EQ(oracle_encode(kOracleBf16, 0x1.01p0), 0x3f80u);
  EXPECT_EQ(oracle_encode(kOracleBf16, 0x1.03p0), 0x3f82u);
}

/// The same through a plan, without the oracle.
void known_results(const TestTarget& target) {
  const Stream stream = *make_stream(target.device);
  constexpr std::int64_t kCount = 16;
  const float x[kCount] = {0.5f,  1.5f, 2.5f, -0.5f, -1.5f, -2.5f,     126.5f,    127.5f,
                           1e38f, NAN,  -0.f, 3.49f, 3.51f, -INFINITY, 0x1p-149f, -128.5f};
  const std::int8_t expected[kCount] = {1, 3, 3, 1, -1, -1, 127, 127, 127, 1, 1, 4, 5, -128, 1, -127};
  Random random(1);
  GuardedBuffer input = *GuardedBuffer::create("x", stream, sizeof x, random);
  GuardedBuffer scale = *GuardedBuffer::create("scale", stream, 4, random);
  GuardedBuffer zero_point = *GuardedBuffer::create("zero_point", stream, 1, random);
  GuardedBuffer q = *GuardedBuffer::create("q", stream, kCount, random);
  const float one = 1;
  std::memcpy(input.image().data(), x, sizeof x);
  std::memcpy(scale.image().data(), &one, 4);
  zero_point.image()[0] = std::byte{1};
  ASSERT_TRUE(input.upload() && scale.upload() && zero_point.upload() && q.upload());
  const auto plan =
      QuantizePlan::select(stream, {.shape = {kCount}, .zero_point_element = Element::I8}, target.preference);
  ASSERT_TRUE(plan) << plan.error().message;
  const Result<void> ran = plan->run(stream, Workspace::none(),
                                     {.x = input.tensor(Element::F32, {kCount}),
                                      .scale = scale.vector(Element::F32, 1),
                                      .zero_point = zero_point.vector(Element::I8, 1),
                                      .q = q.tensor(Element::I8, {kCount})});
  ASSERT_TRUE(ran) << ran.error().message;
  ASSERT_TRUE(q.download());
  const Result<void> same = compare_bytes("q", q.image(), std::as_bytes(std::span(expected)));
  EXPECT_TRUE(same) << same.error().message;
}

/// f32 numbers within a few units in the last place of every tie and of every edge of the range, with scales of all
/// sizes: where a quotient that is not correctly rounded shows.
void ties_of_all_scales(const TestTarget& target) {
  const Stream stream = *make_stream(target.device);
  constexpr std::int64_t kRows = 2048, kCols = 256;
  Random random(options().seed);
  GuardedBuffer x = *GuardedBuffer::create("x", stream, kRows * kCols * 4, random);
  GuardedBuffer scale = *GuardedBuffer::create("scale", stream, kRows * 4, random);
  GuardedBuffer q = *GuardedBuffer::create("q", stream, kRows * kCols, random);
  std::vector<std::byte> expected(static_cast<std::size_t>(kRows * kCols));
  for (std::int64_t row = 0; row < kRows; ++row) {
    // All positive numbers, subnormal ones too; one in eight has a mantissa of ones.
    const auto pattern = static_cast<std::uint32_t>(random.draw(1, 0x7f7fffff)) | (row % 8 ? 0 : 0x7fffffu);
    const auto scale_value = std::bit_cast<float>(pattern);
    std::memcpy(scale.image().data() + 4 * row, &scale_value, 4);
    for (std::int64_t col = 0; col < kCols; ++col) {
      const float tie = static_cast<float>(random.draw(-130, 129)) + 0.5f;
      const auto bits = std::bit_cast<std::uint32_t>(tie * scale_value);
      const auto value = std::bit_cast<float>(bits + static_cast<std::uint32_t>(random.draw(-2, 2)));
      std::memcpy(x.image().data() + 4 * (row * kCols + col), &value, 4);
      expected[row * kCols + col] = static_cast<std::byte>(oracle_quantize(value, scale_value, 0, -128, 127, false).q);
    }
  }
  ASSERT_TRUE(x.upload() && scale.upload() && q.upload());
  const auto plan =
      QuantizePlan::select(stream, {.shape = {kRows, kCols}, .granularity = Granularity::PerToken}, target.preference);
  ASSERT_TRUE(plan) << plan.error().message;
  ASSERT_TRUE(plan->run(stream, Workspace::none(),
                        {.x = x.tensor(Element::F32, {kRows, kCols}),
                         .scale = scale.vector(Element::F32, kRows),
                         .q = q.tensor(Element::I8, {kRows, kCols})}));
  ASSERT_TRUE(q.download());
  const Result<void> same = compare_bytes("q", q.image(), expected);
  EXPECT_TRUE(same) << same.error().message;
}

/// Every f16 and every bf16 there is.
void every_16_bit_number(const TestTarget& target) {
  const Stream stream = *make_stream(target.device);
  constexpr std::int64_t kCount = 1 << 16;
  Random random(options().seed);
  for (Element element : {Element::F16, Element::Bf16})
    for (float scale_value : {1.0f, 0.1f, 0x1.fffffep-7f, 3.7e-4f}) {
      GuardedBuffer x = *GuardedBuffer::create("x", stream, 2 * kCount, random);
      GuardedBuffer scale = *GuardedBuffer::create("scale", stream, 4, random);
      GuardedBuffer q = *GuardedBuffer::create("q", stream, kCount, random);
      std::vector<std::byte> expected(kCount);
      std::memcpy(scale.image().data(), &scale_value, 4);
      for (std::int64_t i = 0; i < kCount; ++i) {
        const auto bits = static_cast<std::uint16_t>(i);
        std::memcpy(x.image().data() + 2 * i, &bits, 2);
        const double value = oracle_load(element, x.image().data() + 2 * i);
        expected[i] = static_cast<std::byte>(oracle_quantize(value, scale_value, 0, 0, 255, false).q);
      }
      ASSERT_TRUE(x.upload() && scale.upload() && q.upload());
      const auto plan = QuantizePlan::select(stream, {.element = element, .shape = {kCount}, .q_element = Element::U8},
                                             target.preference);
      ASSERT_TRUE(plan) << plan.error().message;
      ASSERT_TRUE(plan->run(stream, Workspace::none(),
                            {.x = x.tensor(element, {kCount}),
                             .scale = scale.vector(Element::F32, 1),
                             .q = q.tensor(Element::U8, {kCount})}));
      ASSERT_TRUE(q.download());
      const Result<void> same = compare_bytes("q", q.image(), expected);
      EXPECT_TRUE(same) << name_of(element) << " / " << scale_value << ": " << same.error().message;
    }
}

// ---- the rules ------------------------------------------------------------------------------------------------------

template <class Descriptor>
struct DescriptorRule {
  const char* name;
  std::function<void(Descriptor&)> spoil;
  ErrorKind kind;
  const char* field;
};

/// A descriptor that is sound and has every option: 4 × 64, groups of 16, zero points.
template <class Descriptor>
Descriptor sound_descriptor() {
  Descriptor descriptor;
  descriptor.shape = {4, 64};
  descriptor.granularity = Granularity::PerGroup;
  descriptor.group_size = 16;
  descriptor.zero_point_element = Element::I32;
  return descriptor;
}

template <class Descriptor>
std::vector<DescriptorRule<Descriptor>> descriptor_rules() {
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  constexpr ErrorKind kInvalid = ErrorKind::InvalidProblem, kUnsupported = ErrorKind::Unsupported;
  const auto per_tensor = [](auto& d, Dims shape) {
    d.granularity = Granularity::PerTensor;
    d.group_size = 0;
    d.shape = shape;
  };
  std::vector<DescriptorRule<Descriptor>> rules = {
      {"x of integers", [](auto& d) { d.element = Element::I32; }, kUnsupported, "element"},
      {"x of fp8", [](auto& d) { d.element = Element::F8E4M3; }, kUnsupported, "element"},
      {"no element at all", [](auto& d) { d.element = static_cast<Element>(200); }, kUnsupported, "element"},
      {"q of i16", [](auto& d) { d.q_element = Element::I16; }, kUnsupported, "q_element"},
      {"q of f32", [](auto& d) { d.q_element = Element::F32; }, kUnsupported, "q_element"},
      {"1-bit q", [](auto& d) { d.q_element = Element::B1; }, kUnsupported, "q_element"},
      {"zero points of i64", [](auto& d) { d.zero_point_element = Element::I64; }, kUnsupported, "zero_point_element"},
      {"packed zero points", [](auto& d) { d.zero_point_element = Element::U4; }, kUnsupported, "zero_point_element"},
      {"rank 0", [&](auto& d) { per_tensor(d, {}); }, kInvalid, "shape"},
      {"rank 9", [&](auto& d) { per_tensor(d, Dims::filled(9, 1)); }, kUnsupported, "shape"},
      {"negative extent",
       [&](auto& d) {
         per_tensor(d, {4, -4});
       },
       kInvalid, "shape[1]"},
      {"2^63 elements",
       [&](auto& d) {
         per_tensor(d, {kMax, 2});
       },
       kInvalid, "shape"},
      {"2^63 bytes", [&](auto& d) { per_tensor(d, {kMax / 2}); }, kInvalid, "shape"},
      {"2^63 rows of nothing",
       [](auto& d) {
         d.granularity = Granularity::PerToken;
         d.group_size = 0;
         d.shape = {kMax, 2, 0};
       },
       kInvalid, "shape"},
      {"no such granularity", [](auto& d) { d.granularity = static_cast<Granularity>(9); }, kInvalid, "granularity"},
      {"group that does not divide", [](auto& d) { d.group_size = 24; }, kInvalid, "group_size"},
      {"group longer than the axis", [](auto& d) { d.group_size = 128; }, kInvalid, "group_size"},
      {"group of 0", [](auto& d) { d.group_size = 0; }, kInvalid, "group_size"},
      {"negative group", [](auto& d) { d.group_size = -16; }, kInvalid, "group_size"},
      {"group without granularity", [](auto& d) { d.granularity = Granularity::PerToken; }, kInvalid, "group_size"},
      {"axis without granularity", [](auto& d) { d.axis = 1; }, kInvalid, "axis"},
      {"axis past the last",
       [](auto& d) {
         d.granularity = Granularity::PerChannel;
         d.group_size = 0;
         d.axis = 2;
       },
       kInvalid, "axis"},
      {"negative axis",
       [](auto& d) {
         d.granularity = Granularity::PerChannel;
         d.group_size = 0;
         d.axis = -1;
       },
       kInvalid, "axis"},
  };
  if constexpr (kHasRange<Descriptor>) {
    const auto range = [&](const char* name, Element q_element, std::optional<int> q_min, std::optional<int> q_max) {
      rules.push_back({name,
                       [=](auto& d) {
                         d.q_element = q_element;
                         d.q_min = q_min;
                         d.q_max = q_max;
                       },
                       kInvalid, "q_min"});
    };
    range("empty range", Element::I8, 5, 4);
    range("below i8", Element::I8, -129, {});
    range("above i8", Element::I8, {}, 128);
    range("below u8", Element::U8, -1, {});
    range("above u8", Element::U8, {}, 256);
    range("below s4", Element::S4, -9, {});
    range("above s4", Element::S4, {}, 8);
    range("below u4", Element::U4, -1, {});
    range("above u4", Element::U4, {}, 16);
    range("above its own end", Element::I8, 128, {});
  }
  return rules;
}

template <class Descriptor>
void descriptors_are_validated() {
  using Plan = QuantizationPlan<Descriptor>;
  for (const DeviceInfo& device : {DeviceInfo::cpu(), DeviceInfo::sm80(), DeviceInfo::sm90a()}) {
    EXPECT_TRUE(Plan::choose(sound_descriptor<Descriptor>(), {}, device));
    for (const auto& rule : descriptor_rules<Descriptor>()) {
      Descriptor descriptor = sound_descriptor<Descriptor>();
      rule.spoil(descriptor);
      const auto choice = Plan::choose(descriptor, {}, device);
      ASSERT_FALSE(choice) << rule.name;
      EXPECT_EQ(choice.error().kind, rule.kind) << rule.name;
      EXPECT_EQ(choice.error().message.find(names(descriptor).plan), 0u) << choice.error().message;
      EXPECT_NE(choice.error().message.find(rule.field), std::string::npos) << choice.error().message;
      const auto plan = Plan::select(Stream::cpu(), descriptor);
      ASSERT_FALSE(plan) << rule.name;
      EXPECT_EQ(plan.error().kind, rule.kind) << rule.name;
    }
  }
}

template <class Descriptor>
void every_field_counts() {
  std::map<std::string, std::function<void(Descriptor&)>> changes = {
      {"element", [](auto& d) { d.element = Element::F16; }},
      {"shape",
       [](auto& d) {
         d.shape = {64, 4};
       }},
      {"q_element", [](auto& d) { d.q_element = Element::U4; }},
      {"granularity", [](auto& d) { d.granularity = Granularity::PerToken; }},
      {"axis", [](auto& d) { d.axis = 1; }},
      {"group_size", [](auto& d) { d.group_size = 32; }},
      {"zero_point_element", [](auto& d) { d.zero_point_element = Element::U8; }},
  };
  if constexpr (kHasRange<Descriptor>) {
    changes["q_min"] = [](auto& d) { d.q_min = 0; };
    changes["q_max"] = [](auto& d) { d.q_max = 0; };
  }
  expect_every_field_counts(sound_descriptor<Descriptor>(), changes);
}

/// A run that must be refused: `spoil` changes args that were sound.
template <class Args>
struct ArgsRule {
  std::string name;
  std::function<void(Args&)> spoil;
  ErrorKind kind;
  std::string field;
};

template <class Descriptor>
void args_are_checked(const TestTarget& target) {
  using Plan = QuantizationPlan<Descriptor>;
  using Args = typename Plan::Args;
  constexpr ErrorKind kInvalid = ErrorKind::InvalidProblem, kUnsupported = ErrorKind::Unsupported;
  const Stream stream = *make_stream(target.device);
  QuantizationCase<Descriptor> value;
  value.descriptor = sound_descriptor<Descriptor>();
  // Room between the rows, so that strides can shrink and grow.
  value.input_strides = value.output_strides = {80, 1};
  auto buffers = QuantizationBuffers<Descriptor>::create(value, stream);
  ASSERT_TRUE(buffers) << buffers.error().message;
  const Plan plan = *Plan::select(stream, value.descriptor, target.preference);
  const Args sound = buffers->args();
  ASSERT_TRUE(plan.can_implement(sound)) << plan.can_implement(sound).error().message;

  const Device elsewhere = stream.device().is_cpu() ? Device::cuda() : Device::cpu();
  const PlanNames name = names(value.descriptor);
  constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
  std::vector<ArgsRule<Args>> rules = {
      {"scale elsewhere", [&](auto& a) { a.scale.device = elsewhere; }, kInvalid, "scale"},
      {"scale of f64", [](auto& a) { a.scale.element = Element::F64; }, kUnsupported, "scale.element"},
      {"too few scales", [](auto& a) { --a.scale.length; }, kInvalid, "scale.length"},
      {"too many scales", [](auto& a) { ++a.scale.length; }, kInvalid, "scale.length"},
      {"null scale", [](auto& a) { a.scale.data = nullptr; }, kInvalid, "scale.data"},
      {"misaligned scale", [](auto& a) { a.scale.data = static_cast<const char*>(a.scale.data) + 2; },
       ErrorKind::MisalignedOperand, "scale.data"},
      {"scale past its buffer", [](auto& a) { --a.scale.buffer.end; }, ErrorKind::BufferTooSmall, "scale"},
      {"zero_point missing", [](auto& a) { a.zero_point.reset(); }, kInvalid, "zero_point"},
      {"zero_point of i8", [](auto& a) { a.zero_point->element = Element::I8; }, kUnsupported, "zero_point.element"},
      {"too few zero points", [](auto& a) { --a.zero_point->length; }, kInvalid, "zero_point.length"},
      {"null zero_point", [](auto& a) { a.zero_point->data = nullptr; }, kInvalid, "zero_point.data"},
      {"zero_point elsewhere", [&](auto& a) { a.zero_point->device = elsewhere; }, kInvalid, "zero_point"},
      {"output onto itself",
       [](auto& a) {
         output_of(a).strides = {0, 1};
       },
       kInvalid, name.output},
      {"output rows that overlap",
       [](auto& a) {
         output_of(a).strides = {63, 1};
       },
       kInvalid, name.output},
      {"output over the input",
       [](auto& a) {
         output_of(a).data = const_cast<void*>(input_of(a).data);
         output_of(a).buffer = input_of(a).buffer;
         output_of(a).strides = {64, 1};
         // q and x differ in size: one of them must fit into the other's buffer.
         output_of(a).buffer.end += 4096;
       },
       kInvalid, "overlap"},
      {"output over the scales",
       [](auto& a) {
         output_of(a).data = const_cast<void*>(a.scale.data);
         output_of(a).buffer = {a.scale.data, 4096};
       },
       kInvalid, "overlap"},
      {"output over the zero points",
       [](auto& a) {
         output_of(a).data = const_cast<void*>(a.zero_point->data);
         output_of(a).buffer = {a.zero_point->data, 4096};
       },
       kInvalid, "overlap"},
  };
  const auto for_tensor = [&](const std::string& field, auto view_of) {
    const std::vector<ArgsRule<Args>> each = {
        {field + " elsewhere", [=](auto& a) { view_of(a).device = elsewhere; }, kInvalid, field},
        {field + " of i64", [=](auto& a) { view_of(a).element = Element::I64; }, kUnsupported, field + ".element"},
        {field + " of another shape",
         [=](auto& a) {
           view_of(a).shape = {4, 63};
         },
         kInvalid, field + ".shape"},
        {field + " of another rank", [=](auto& a) { view_of(a).shape = {256}; }, kInvalid, field + ".shape"},
        {field + " without strides", [=](auto& a) { view_of(a).strides = {1}; }, kInvalid, field + ".strides"},
        {field + " null", [=](auto& a) { view_of(a).data = nullptr; }, kInvalid, field + ".data"},
        {field + " past its buffer", [=](auto& a) { --view_of(a).buffer.end; }, ErrorKind::BufferTooSmall, field},
        {field + " before its buffer",
         [=](auto& a) {
           view_of(a).strides = {-80, 1};
         },
         kInvalid, field},
        {field + " with the least stride",
         [=](auto& a) {
           view_of(a).strides = {kLeast, 1};
         },
         kInvalid, field},
    };
    rules.insert(rules.end(), each.begin(), each.end());
  };
  for_tensor(
      name.input, [](Args & a) -> auto& { return input_of(a); });
  for_tensor(
      name.output, [](Args & a) -> auto& { return output_of(a); });
  if constexpr (requires(Args a) { a.dy; }) {
    for_tensor(
        "dy", [](Args & a) -> auto& { return a.dy; });
    rules.push_back({"output over dy",
                     [](auto& a) {
                       output_of(a).data = const_cast<void*>(a.dy.data);
                       output_of(a).buffer = {a.dy.data, 4096};
                     },
                     kInvalid, "overlap"});
  }

  for (const auto& rule : rules) {
    Args args = sound;
    rule.spoil(args);
    for (const Result<void>& refused : {plan.can_implement(args), plan.run(stream, Workspace::none(), args)}) {
      ASSERT_FALSE(refused) << rule.name;
      EXPECT_EQ(refused.error().kind, rule.kind) << rule.name << ": " << refused.error().message;
      EXPECT_EQ(refused.error().message.find(name.plan + ": "), 0u) << refused.error().message;
      EXPECT_NE(refused.error().message.find(rule.field), std::string::npos)
          << rule.name << ": " << refused.error().message;
    }
  }
  ASSERT_TRUE(stream.synchronize());
  const Result<void> untouched = buffers->expect_untouched();
  EXPECT_TRUE(untouched) << untouched.error().message;

  Descriptor symmetric = value.descriptor;
  symmetric.zero_point_element.reset();
  const auto without = Plan::select(stream, symmetric, target.preference)->can_implement(sound);
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().kind, kInvalid);
  EXPECT_NE(without.error().message.find("zero_point"), std::string::npos);
}

// ---- the choice -----------------------------------------------------------------------------------------------------

template <class Descriptor>
void the_choice() {
  using Plan = QuantizationPlan<Descriptor>;
  const auto variant = [](const char* fields) {
    const auto value = parse_case<Descriptor>(Plan::kName, std::string(Plan::kName) + " " + fields);
    EXPECT_TRUE(value) << value.error().message;
    EXPECT_TRUE(Plan::explain(*value, {}, DeviceInfo::sm90a()));
    const auto choice = Plan::choose(*value, {.autotune = true}, DeviceInfo::sm90a());  // one candidate qualifies
    EXPECT_TRUE(choice) << choice.error().message;
    EXPECT_EQ(choice->workspace_bytes, 0);
    EXPECT_TRUE(choice->sku.guarantee.matches_cpu);
    return std::string(choice->sku.variant);
  };
  EXPECT_EQ(variant("shape=1001x3"), "contiguous");
  EXPECT_EQ(variant("shape=7x0"), "contiguous");
  EXPECT_EQ(variant("shape=1099511627776x1099511627776x0x5 granularity=per_token"), "contiguous");
  EXPECT_EQ(variant("shape=5x1024 granularity=per_token"), "contiguous");
  EXPECT_EQ(variant("shape=5x1023 granularity=per_token"), "generic");
  EXPECT_EQ(variant("shape=1x1023 granularity=per_token"), "contiguous");
  EXPECT_EQ(variant("shape=5x1024 granularity=per_group group_size=128 element=f16"), "contiguous");
  EXPECT_EQ(variant("shape=5x1024 granularity=per_group group_size=4 element=f16"), "generic");
  EXPECT_EQ(variant("shape=5x1024 granularity=per_group group_size=4 element=f32"), "contiguous");
  EXPECT_EQ(variant("shape=5x16x1024 granularity=per_channel axis=1"), "contiguous");
  EXPECT_EQ(variant("shape=5x16x1024 granularity=per_channel axis=0"), "contiguous");
  EXPECT_EQ(variant("shape=5x16x1024 granularity=per_channel axis=2"), "columns");
  EXPECT_EQ(variant("shape=5x16x1023 granularity=per_channel axis=2"), "generic");
  EXPECT_EQ(variant("shape=4x1 granularity=per_token"), "columns");

  const auto cpu = Plan::choose(sound_descriptor<Descriptor>(), {}, DeviceInfo::cpu());
  EXPECT_EQ(cpu->sku.variant, "generic");
  const auto refused =
      Plan::choose(sound_descriptor<Descriptor>(), {.force_backend = Backend::Cudnn}, DeviceInfo::cpu());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::Unsupported);
}

TEST(QuantizeRules, TheSkuNamesBothElements) {
  const auto sku = [](auto descriptor) {
    return QuantizationPlan<decltype(descriptor)>::choose(descriptor, {}, DeviceInfo::sm90a())->sku.to_string();
  };
  EXPECT_EQ(sku(QuantizeDescriptor{.element = Element::F16, .shape = {64}, .q_element = Element::S4}),
            "quantize/f16->s4/-/-/contiguous/sm90a/bespoke");
  EXPECT_EQ(sku(DequantizeDescriptor{.element = Element::F16, .shape = {64}, .q_element = Element::S4}),
            "dequantize/s4->f16/-/-/contiguous/sm90a/bespoke");
  EXPECT_EQ(sku(FakeQuantizeDescriptor{.element = Element::F16, .shape = {64}}),
            "fake_quantize/f16/-/-/contiguous/sm90a/bespoke");
  EXPECT_EQ(sku(FakeQuantizeBackwardDescriptor{.element = Element::F16, .shape = {64}}),
            "fake_quantize_backward/f16/-/-/contiguous/sm90a/bespoke");
}

TEST(QuantizeRules, ExplainCountsBytes) {
  QuantizeDescriptor descriptor{.element = Element::F16,
                                .shape = {8, 1024},
                                .q_element = Element::S4,
                                .granularity = Granularity::PerToken,
                                .zero_point_element = Element::I8};
  EXPECT_EQ(QuantizePlan::explain(descriptor, {}, DeviceInfo::sm90a())->bytes, 8 * 1024 * 2 + 8 * 512 + 8 * 4 + 8);
  FakeQuantizeBackwardDescriptor backward{.shape = {1000}};
  EXPECT_EQ(FakeQuantizeBackwardPlan::explain(backward, {}, DeviceInfo::cpu())->bytes, 3 * 4000 + 4);
}

// ---- claims ---------------------------------------------------------------------------------------------------------

/// `run` allocates nothing, takes no lock, reads no environment and formats nothing of ours, the first time too.
template <class Descriptor>
void run_does_only_what_it_must(const TestTarget& target) {
  if (!kCanCountCalls) GTEST_SKIP() << "a sanitizer has taken the functions that are counted";
  const Stream stream = target.device.is_cpu() ? Stream::cpu(2) : *make_stream(target.device);
  for (const Dims& strides : {Dims{1024, 1}, Dims{1, 1024}, Dims{1025, 1}}) {
    QuantizationCase<Descriptor> value;
    value.descriptor.shape = {1024, 1024};
    value.descriptor.granularity = Granularity::PerChannel;
    value.descriptor.axis = 1;
    value.descriptor.zero_point_element = Element::I32;
    value.output_strides = strides;
    const auto buffers = QuantizationBuffers<Descriptor>::create(value, stream);
    ASSERT_TRUE(buffers) << buffers.error().message;
    const auto plan = *QuantizationPlan<Descriptor>::select(stream, value.descriptor, target.preference);
    const auto args = buffers->args();
    CallCounter counter;
    const bool ran = plan.run(stream, Workspace::none(), args).has_value();
    EXPECT_EQ(counter.stop().total(), 0);
    EXPECT_TRUE(ran);
    ASSERT_TRUE(stream.synchronize());
  }
}

/// Threads with streams of their own share plans; every run gives the same bits.
template <class Descriptor>
void many_threads_select_and_run(Device device) {
  std::atomic<int> failures = 0;
  PlanCache<QuantizationPlan<Descriptor>> cache;
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t)
    threads.emplace_back([&] {
      const Stream stream = *make_stream(device);
      for (int i = 0; i < 10; ++i) {
        QuantizationCase<Descriptor> value;
        value.descriptor = sound_descriptor<Descriptor>();
        value.descriptor.element = i % 2 ? Element::F32 : Element::F16;
        value.seed = static_cast<std::uint64_t>(i);
        const auto plan = cache.get(stream, value.descriptor);
        auto buffers = QuantizationBuffers<Descriptor>::create(value, stream);
        failures += !plan || !buffers || !plan->run(stream, Workspace::none(), buffers->args()) || !buffers->check();
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(cache.size(), 2u);
}

/// The lists from which CI compiles and the GPU record is made hold every kernel that some descriptor asks for.
template <class Descriptor>
void the_op_lists_what_plans_compile(const Op& op) {
  if (!jit::nvrtc()) {
    ASSERT_FALSE(options().require_nvrtc);
    GTEST_SKIP() << "no NVRTC";
  }
  using Plan = QuantizationPlan<Descriptor>;
  const DeviceInfo h200 = DeviceInfo::sm90a();
  std::set<std::string> listed, asked;
  for (const jit::KernelSpec& kernel : op.kernels({}, h200)) listed.insert(kernel.name);
  for (Element element : {Element::F32, Element::F64, Element::F16, Element::Bf16})
    for (Element q_element : {Element::I8, Element::U8, Element::S4, Element::U4})
      for (Granularity granularity : {Granularity::PerTensor, Granularity::PerToken})
        for (const Dims& shape : {Dims{64, 64}, Dims{1 << 16, 1 << 16}}) {
          Descriptor descriptor;
          descriptor.element = element;
          descriptor.q_element = q_element;
          descriptor.shape = shape;
          descriptor.granularity = granularity;
          const auto kernels = plan_kernels(descriptor, {}, h200);
          ASSERT_TRUE(kernels) << kernels.error().message;
          EXPECT_EQ(kernels->size(), granularity == Granularity::PerTensor ? 2 : 3);
          for (const jit::KernelSpec& kernel : *kernels) asked.insert(kernel.name);
        }
  EXPECT_EQ(asked, listed);
  const auto report = Plan::compile({.shape = {64}}, {}, h200);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->kernels.size(), 2);
  Descriptor empty;
  empty.shape = {64, 0};
  EXPECT_TRUE(Plan::compile(empty, {}, h200)->kernels.empty());
  empty.shape = {64};
  EXPECT_TRUE(Plan::compile(empty, {}, DeviceInfo::cpu())->kernels.empty());
}

template <class Descriptor>
void every_variant_is_captured(Device device) {
  const Stream stream = *make_stream(device);
  for (const char* fields : {"shape=64x64", "shape=64x64 granularity=per_channel axis=1",
                             "shape=64x63 granularity=per_channel axis=1 q_element=s4"}) {
    using Plan = QuantizationPlan<Descriptor>;
    const auto value = *parse_case<QuantizationCase<Descriptor>>(Plan::kName, std::string(Plan::kName) + " " + fields);
    const Plan plan = *Plan::select(stream, value.descriptor);
    auto buffers = QuantizationBuffers<Descriptor>::create(value, stream);
    ASSERT_TRUE(buffers) << buffers.error().message;
    const auto graph = CudaGraph::capture(stream, [&] { return plan.run(stream, Workspace::none(), buffers->args()); });
    ASSERT_TRUE(graph) << graph.error().message;
    ASSERT_TRUE(buffers->expect_untouched()) << "a capture runs nothing";
    ASSERT_TRUE(graph->replay(stream));
    ASSERT_TRUE(stream.synchronize());
    const Result<void> checked = buffers->check();
    EXPECT_TRUE(checked) << fields << ": " << checked.error().message;
  }
}

/// More elements than 32 bits count: x is f16 with a repeating pattern, q is u8 or s4. Quantized, dequantized and fake
/// quantized, and as a gradient that passes everywhere.
void more_than_2_to_31_elements(Device device, Dims shape, Element q_element, Granularity granularity, int axis,
                                Dims q_strides) {
  const Stream stream = *make_stream(device);
  const std::int64_t elements = shape[0] * shape[1], per_byte = is_packed_4bit(q_element) ? 2 : 1;
  const std::int64_t num_scales = granularity == Granularity::PerTensor ? 1 : shape[axis];
  const std::int64_t q_row_bytes = q_strides[0] / per_byte;
  auto x = Buffer::allocate(stream, elements * 2), y = Buffer::allocate(stream, elements * 2);
  auto q = Buffer::allocate(stream, shape[0] * q_row_bytes);
  auto scale = Buffer::allocate(stream, num_scales * 4);
  ASSERT_TRUE(x && y && q && scale) << "needs up to 14 GB of device memory";
  // Whole numbers, of which all that come out are exact in f16, and as many as a prime number until they repeat.
  constexpr std::int64_t kTile = 1048573;
  std::vector<std::uint16_t> tile(kTile), bits_of(1024);
  for (std::size_t i = 0; i < bits_of.size(); ++i)
    bits_of[i] = static_cast<std::uint16_t>(oracle_encode(kOracleF16, static_cast<double>(i)));
  std::vector<int> numbers(kTile);
  Random random(11);
  for (std::int64_t i = 0; i < kTile; ++i) {
    numbers[i] = static_cast<int>(random.draw(0, per_byte == 2 ? 7 : 250));
    tile[i] = bits_of[static_cast<std::size_t>(numbers[i])];
  }
  for (std::int64_t at = 0; at < elements; at += kTile)
    ASSERT_TRUE(x->copy_from_host(stream, tile.data(), 2 * std::min(kTile, elements - at), 2 * at));
  std::vector<float> scales(static_cast<std::size_t>(num_scales));
  for (std::size_t i = 0; i < scales.size(); ++i) scales[i] = static_cast<float>(1 << (i % 7 % 3));
  ASSERT_TRUE(scale->copy_from_host(stream, scales.data(), num_scales * 4, 0) && q->fill(stream, 0x5a));

  const auto describe = [&](auto descriptor) {
    descriptor.element = Element::F16;
    descriptor.shape = shape;
    descriptor.q_element = q_element;
    descriptor.granularity = granularity;
    if (granularity == Granularity::PerChannel) descriptor.axis = axis;
    return descriptor;
  };
  const auto quantize = QuantizePlan::select(stream, describe(QuantizeDescriptor{}));
  const auto dequantize = DequantizePlan::select(stream, describe(DequantizeDescriptor{}));
  const auto fake = FakeQuantizePlan::select(stream, describe(FakeQuantizeDescriptor{}));
  const auto backward = FakeQuantizeBackwardPlan::select(stream, describe(FakeQuantizeBackwardDescriptor{}));
  ASSERT_TRUE(quantize && dequantize && fake && backward);
  const VectorRef scale_view{{scale->data(), Element::F32, num_scales, stream.device(), scale->range()}};
  const TensorMut x_view = x->tensor(Element::F16, shape, contiguous_strides(shape));
  const TensorMut y_view = y->tensor(Element::F16, shape, contiguous_strides(shape));
  const TensorMut q_view = q->tensor(q_element, shape, q_strides);

  // Rows far enough apart to take little time: an index that is cut off goes wrong by gigabytes.
  const auto for_some_rows = [&](const Buffer& buffer, std::int64_t row_bytes, const auto& check) {
    std::vector<std::uint8_t> row(static_cast<std::size_t>(row_bytes));
    for (std::int64_t i = 0; i < shape[0]; i += i + 104 < shape[0] ? 101 : 1) {
      ASSERT_TRUE(buffer.copy_to_host(stream, row.data(), row_bytes, i * row_bytes) && stream.synchronize());
      for (std::int64_t j = 0; j < shape[1]; ++j) {
        const int by = static_cast<int>(scales[granularity == Granularity::PerTensor ? 0 : axis == 0 ? i : j]);
        const int number = numbers[(i * shape[1] + j) % kTile];
        // Halves and quarters: ties too.
        const int code = static_cast<int>(std::nearbyint(static_cast<float>(number) / static_cast<float>(by)));
        ASSERT_TRUE(check(row.data(), j, number, code, by)) << "row " << i << ", column " << j;
      }
    }
  };
  const auto is_f16 = [&](const std::uint8_t* row, std::int64_t j, int number) {
    return std::memcmp(row + 2 * j, &bits_of[static_cast<std::size_t>(number)], 2) == 0;
  };
  ASSERT_TRUE(quantize->run(stream, Workspace::none(), {.x = x_view, .scale = scale_view, .q = q_view}));
  for_some_rows(*q, q_row_bytes, [&](const std::uint8_t* row, std::int64_t j, int, int code, int) {
    const std::int64_t at = j * q_strides[1];
    return code == (per_byte == 2 ? (row[at / 2] >> (4 * (at % 2))) & 0xf : row[at]);
  });
  const auto is_dequantized = [&](const std::uint8_t* row, std::int64_t j, int, int code, int by) {
    return is_f16(row, j, code * by);
  };
  ASSERT_TRUE(y->fill(stream, 0x5a));
  ASSERT_TRUE(dequantize->run(stream, Workspace::none(), {.q = q_view, .scale = scale_view, .x = y_view}));
  for_some_rows(*y, 2 * shape[1], is_dequantized);
  ASSERT_TRUE(y->fill(stream, 0x5a));
  ASSERT_TRUE(fake->run(stream, Workspace::none(), {.x = x_view, .scale = scale_view, .y = y_view}));
  for_some_rows(*y, 2 * shape[1], is_dequantized);
  ASSERT_TRUE(y->fill(stream, 0x5a));
  ASSERT_TRUE(backward->run(stream, Workspace::none(), {.x = x_view, .dy = x_view, .scale = scale_view, .dx = y_view}));
  for_some_rows(*y, 2 * shape[1],
                [&](const std::uint8_t* row, std::int64_t j, int number, int, int) { return is_f16(row, j, number); });
}

// ---- the suites -----------------------------------------------------------------------------------------------------

#define BARACUDA_QUANTIZATION_SUITES(Name, op)                                                                        \
  class Name##Test : public ::testing::TestWithParam<TestTarget> {};                                                  \
  INSTANTIATE_TEST_SUITE_P(Targets, Name##Test, ::testing::ValuesIn(test_targets()), NameOfParam());                  \
  GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Name##Test);                                                          \
  class Name##DeviceTest : public ::testing::TestWithParam<Device> {};                                                \
  INSTANTIATE_TEST_SUITE_P(Devices, Name##DeviceTest, ::testing::ValuesIn(test_devices()), NameOfParam());            \
  GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Name##DeviceTest);                                                    \
  class Name##CudaTest : public ::testing::TestWithParam<Device> {};                                                  \
  INSTANTIATE_TEST_SUITE_P(Devices, Name##CudaTest, ::testing::ValuesIn(cuda_test_devices()), NameOfParam());         \
  GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Name##CudaTest);                                                      \
                                                                                                                      \
  TEST_P(Name##Test, RandomCases) {                                                                                   \
    random_cases<Name##Descriptor>(GetParam(), options().full ? 4000 : 1500, options().seed);                         \
  }                                                                                                                   \
  TEST_P(Name##Test, DesignedCases) { designed_cases<Name##Descriptor>(GetParam()); }                                 \
  TEST_P(Name##Test, CoveringSetSanitizer) { random_cases<Name##Descriptor>(GetParam(), 150, options().seed + 1); }   \
  TEST_P(Name##Test, Args) { args_are_checked<Name##Descriptor>(GetParam()); }                                        \
  TEST_P(Name##Test, RunDoesOnlyWhatItMust) { run_does_only_what_it_must<Name##Descriptor>(GetParam()); }             \
  TEST_P(Name##DeviceTest, SixteenThreadsSelectAndRun) { many_threads_select_and_run<Name##Descriptor>(GetParam()); } \
  TEST_P(Name##CudaTest, EveryVariantIsCapturedInAGraph) { every_variant_is_captured<Name##Descriptor>(GetParam()); } \
  TEST(Name##Rules, Descriptors) { descriptors_are_validated<Name##Descriptor>(); }                                   \
  TEST(Name##Rules, EveryFieldCounts) { every_field_counts<Name##Descriptor>(); }                                     \
  TEST(Name##Rules, TheChoice) { the_choice<Name##Descriptor>(); }                                                    \
  TEST(Name##Kernels, TheOpListsWhatPlansCompile) { the_op_lists_what_plans_compile<Name##Descriptor>(op()); }

BARACUDA_QUANTIZATION_SUITES(Quantize, quantize_op)
BARACUDA_QUANTIZATION_SUITES(Dequantize, dequantize_op)
BARACUDA_QUANTIZATION_SUITES(FakeQuantize, fake_quantize_op)
BARACUDA_QUANTIZATION_SUITES(FakeQuantizeBackward, fake_quantize_backward_op)

TEST_P(QuantizeTest, KnownResults) { known_results(GetParam()); }
TEST_P(QuantizeTest, TiesOfAllScales) { ties_of_all_scales(GetParam()); }
TEST_P(QuantizeTest, Every16BitNumber) { every_16_bit_number(GetParam()); }

/// Quantizing what was dequantized gives the integers again, and fake quantization is the two in a row.
TEST_P(QuantizeDeviceTest, QuantizeInvertsDequantizeAndFakeQuantizeIsBoth) {
  const Stream stream = *make_stream(GetParam());
  Random random(options().seed);
  constexpr std::int64_t kCount = 4096;
  for (Element q_element : {Element::I8, Element::U8, Element::S4, Element::U4}) {
    const std::int64_t q_bytes = is_packed_4bit(q_element) ? kCount / 2 : kCount;
    GuardedBuffer q = *GuardedBuffer::create("q", stream, q_bytes, random);
    GuardedBuffer again = *GuardedBuffer::create("q again", stream, q_bytes, random);
    GuardedBuffer x = *GuardedBuffer::create("x", stream, kCount * 4, random);
    GuardedBuffer y = *GuardedBuffer::create("y", stream, kCount * 4, random);
    GuardedBuffer scale = *GuardedBuffer::create("scale", stream, 4, random);
    GuardedBuffer zero_point = *GuardedBuffer::create("zero_point", stream, 4, random);
    const float scale_value = 0.0123f;
    const std::int32_t zero_point_value = 3;
    std::memcpy(scale.image().data(), &scale_value, 4);
    std::memcpy(zero_point.image().data(), &zero_point_value, 4);
    ASSERT_TRUE(q.upload() && again.upload() && x.upload() && y.upload() && scale.upload() && zero_point.upload());
    const Dims shape = {kCount};
    const VectorRef scales = scale.vector(Element::F32, 1), zero_points = zero_point.vector(Element::I32, 1);
    const auto dequantize =
        DequantizePlan::select(stream, {.shape = shape, .q_element = q_element, .zero_point_element = Element::I32});
    const auto quantize =
        QuantizePlan::select(stream, {.shape = shape, .q_element = q_element, .zero_point_element = Element::I32});
    const auto fake =
        FakeQuantizePlan::select(stream, {.shape = shape, .q_element = q_element, .zero_point_element = Element::I32});
    ASSERT_TRUE(dequantize && quantize && fake);
    ASSERT_TRUE(dequantize->run(stream, Workspace::none(),
                                {q.tensor(q_element, shape), scales, zero_points, x.tensor(Element::F32, shape)}));
    ASSERT_TRUE(quantize->run(stream, Workspace::none(),
                              {x.tensor(Element::F32, shape), scales, zero_points, again.tensor(q_element, shape)}));
    ASSERT_TRUE(fake->run(stream, Workspace::none(),
                          {x.tensor(Element::F32, shape), scales, zero_points, y.tensor(Element::F32, shape)}));
    ASSERT_TRUE(x.download() && y.download() && again.download());
    const Result<void> same_q = compare_bytes("q", again.image(), q.image());
    EXPECT_TRUE(same_q) << same_q.error().message;
    const Result<void> same_x = compare_bytes("y", y.image(), x.image());
    EXPECT_TRUE(same_x) << same_x.error().message;
  }
}

/// Neighbouring rows share bytes, and several threads or blocks work on them: no half may be lost, run after run.
TEST_P(QuantizeTest, SharedNibbleBytesHaveOneWriter) {
  QuantizeCase value;
  value.descriptor = {.shape = {201, 303}, .q_element = Element::S4, .granularity = Granularity::PerToken};
  value.output_strides = {-303, 1};
  value.num_threads = 4;
  for (int i = 0; i < (options().full ? 100 : 5); ++i) {
    value.seed = static_cast<std::uint64_t>(i);
    ASSERT_TRUE(passes(value, GetParam()));
  }
}

TEST_P(QuantizeDeviceTest, StridesThatNeedAnotherKernelSayWhich) {
  const Stream stream = *make_stream(GetParam());
  const auto plan = *QuantizePlan::select(stream, {.shape = {64, 64}});
  Random random(3);
  GuardedBuffer x = *GuardedBuffer::create("x", stream, 64 * 65 * 4, random);
  GuardedBuffer q = *GuardedBuffer::create("q", stream, 64 * 64 + 1, random);
  GuardedBuffer scale = *GuardedBuffer::create("scale", stream, 4, random);
  const auto variant = [&](Dims x_strides, std::int64_t q_offset) {
    const auto sku = plan.sku({.x = x.tensor(Element::F32, {64, 64}, x_strides),
                               .scale = scale.vector(Element::F32, 1),
                               .q = q.tensor(Element::I8, {64, 64}, q_offset)});
    return sku ? std::string(sku->variant) : sku.error().message;
  };
  EXPECT_EQ(variant({64, 1}, 0), plan.sku().variant);
  EXPECT_EQ(variant({65, 1}, 0), "generic");
  EXPECT_EQ(variant({1, 64}, 0), "generic");
  EXPECT_EQ(variant({64, 1}, 1), "generic");
  EXPECT_EQ(plan.workspace_size(), 0);
}

TEST_P(QuantizeCudaTest, MoreThan2To31Elements) {
  if (!options().full) GTEST_SKIP() << "14 GB of device memory: with --full";
  constexpr std::int64_t kRows = 32771, kCols = 65544;
  static_assert(kRows * kCols > std::int64_t{1} << 31);
  const auto run = [&](Element q_element, Granularity granularity, int axis, std::int64_t q_stride) {
    more_than_2_to_31_elements(GetParam(), {kRows, kCols}, q_element, granularity, axis, {q_stride * kCols, q_stride});
  };
  run(Element::U8, Granularity::PerTensor, 0, 1);
  run(Element::U8, Granularity::PerChannel, 0, 1);
  run(Element::U8, Granularity::PerChannel, 1, 1);
  run(Element::U8, Granularity::PerChannel, 0, 2);
  run(Element::S4, Granularity::PerChannel, 0, 1);
}

}  // namespace
}  // namespace baracuda::testing

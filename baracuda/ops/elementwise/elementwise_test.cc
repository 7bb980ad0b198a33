#include <fmt/core.h>
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
#include "baracuda/ops/elementwise/elementwise_case.h"
#include "baracuda/ops/elementwise/elementwise_oracle.h"
#include "baracuda/ops/elementwise/elementwise_table.h"
#include "baracuda/plan/plan_cache.h"
#include "testing/call_counter.h"
#include "testing/compare.h"
#include "testing/cuda_graph.h"
#include "testing/fields.h"
#include "testing/float_element.h"
#include "testing/guarded_buffer.h"
#include "testing/options.h"
#include "testing/parallel.h"

namespace baracuda::testing {
namespace {

using Op = ElementwiseOp;

/// What was wrong, and the command that repeats it; empty where nothing was.
std::string failure_text(const ElementwiseCase& value, const TestTarget& target, const Result<void>& checked) {
  if (checked) return "";
  return fmt::format("{}: {}\n  baracuda verify --device {} --case \"{}\"", target.name, checked.error().to_string(),
                     target.device.name(), to_string(value));
}

::testing::AssertionResult passes(const ElementwiseCase& value, const TestTarget& target) {
  const Result<void> checked = check_elementwise(value, target);
  if (checked) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << failure_text(value, target, checked);
}

/// Of many, on as many threads as there are: on a GPU each may have kernels of its own, which take time to compile.
void expect_all_pass(const std::vector<ElementwiseCase>& cases, const TestTarget& target) {
  const auto passed =
      for_each_in_parallel("checking a case", std::span<const ElementwiseCase>(cases),
                           [&](const ElementwiseCase& value) { return check_elementwise(value, target); });
  for (std::size_t i = 0; i < cases.size(); ++i) EXPECT_TRUE(passed[i]) << failure_text(cases[i], target, passed[i]);
}

ElementwiseCase parse(const std::string& fields) {
  auto value = parse_case<ElementwiseCase>("elementwise", "elementwise hostile=true " + fields);
  EXPECT_TRUE(value) << value.error().message;
  return *value;
}

std::vector<Element> elements_of(ElementSet set) {
  std::vector<Element> elements;
  for (const ElementInfo& info : kElements)
    if (set.contains(info.element)) elements.push_back(info.element);
  return elements;
}

class ElementwiseTest : public ::testing::TestWithParam<TestTarget> {};
INSTANTIATE_TEST_SUITE_P(Targets, ElementwiseTest, ::testing::ValuesIn(test_targets()), NameOfParam());
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ElementwiseTest);

class ElementwiseDeviceTest : public ::testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, ElementwiseDeviceTest, ::testing::ValuesIn(test_devices()), NameOfParam());
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ElementwiseDeviceTest);

class ElementwiseCudaTest : public ::testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, ElementwiseCudaTest, ::testing::ValuesIn(cuda_test_devices()), NameOfParam());
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ElementwiseCudaTest);

// ---- the table ------------------------------------------------------------------------------------------------------

TEST(ElementwiseTable, EveryRowHasAPartnerInTheOracle) {
  for (const ElementwiseRow& row : elementwise_rows()) {
    if (row.op == Op::Cast) continue;  // its definition is that of the elements
    const ElementwiseOracle& oracle = elementwise_oracle(row.op);
    for (Element element : elements_of(row.elements)) {
      if (float_format(element) && row.op != Op::Where) {
        EXPECT_TRUE(oracle.of_doubles && oracle.of_long_doubles) << row.name << " of " << name_of(element);
      } else {
        EXPECT_TRUE(oracle.of_integers) << row.name << " of " << name_of(element);
      }
    }
  }
}

TEST(ElementwiseTable, NamesAreUniqueAndSnakeCase) {
  std::set<std::string_view> names;
  for (const ElementwiseRow& row : elementwise_rows()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_EQ(row.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"), row.name.npos) << row.name;
    EXPECT_EQ(name_of(row.op), row.name);
    EXPECT_EQ(row.sku_op, "elementwise." + std::string(row.name));
    EXPECT_EQ(find_row(row.op), &row);
  }
  EXPECT_EQ(name_of(Op::LeakyRelu), "leaky_relu");
  EXPECT_EQ(name_of(Op::Log1p), "log1p");
  EXPECT_EQ(name_of(static_cast<Op>(255)), "invalid");
  EXPECT_EQ(find_row(static_cast<Op>(255)), nullptr);
}

TEST(ElementwiseTable, HasTheOperatorsOfTheFirstFamilies) {
  const auto count = [](int num_inputs) {
    return std::ranges::count(elementwise_rows(), num_inputs, &ElementwiseRow::num_inputs);
  };
  EXPECT_GE(count(1) + count(2), 60);
  EXPECT_GE(count(3), 3);
}

// ---- values ---------------------------------------------------------------------------------------------------------

TEST_P(ElementwiseTest, RandomCases) {
  Random random(options().seed);
  const int num_cases = options().full ? 4000 : GetParam().device.is_cpu() ? 2000 : 300;
  for (int i = 0; i < num_cases; ++i) ASSERT_TRUE(passes(random_elementwise_case(random), GetParam()));
}

/// Every operator on every element that it takes, with every special value of it among the inputs.
TEST_P(ElementwiseTest, EveryOperatorAndElement) {
  std::vector<ElementwiseCase> cases;
  for (const ElementwiseRow& row : elementwise_rows())
    for (Element element : elements_of(row.elements)) {
      // A kernel has to be compiled for each on a GPU.
      const bool covering =
          GetParam().device.is_cpu() || element == Element::F32 || !row.elements.contains(Element::F32);
      if (!covering && !options().full) continue;
      ElementwiseCase value;
      value.descriptor = {.op = row.op, .element = element, .shape = {1500}};
      value.hostile = true;
      if (row.output == ElementwiseOutput::Chosen) {
        for (Element output : elements_of(row.elements)) {
          value.descriptor.output = output;
          cases.push_back(value);
        }
        continue;
      }
      cases.push_back(value);
      value.scalars = row.num_scalars > 0;
      value.seed = 2;
      cases.push_back(value);
    }
  expect_all_pass(cases, GetParam());
}

/// All values of the kinds of 8 bits, and with --full all pairs of them and all values of those of 16; of those that
/// have a text of their own, always.
TEST_P(ElementwiseTest, EveryValueOfSmallKinds) {
  std::vector<ElementwiseCase> cases;
  for (const ElementwiseRow& row : elementwise_rows()) {
    if (row.num_inputs > 2) continue;
    for (Element element : elements_of(row.elements)) {
      const int bytes = element_bytes(element);
      const bool has_narrow_text = row.has_narrow_text && GetParam().device.is_cpu();
      if (bytes > (row.num_inputs == 1 && (options().full || has_narrow_text) ? 2 : 1)) continue;
      const bool covering = GetParam().device.is_cpu() && (row.num_inputs == 1 || element == Element::I8);
      if (!covering && !options().full) continue;
      ElementwiseCase value;
      value.counting = true;
      value.descriptor = {.op = row.op, .element = element, .shape = {std::int64_t{1} << (8 * bytes)}};
      if (row.output == ElementwiseOutput::Chosen) value.descriptor.output = Element::F32;
      if (row.num_inputs == 2) {
        value.descriptor.shape = {256, 256};
        value.x.shape = {256, 1};
        value.y.shape = {256};
      }
      cases.push_back(value);
      // The CPU looks many results of a byte up.
      if (row.num_inputs != 1 || bytes != 1 || GetParam().device.is_cuda()) continue;
      value.descriptor.shape = {2048};
      if (row.output == ElementwiseOutput::Chosen) value.descriptor.output = Element::F8E5M2;
      cases.push_back(value);
    }
  }
  expect_all_pass(cases, GetParam());
}

/// Around a vector, a block of the CPU's loops, a block of threads.
TEST_P(ElementwiseTest, Sizes) {
  for (std::int64_t size : {0,  1,   2,   3,   4,    5,    7,    8,    9,    15,   16,   17,   31,   32,
                            33, 255, 256, 257, 1023, 1024, 1025, 2047, 2048, 2049, 4095, 4096, 4097, 70001})
    for (const char* fields : {"op=add element=f32", "op=relu element=bf16", "op=where element=u8", "op=eq element=i64",
                               "op=silu element=f8e4m3", "op=cast element=f32 output=f8e5m2"}) {
      ElementwiseCase value = parse(fields);
      value.descriptor.shape = {size};
      value.num_threads = 2;
      EXPECT_TRUE(passes(value, GetParam()));
    }
}

/// Every misalignment of the output with every one of an input.
TEST_P(ElementwiseTest, OffsetSweepSanitizer) {
  const int step = options().full || GetParam().device.is_cpu() ? 1 : 3;
  for (const char* fields :
       {"op=add element=f16 shape=3x67", "op=add element=u8 shape=1x131", "op=isnan element=f32 shape=77"})
    for (int output = 0; output < 16; output += step)
      for (int input = 0; input < 16; ++input) {
        ElementwiseCase value = parse(fields);
        const int bytes = element_bytes(value.descriptor.element);
        value.output_misalignment = value.descriptor.op == Op::Isnan ? output : output * bytes;
        value.x.misalignment = input * bytes;
        value.y.misalignment = (input * 7 + output) % 16 * bytes;
        if (value.descriptor.shape.rank() == 2) value.output_strides = {70 + value.descriptor.shape[1], 1};
        ASSERT_TRUE(passes(value, GetParam()));
      }
}

TEST_P(ElementwiseTest, BroadcastAndStrides) {
  for (const char* fields :
       {// A scalar, a row, a column, both, a missing axis.
        "op=add shape=33x65 y=scalar", "op=add shape=33x65 y=65", "op=add shape=33x65 y=33x1",
        "op=mul shape=33x65 x=33x1 y=65", "op=sub shape=4x5x6x7 x=5x1x7 y=4x1x6x1", "op=add shape=33x65 x=1x1 y=1x65",
        "op=where element=f16 shape=9x130 x=9x1 y=130 z=scalar", "op=lerp shape=5x300 z=5x1",
        // A stride of 0, a transposed input, a transposed output, both, negative strides, gaps.
        "op=add shape=40x50 x_strides=0x1", "op=add shape=40x50 x_strides=1x40",
        "op=add shape=40x50 output_strides=1x40",
        "op=add shape=40x50 x_strides=1x40 y_strides=1x40 output_strides=1x40",
        "op=add shape=40x50 x_strides=-50x-1 y_strides=50x1 output_strides=50x-1",
        "op=add shape=40x50 x_strides=200x2 y_strides=64x1 output_strides=150x3",
        // Short rows, long rows, many axes.
        "op=add shape=700x3 output_strides=4x1", "op=add element=f16 shape=3x5000 output_strides=5001x1",
        "op=neg shape=2x3x2x3x2x3x2x3 output_strides=3x6x18x36x108x216x648x1296",
        "op=exp shape=2x3x2x3x2x3x2x3 x_strides=0x6x0x36x0x216x0x1296", "op=abs shape=1x1x1x1x1x1x1x1",
        "op=abs shape=scalar", "op=add shape=scalar x=scalar y=scalar", "op=cast output=i8 shape=6x7 x_strides=1x6",
        // Vectors of dense inputs for an output that is not.
        "op=add shape=3x3000 output_strides=9000x3",
        // A piece of several that begins within a row, before whole ones: of values that repeat along and across rows.
        "op=add shape=140x1500 output_strides=1503x1 y=scalar num_threads=3",
        "op=add element=f16 shape=140x1400 output_strides=1403x1 x=scalar num_threads=3",
        // Nothing.
        "op=add shape=0", "op=add shape=4x0x3 x=1x3 y=4x1x1", "op=add shape=4x0x3 y=scalar"})
    EXPECT_TRUE(passes(parse(fields), GetParam()));
}

TEST_P(ElementwiseTest, InPlace) {
  for (const char* fields :
       {"op=exp shape=5001 in_place=x", "op=sub shape=33x65 in_place=y output_strides=1x40",
        "op=add shape=33x65 x=65 in_place=y", "op=where element=u8 shape=3000 in_place=x",
        "op=where element=f32 shape=3000 in_place=z", "op=cast element=i32 output=f32 shape=3000 in_place=x",
        "op=lt element=u8 shape=3000 in_place=x", "op=neg element=bf16 shape=3x700 output_strides=-701x-1 in_place=x",
        "op=mul element=f16 shape=9x9x99 in_place=x"})
    for (int num_threads : {1, 3}) {
      ElementwiseCase value = parse(fields);
      value.num_threads = num_threads;
      EXPECT_TRUE(passes(value, GetParam()));
    }
}

/// The sanitizers run this suite too: small cases of every variant.
TEST_P(ElementwiseTest, CoveringSetSanitizer) {
  Random random(options().seed + 1);
  for (int i = 0; i < (GetParam().device.is_cpu() ? 300 : 60); ++i)
    ASSERT_TRUE(passes(random_elementwise_case(random), GetParam()));
}

/// Both NaN, or the same bits.
bool same_but_for_nan(Element element, std::span<const std::byte> a, std::span<const std::byte> b) {
  const auto size = static_cast<std::size_t>(element_bytes(element));
  for (std::size_t at = 0; at < a.size(); at += size) {
    if (std::memcmp(&a[at], &b[at], size) == 0) continue;
    if (!float_format(element)) return false;
    if (!std::isnan(decode_float(element, &a[at])) || !std::isnan(decode_float(element, &b[at]))) return false;
  }
  return a.size() == b.size();
}

/// Every device, every instruction set, every arch class: one text gives one result.
TEST_P(ElementwiseTest, GivesTheBitsOfTheScalarCpu) {
  const TestTarget scalar = targets_of(Device::cpu()).front();
  for (const ElementwiseRow& row : elementwise_rows())
    for (Element element :
         {Element::F32, Element::F64, Element::F16, Element::Bf16, Element::F8E4M3, Element::F8E5M2}) {
      // On a GPU the sign of f16's NaN takes care.
      const bool signed_nan = row.op == ElementwiseOp::Signbit || row.op == ElementwiseOp::Copysign;
      const bool covering = GetParam().device.is_cpu() || element == Element::F32 ||
                            (element == Element::Bf16 && row.has_narrow_text) ||
                            (element == Element::F16 && signed_nan);
      if (!row.elements.contains(element) || !(covering || options().full)) continue;
      ElementwiseCase value;
      value.descriptor = {.op = row.op, .element = element, .shape = {4000}};
      value.hostile = true;
      if (row.has_narrow_text && element_bytes(element) == 2) {
        value.counting = true;
        value.descriptor.shape = {1 << 16};
      }
      for (Element chosen : {Element::F16, Element::Bf16, Element::F8E4M3, Element::F8E5M2}) {
        const bool has_choice = row.output == ElementwiseOutput::Chosen;
        if (!has_choice && chosen != Element::F16) break;
        if (has_choice) value.descriptor.output = chosen;
        std::vector<std::byte> expected, actual;
        ASSERT_TRUE(check_elementwise(value, scalar, &expected)) << to_string(value);
        ASSERT_TRUE(check_elementwise(value, GetParam(), &actual)) << to_string(value);
        const Element output = output_element(row, element, chosen);
        EXPECT_TRUE(same_but_for_nan(output, expected, actual)) << GetParam().name << ": " << to_string(value);
      }
    }
}

/// Affine is one fma: the product is not rounded by itself.
TEST_P(ElementwiseTest, AffineRoundsOnce) {
  const Stream stream = *make_stream(GetParam().device);
  Random random(1);
  GuardedBuffer x = *GuardedBuffer::create("x", stream, 4, random);
  GuardedBuffer output = *GuardedBuffer::create("output", stream, 4, random);
  const float near_one = 1 + 0x1p-12f;
  std::memcpy(x.image().data(), &near_one, 4);
  ASSERT_TRUE(x.upload() && output.upload());
  const auto plan = ElementwisePlan::select(stream, {.op = Op::Affine, .shape = {1}}, GetParam().preference);
  ASSERT_TRUE(plan) << plan.error().message;
  ElementwiseArgs args{.output = output.tensor(Element::F32, {1}), .x = x.tensor(Element::F32, {1})};
  args.scalars = {1 + 0x1p-12, -1};
  ASSERT_TRUE(plan->run(stream, Workspace::none(), args));
  ASSERT_TRUE(output.download());
  float result = 0;
  std::memcpy(&result, output.image().data(), 4);
  EXPECT_EQ(result, 0x1p-11f + 0x1p-24f);
}

/// The texts of kinds of 16 bits give the special values of the text of f32: signs of zeros, NaN, infinity.
TEST_P(ElementwiseTest, NarrowTextsAgreeOnSpecialValues) {
  const Stream stream = *make_stream(GetParam().device);
  Random random(1);
  constexpr double kInf = std::numeric_limits<double>::infinity();
  for (const ElementwiseRow& row : elementwise_rows()) {
    if (!row.has_narrow_text) continue;
    for (Element element : {Element::F16, Element::Bf16}) {
      const auto greatest = static_cast<double>(float_format(element)->greatest);
      const std::vector<double> specials = {0.0, -0.0, kInf, -kInf, std::nan(""), greatest, -greatest};
      const auto size = static_cast<std::int64_t>(specials.size());
      std::vector<double> results[2];
      for (Element computed : {element, Element::F32}) {
        const std::int64_t bytes = size * element_bytes(computed);
        GuardedBuffer x = *GuardedBuffer::create("x", stream, bytes, random);
        GuardedBuffer output = *GuardedBuffer::create("output", stream, bytes, random);
        const auto at = [&](std::size_t i) { return i * static_cast<std::size_t>(element_bytes(computed)); };
        for (std::size_t i = 0; i < specials.size(); ++i) write_float(computed, specials[i], x.image().data() + at(i));
        ASSERT_TRUE(x.upload() && output.upload());
        const auto plan = ElementwisePlan::select(stream, {.op = row.op, .element = computed, .shape = {size}},
                                                  GetParam().preference);
        ASSERT_TRUE(plan) << plan.error().message;
        ASSERT_TRUE(plan->run(stream, Workspace::none(),
                              {.output = output.tensor(computed, {size}), .x = x.tensor(computed, {size})}));
        ASSERT_TRUE(output.download());
        for (std::size_t i = 0; i < specials.size(); ++i)
          results[computed == Element::F32].push_back(
              static_cast<double>(decode_float(computed, output.image().data() + at(i))));
      }
      for (std::size_t i = 0; i < specials.size(); ++i) {
        const double narrow = results[0][i], full = results[1][i];
        const bool same = narrow == full && std::signbit(narrow) == std::signbit(full);
        EXPECT_TRUE(same || (std::isnan(narrow) && std::isnan(full)))
            << row.name << " of " << specials[i] << " as " << name_of(element) << ": " << narrow << ", not " << full;
      }
    }
  }
}

/// Past 2^31 elements: one dense row, rows, and elements one by one.
TEST_P(ElementwiseCudaTest, MoreThan2To31Elements) {
  if (!options().full) GTEST_SKIP() << "only with --full";
  const Stream stream = *make_stream(GetParam());
  const std::int64_t rows = 65537, cols = 32800;
  const auto plan =
      ElementwisePlan::select(stream, {.op = Op::BitwiseNot, .element = Element::U8, .shape = {rows, cols}});
  ASSERT_TRUE(plan) << plan.error().message;
  auto in = Buffer::allocate(stream, rows * (cols + 1));
  auto out = Buffer::allocate(stream, rows * (cols + 1));
  ASSERT_TRUE(in && out);
  const ByteRange in_range(in->data(), static_cast<std::size_t>(in->bytes())),
      out_range(out->data(), static_cast<std::size_t>(out->bytes()));
  struct Layout {
    Dims output, input;
    std::string_view variant;
  };
  for (const auto& [strides, input_strides, variant] :
       {Layout{{cols, 1}, {cols, 1}, "contiguous"}, Layout{{cols, 1}, {cols + 1, 1}, "rows"},
        Layout{{cols + 1, 1}, {cols, 1}, "rows"}, Layout{{1, rows}, {cols + 1, 1}, "strided"}}) {
    // The first row is not the last, so that an index that is cut to 32 bits shows.
    const auto value = [&](std::int64_t r, std::int64_t c) { return static_cast<std::uint8_t>(c * 7 + (r ? 100 : 3)); };
    ASSERT_TRUE(in->fill(stream, 0x55) && out->fill(stream, 0x33));
    std::vector<std::uint8_t> row(static_cast<std::size_t>(cols));
    for (std::int64_t r : {std::int64_t{0}, rows - 1}) {
      for (std::int64_t c = 0; c < cols; ++c) row[static_cast<std::size_t>(c)] = value(r, c);
      ASSERT_TRUE(in->copy_from_host(stream, row.data(), cols, r * input_strides[0]));
    }
    const TensorMut output(out->data(), Element::U8, {rows, cols}, strides, GetParam(), out_range);
    const TensorRef input(in->data(), Element::U8, {rows, cols}, input_strides, GetParam(), in_range);
    EXPECT_EQ(plan->sku({.output = output, .x = input})->variant, variant);
    ASSERT_TRUE(plan->run(stream, Workspace::none(), {.output = output, .x = input}));
    for (std::int64_t r : {std::int64_t{0}, rows - 1})
      for (std::int64_t c : {std::int64_t{0}, cols - 1}) {
        std::uint8_t byte = 0;
        ASSERT_TRUE(out->copy_to_host(stream, &byte, 1, r * strides[0] + c * strides[1]));
        ASSERT_TRUE(stream.synchronize());
        EXPECT_EQ(byte, static_cast<std::uint8_t>(~value(r, c))) << variant << ": " << r << ", " << c;
      }
  }
}

// ---- the rules ------------------------------------------------------------------------------------------------------

struct DescriptorRule {
  const char* name;
  ElementwiseDescriptor descriptor;
  ErrorKind kind;
  const char* field;
};

const std::vector<DescriptorRule>& descriptor_rules() {
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  static const std::vector<DescriptorRule> rules = {
      {"no operator", {static_cast<Op>(255), Element::F32, {}, {4}}, ErrorKind::Unsupported, "op"},
      {"exp of an integer",
       {Op::Exp, Element::I32, {}, {4}},
       ErrorKind::Unsupported,
       "element is i32, but exp takes f16"},
      {"shift of a float", {Op::ShiftLeft, Element::F32, {}, {4}}, ErrorKind::Unsupported, "element"},
      {"add of bools", {Op::Add, Element::Bool, {}, {4}}, ErrorKind::Unsupported, "element"},
      {"add of s4", {Op::Add, Element::S4, {}, {4}}, ErrorKind::Unsupported, "element"},
      {"where of complex128", {Op::Where, Element::Complex128, {}, {4}}, ErrorKind::Unsupported, "element"},
      {"no element at all", {Op::Add, static_cast<Element>(200), {}, {4}}, ErrorKind::Unsupported, "element"},
      {"another output", {Op::Add, Element::F16, Element::F32, {4}}, ErrorKind::Unsupported, "output"},
      {"a predicate to f32", {Op::Eq, Element::F32, Element::F32, {4}}, ErrorKind::Unsupported, "output"},
      {"cast to nothing", {Op::Cast, Element::F32, {}, {4}}, ErrorKind::InvalidProblem, "output"},
      {"cast to s4", {Op::Cast, Element::F32, Element::S4, {4}}, ErrorKind::Unsupported, "output"},
      {"rank 9", {Op::Add, Element::F32, {}, Dims::filled(9, 1)}, ErrorKind::Unsupported, "shape"},
      {"negative extent", {Op::Add, Element::F32, {}, {4, -1}}, ErrorKind::InvalidProblem, "shape[1]"},
      {"2^63 elements", {Op::Add, Element::U8, {}, {kMax, 2}}, ErrorKind::InvalidProblem, "shape"},
      {"2^63 bytes in", {Op::Eq, Element::F64, {}, {kMax / 4}}, ErrorKind::InvalidProblem, "shape"},
      {"2^63 bytes out", {Op::Cast, Element::U8, Element::F64, {kMax / 4}}, ErrorKind::InvalidProblem, "shape"},
  };
  return rules;
}

TEST(ElementwiseRules, Descriptors) {
  for (const DeviceInfo& device : {DeviceInfo::cpu(), DeviceInfo::sm80(), DeviceInfo::sm90a()})
    for (const DescriptorRule& rule : descriptor_rules()) {
      const auto choice = ElementwisePlan::choose(rule.descriptor, {}, device);
      ASSERT_FALSE(choice) << rule.name;
      EXPECT_EQ(choice.error().kind, rule.kind) << rule.name;
      EXPECT_NE(choice.error().message.find("ElementwisePlan"), std::string::npos) << choice.error().message;
      EXPECT_NE(choice.error().message.find(rule.field), std::string::npos) << choice.error().message;
    }
}

TEST_P(ElementwiseTest, SelectGivesTheErrorsOfChoose) {
  const Stream stream = *make_stream(GetParam().device);
  for (const DescriptorRule& rule : descriptor_rules()) {
    const auto plan = ElementwisePlan::select(stream, rule.descriptor, GetParam().preference);
    ASSERT_FALSE(plan) << rule.name;
    EXPECT_EQ(plan.error().kind, rule.kind) << rule.name;
  }
}

TEST(ElementwiseRules, EveryElementIsTakenOrRefusedByTheTable) {
  for (const ElementwiseRow& row : elementwise_rows())
    for (const ElementInfo& info : kElements) {
      ElementwiseDescriptor descriptor{.op = row.op, .element = info.element, .shape = {4}};
      if (row.output == ElementwiseOutput::Chosen) descriptor.output = Element::F32;
      const auto choice = ElementwisePlan::choose(descriptor, {}, DeviceInfo::sm90a());
      EXPECT_EQ(choice.has_value(), row.elements.contains(info.element)) << row.name << " of " << info.name;
      if (choice) continue;
      EXPECT_EQ(choice.error().kind, ErrorKind::Unsupported);
    }
}

TEST(ElementwiseRules, SizesPast2To31AreFine) {
  constexpr std::int64_t k2To40 = std::int64_t{1} << 40;
  for (const DeviceInfo& device : {DeviceInfo::cpu(), DeviceInfo::sm90a()}) {
    const auto explained = ElementwisePlan::explain({.op = Op::Eq, .shape = {k2To40}}, {}, device);
    ASSERT_TRUE(explained);
    EXPECT_EQ(explained->bytes, k2To40 * 9);
    EXPECT_EQ(explained->ops, k2To40);
    EXPECT_TRUE(ElementwisePlan::choose({.op = Op::Add, .shape = {k2To40, k2To40, 0}}, {}, device));
  }
}

TEST(ElementwiseRules, EveryFieldOfTheDescriptorCounts) {
  expect_every_field_counts<ElementwiseDescriptor>({Op::Add, Element::F32, {}, {2, 3}},
                                                   {{"op", [](auto& d) { d.op = Op::Sub; }},
                                                    {"element", [](auto& d) { d.element = Element::F16; }},
                                                    {"output", [](auto& d) { d.output = Element::F32; }},
                                                    {"shape", [](auto& d) {
                                                       d.shape = {3, 2};
                                                     }}});
}

/// A run that must be refused: `spoil` changes args that were sound.
struct ArgsRule {
  const char* name;
  std::function<void(ElementwiseArgs&)> spoil;
  ErrorKind kind;
  const char* field;
};

TEST_P(ElementwiseTest, Args) {
  const Stream stream = *make_stream(GetParam().device);
  Random random(3);
  // add of 4×6 f32. One allocation holds all, so that views can overlap.
  GuardedBuffer memory = *GuardedBuffer::create("memory", stream, 1024, random);
  ASSERT_TRUE(memory.upload());
  const auto view = [&](Dims shape, std::int64_t offset) { return memory.tensor(Element::F32, shape, offset); };
  const auto strided = [&](Dims shape, Dims strides, std::int64_t offset) {
    return memory.tensor(Element::F32, shape, strides, offset);
  };
  const Device elsewhere = stream.device().is_cpu() ? Device::cuda() : Device::cpu();
  using Dimensions = Dims;

  const std::vector<ArgsRule> rules = {
      {"output elsewhere", [&](auto& a) { a.output.device = elsewhere; }, ErrorKind::InvalidProblem, "output"},
      {"x elsewhere", [&](auto& a) { a.x.device = elsewhere; }, ErrorKind::InvalidProblem, "x"},
      {"y elsewhere", [&](auto& a) { a.y->device = elsewhere; }, ErrorKind::InvalidProblem, "y"},
      {"output of another element", [&](auto& a) { a.output.element = Element::I32; }, ErrorKind::Unsupported,
       "output.element"},
      {"x of another element", [&](auto& a) { a.x.element = Element::F16; }, ErrorKind::Unsupported, "x.element"},
      {"y of another element", [&](auto& a) { a.y->element = Element::F64; }, ErrorKind::Unsupported, "y.element"},
      {"output of another shape",
       [&](auto& a) {
         a.output = view(Dimensions{4, 5}, 0);
       },
       ErrorKind::InvalidProblem, "output.shape"},
      {"output that broadcasts",
       [&](auto& a) {
         a.output = view(Dimensions{1, 6}, 0);
       },
       ErrorKind::InvalidProblem, "output.shape"},
      {"x of another shape",
       [&](auto& a) {
         a.x = view(Dimensions{4, 5}, 256);
       },
       ErrorKind::InvalidProblem, "x.shape"},
      {"x of a higher rank",
       [&](auto& a) {
         a.x = view(Dimensions{1, 4, 6}, 256);
       },
       ErrorKind::InvalidProblem, "x.shape"},
      {"x aligned at the first axis", [&](auto& a) { a.x = view(Dimensions{4}, 256); }, ErrorKind::InvalidProblem,
       "x.shape"},
      {"y empty",
       [&](auto& a) {
         a.y = view(Dimensions{0, 6}, 512);
       },
       ErrorKind::InvalidProblem, "y.shape"},
      {"y missing", [&](auto& a) { a.y.reset(); }, ErrorKind::InvalidProblem, "y is missing"},
      {"z given", [&](auto& a) { a.z = a.x; }, ErrorKind::InvalidProblem, "z is given"},
      {"a first scalar", [&](auto& a) { a.scalars[0] = 1; }, ErrorKind::InvalidProblem, "scalars[0]"},
      {"a second scalar", [&](auto& a) { a.scalars[1] = 1; }, ErrorKind::InvalidProblem, "scalars[1]"},
      {"too few strides", [&](auto& a) { a.x.strides = {1}; }, ErrorKind::InvalidProblem, "x.strides"},
      {"null output", [&](auto& a) { a.output.data = nullptr; }, ErrorKind::InvalidProblem, "output.data"},
      {"null y", [&](auto& a) { a.y->data = nullptr; }, ErrorKind::InvalidProblem, "y.data"},
      {"misaligned output", [&](auto& a) { a.output.data = static_cast<char*>(a.output.data) + 2; },
       ErrorKind::MisalignedOperand, "output.data"},
      {"misaligned x", [&](auto& a) { a.x.data = static_cast<const char*>(a.x.data) + 1; },
       ErrorKind::MisalignedOperand, "x.data"},
      {"output past its buffer", [&](auto& a) { a.output.buffer.end = a.output.buffer.begin + 95; },
       ErrorKind::BufferTooSmall, "output"},
      {"x past its buffer",
       [&](auto& a) {
         a.x.strides = Dimensions{400, 1};
       },
       ErrorKind::BufferTooSmall, "x"},
      {"output before its buffer",
       [&](auto& a) {
         a.output.strides = Dimensions{-6, 1};
       },
       ErrorKind::InvalidProblem, "output"},
      {"strides past 2^63",
       [&](auto& a) {
         a.y->strides = Dimensions{std::numeric_limits<std::int64_t>::min(), 1};
       },
       ErrorKind::InvalidProblem, "y"},
      {"output broadcast onto itself",
       [&](auto& a) {
         a.output.strides = Dimensions{0, 1};
       },
       ErrorKind::InvalidProblem, "output"},
      {"output rows that overlap",
       [&](auto& a) {
         a.output.strides = Dimensions{5, 1};
       },
       ErrorKind::InvalidProblem, "output"},
      {"x shifted in the output",
       [&](auto& a) {
         a.x = view(Dimensions{4, 6}, 4);
       },
       ErrorKind::InvalidProblem, "overlap"},
      {"y ends in the output",
       [&](auto& a) {
         a.output = view(Dimensions{4, 6}, 600);
         a.y = view(Dimensions{4, 6}, 512);
       },
       ErrorKind::InvalidProblem, "overlap"},
      {"x transposed in the output",
       [&](auto& a) {
         a.output = strided({4, 6}, {1, 4}, 0);
         a.x = view(Dimensions{4, 6}, 0);
       },
       ErrorKind::InvalidProblem, "overlap"},
      {"the first row of the output broadcast over it", [&](auto& a) { a.x = view(Dimensions{6}, 0); },
       ErrorKind::InvalidProblem, "overlap"},
      {"its first column, with its strides",
       [&](auto& a) {
         a.x = strided({4, 1}, {6, 1}, 0);
       },
       ErrorKind::InvalidProblem, "overlap"},
  };
  const auto plan = ElementwisePlan::select(stream, {.op = Op::Add, .shape = {4, 6}}, GetParam().preference);
  ASSERT_TRUE(plan) << plan.error().message;
  const ElementwiseArgs sound{.output = view({4, 6}, 0), .x = view({4, 6}, 256), .y = view({4, 6}, 512)};
  EXPECT_TRUE(plan->can_implement(sound)) << plan->can_implement(sound).error().message;
  for (const ArgsRule& rule : rules) {
    ElementwiseArgs args = sound;
    rule.spoil(args);
    for (const Result<void>& refused : {plan->can_implement(args), plan->run(stream, Workspace::none(), args)}) {
      ASSERT_FALSE(refused) << rule.name;
      EXPECT_EQ(refused.error().kind, rule.kind) << rule.name << ": " << refused.error().message;
      EXPECT_NE(refused.error().message.find("ElementwisePlan"), std::string::npos) << refused.error().message;
      EXPECT_NE(refused.error().message.find(rule.field), std::string::npos)
          << rule.name << ": " << refused.error().message;
    }
  }
  // In place but for the size of the elements.
  const auto cast = *ElementwisePlan::select(
      stream, {.op = Op::Cast, .element = Element::F32, .output = Element::F16, .shape = {4, 6}},
      GetParam().preference);
  const Result<void> refused =
      cast.run(stream, Workspace::none(), {.output = memory.tensor(Element::F16, {4, 6}), .x = view({4, 6}, 0)});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::InvalidProblem);
  // Inputs may share memory, and the bounds of a broadcast input are its own.
  ElementwiseArgs shared = sound;
  shared.y = shared.x;
  EXPECT_TRUE(plan->can_implement(shared));
  shared.y = TensorRef(shared.x.data, Element::F32, {1, 1}, {77, 77}, stream.device(), ByteRange(shared.x.data, 4));
  EXPECT_TRUE(plan->can_implement(shared));

  // Of an extent of 1 the stride is never looked at.
  const auto row = *ElementwisePlan::select(stream, {.op = Op::Add, .shape = {1, 6}}, GetParam().preference);
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  for (std::int64_t stride : {kMost, -kMost - 1}) {
    const ElementwiseArgs any{.output = strided({1, 6}, {stride, 1}, 0),
                              .x = strided({1, 6}, {stride, 1}, 256),
                              .y = strided({1, 1}, {stride, stride}, 512)};
    EXPECT_TRUE(row.can_implement(any)) << row.can_implement(any).error().message;
  }

  // What an integer would cut.
  const auto clamp =
      *ElementwisePlan::select(stream, {.op = Op::Clamp, .element = Element::I32, .shape = {6}}, GetParam().preference);
  ElementwiseArgs whole{.output = memory.tensor(Element::I32, {6}), .x = memory.tensor(Element::I32, {6}, 256)};
  whole.scalars = {-3, std::numeric_limits<double>::infinity()};
  EXPECT_TRUE(clamp.can_implement(whole));
  for (double part : {0.5, std::numeric_limits<double>::quiet_NaN()}) {
    whole.scalars[1] = part;
    const Result<void> cut = clamp.run(stream, Workspace::none(), whole);
    ASSERT_FALSE(cut);
    EXPECT_EQ(cut.error().kind, ErrorKind::InvalidProblem);
    EXPECT_NE(cut.error().message.find("scalars[1]"), std::string::npos) << cut.error().message;
  }

  ASSERT_TRUE(stream.synchronize());
  const Result<void> untouched = memory.expect_unchanged();
  EXPECT_TRUE(untouched) << untouched.error().message;
}

TEST_P(ElementwiseTest, AnEmptyOutputNeedsNoPointers) {
  const Stream stream = *make_stream(GetParam().device);
  const auto plan = *ElementwisePlan::select(stream, {.op = Op::Abs, .shape = {0, 6}}, GetParam().preference);
  const Result<void> ran = plan.run(stream, Workspace::none(),
                                    {.output = {nullptr, Element::F32, {0, 6}, stream.device()},
                                     .x = {nullptr, Element::F32, {0, 6}, stream.device()}});
  EXPECT_TRUE(ran) << ran.error().message;
}

TEST_P(ElementwiseCudaTest, AStreamOfAnotherDeviceIsRefused) {
  const auto plan = *ElementwisePlan::select(*make_stream(GetParam()), {.op = Op::Abs, .shape = {0}});
  const Result<void> refused = plan.run(Stream::cpu(), Workspace::none(), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::InvalidProblem);
  EXPECT_NE(refused.error().message.find("ElementwisePlan: stream"), std::string::npos) << refused.error().message;
}

// ---- the choice -----------------------------------------------------------------------------------------------------

std::string sku_of(const ElementwiseDescriptor& descriptor, const DeviceInfo& device,
                   const PlanPreference& preference = {}) {
  const auto choice = ElementwisePlan::choose(descriptor, preference, device);
  return choice ? choice->sku.to_string() : choice.error().to_string();
}

TEST(ElementwiseChoice, TheSkuNamesOperatorElementsAndVariant) {
  const DeviceInfo h200 = DeviceInfo::sm90a();
  EXPECT_EQ(sku_of({.op = Op::LeakyRelu, .element = Element::F16, .shape = {8}}, h200),
            "elementwise.leaky_relu/f16/-/-/contiguous/sm90a/bespoke");
  EXPECT_EQ(sku_of({.op = Op::Eq, .element = Element::I8, .shape = {}}, h200),
            "elementwise.eq/i8->bool/-/-/contiguous/sm90a/bespoke");
  EXPECT_EQ(
      sku_of({.op = Op::Cast, .element = Element::F32, .output = Element::F8E4M3, .shape = {4}}, DeviceInfo::cpu()),
      "elementwise.cast/f32->f8e4m3/-/-/contiguous/cpu/bespoke");
}

TEST(ElementwiseChoice, PreferencesAreMetOrRefused) {
  const ElementwiseDescriptor add{.op = Op::Add, .shape = {8, 16}};
  const DeviceInfo h200 = DeviceInfo::sm90a();
  EXPECT_EQ(sku_of(add, h200, {.force_arch = Arch::Sm80}), "elementwise.add/f32/-/-/contiguous/sm80@sm90/bespoke");
  EXPECT_EQ(sku_of(add, h200, {.autotune = true}), "elementwise.add/f32/-/-/contiguous/sm90a/bespoke");
  for (Determinism determinism : {Determinism::RunToRun, Determinism::BatchInvariant, Determinism::MatchesCpu})
    EXPECT_TRUE(ElementwisePlan::choose(add, {.determinism = determinism, .max_workspace_bytes = 0}, h200));
  const std::vector<PlanPreference> refused = {{.force_backend = Backend::Cublas},
                                               {.force_arch = Arch::Cpu},
                                               {.exclude_archs = {Arch::Sm80, Arch::Sm89, Arch::Sm90a}},
                                               {.force_cpu_target = CpuTarget::Avx2},
                                               {.exclude_backends = {Backend::Bespoke}}};
  for (const PlanPreference& preference : refused) {
    const auto choice = ElementwisePlan::choose(add, preference, h200);
    ASSERT_FALSE(choice);
    EXPECT_EQ(choice.error().kind, ErrorKind::Unsupported);
    EXPECT_NE(choice.error().message.find("ElementwisePlan"), std::string::npos);
  }
}

TEST(ElementwiseChoice, TheGuaranteeFollowsFromTheElements) {
  const auto math = [](const ElementwiseDescriptor& descriptor) {
    return ElementwisePlan::choose(descriptor, {}, DeviceInfo::sm90a())->sku.guarantee.math;
  };
  EXPECT_EQ(math({.op = Op::Add, .element = Element::F16, .shape = {}}), MathPrecision::F32);
  EXPECT_EQ(math({.op = Op::Add, .element = Element::F64, .shape = {}}), MathPrecision::F64);
  EXPECT_EQ(math({.op = Op::Add, .element = Element::U8, .shape = {}}), MathPrecision::Integer);
  EXPECT_EQ(math({.op = Op::Where, .element = Element::F32, .shape = {}}), MathPrecision::None);
}

TEST_P(ElementwiseTest, TheSkuOfArgsFollowsTheirStrides) {
  const Stream stream = *make_stream(GetParam().device);
  const auto plan = *ElementwisePlan::select(stream, {.op = Op::Add, .shape = {8, 16}}, GetParam().preference);
  Random random(3);
  GuardedBuffer memory = *GuardedBuffer::create("memory", stream, 16384, random);
  const auto variant = [&](Dims output, Dims x, Dims y_shape = {8, 16}) {
    const auto sku = plan.sku({.output = memory.tensor(Element::F32, {8, 16}, output),
                               .x = memory.tensor(Element::F32, {8, 16}, x, 4096),
                               .y = memory.tensor(Element::F32, y_shape, 8192)});
    return sku ? std::string(sku->variant) : sku.error().message;
  };
  EXPECT_EQ(plan.sku().variant, "contiguous");
  EXPECT_EQ(variant({16, 1}, {16, 1}), "contiguous");
  EXPECT_EQ(variant({16, 1}, {16, 1}, {}), "contiguous");
  EXPECT_EQ(variant({16, 1}, {20, 1}), "rows");
  EXPECT_EQ(variant({16, 1}, {16, 1}, {16}), "rows");
  EXPECT_EQ(variant({16, 1}, {16, 1}, {8, 1}), "rows");
  EXPECT_EQ(variant({20, 1}, {20, 1}), "rows");
  EXPECT_EQ(variant({1, 8}, {1, 8}), "strided");  // y is not transposed
  EXPECT_EQ(variant({16, 1}, {32, 2}), "strided");
  EXPECT_EQ(plan.workspace_size(), 0);
  EXPECT_FALSE(plan.workspace_must_be_zero());
  EXPECT_TRUE(plan.precision_guarantee().matches_cpu);
}

// ---- claims ---------------------------------------------------------------------------------------------------------

TEST_P(ElementwiseDeviceTest, SixteenThreadsSelectAndRun) {
  std::atomic<int> failures = 0;
  PlanCache<ElementwisePlan> cache;
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t)
    threads.emplace_back([&, t] {
      Random random(static_cast<std::uint64_t>(t));
      const Stream stream = *make_stream(GetParam());
      for (int i = 0; i < 20; ++i) {
        const std::int64_t size = random.draw(1, 4) * 100;
        const auto plan = cache.get(stream, {.op = Op::BitwiseNot, .element = Element::U8, .shape = {size}});
        GuardedBuffer output = *GuardedBuffer::create("output", stream, size, random);
        GuardedBuffer x = *GuardedBuffer::create("x", stream, size, random);
        failures += !output.upload() || !x.upload();
        std::vector<std::byte> expected(x.image().begin(), x.image().end());
        for (std::byte& byte : expected) byte = ~byte;
        failures +=
            !plan || !plan->run(stream, Workspace::none(),
                                {.output = output.tensor(Element::U8, {size}), .x = x.tensor(Element::U8, {size})});
        failures += !output.download() || !compare_bytes("output", output.image(), expected);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(cache.size(), 4u);
}

/// `run` allocates nothing, takes no lock, reads no environment and formats nothing of ours, the first time too,
/// whatever the variant, and with enough bytes for several threads.
TEST_P(ElementwiseTest, RunDoesOnlyWhatItMust) {
  if (!kCanCountCalls) GTEST_SKIP() << "a sanitizer has taken the functions that are counted";
  constexpr std::int64_t kSize = 512, kBytes = kSize * (kSize + 8) * 4;
  const Stream stream = GetParam().device.is_cpu() ? Stream::cpu(2) : *make_stream(GetParam().device);
  Random random(5);
  GuardedBuffer memory = *GuardedBuffer::create("memory", stream, 2 * kBytes, random);
  ASSERT_TRUE(memory.upload());
  for (const ElementwiseDescriptor& descriptor :
       {ElementwiseDescriptor{.op = Op::Add, .shape = {kSize, kSize}},
        ElementwiseDescriptor{.op = Op::Add, .element = Element::F16, .shape = {kSize, kSize}}}) {
    const auto plan = *ElementwisePlan::select(stream, descriptor, GetParam().preference);
    for (const Dims& strides : {Dims{kSize, 1}, Dims{kSize + 8, 1}, Dims{1, kSize}}) {
      const TensorRef x = memory.tensor(descriptor.element, {kSize, kSize}, kBytes);
      const ElementwiseArgs args{.output = memory.tensor(descriptor.element, {kSize, kSize}, strides), .x = x, .y = x};
      CallCounter counter;
      const bool ran = plan.run(stream, Workspace::none(), args).has_value();
      EXPECT_EQ(counter.stop().total(), 0);
      EXPECT_TRUE(ran);
    }
  }
}

TEST_P(ElementwiseCudaTest, AGraphIsCapturedAndReplayed) {
  const Stream stream = *make_stream(GetParam());
  Random random(9);
  const auto plan = *ElementwisePlan::select(stream, {.op = Op::BitwiseNot, .element = Element::U8, .shape = {1000}});
  GuardedBuffer output = *GuardedBuffer::create("output", stream, 1000, random);
  GuardedBuffer x = *GuardedBuffer::create("x", stream, 1000, random);
  ASSERT_TRUE(output.upload() && x.upload());
  const auto graph = CudaGraph::capture(stream, [&] {
    return plan.run(stream, Workspace::none(),
                    {.output = output.tensor(Element::U8, {1000}), .x = x.tensor(Element::U8, {1000})});
  });
  ASSERT_TRUE(graph) << graph.error().message;
  for (int i = 0; i < 2; ++i) {
    random.fill_bytes(x.image());
    ASSERT_TRUE(x.upload());
    ASSERT_TRUE(graph->replay(stream));
    ASSERT_TRUE(output.download());
    std::vector<std::byte> expected(x.image().begin(), x.image().end());
    for (std::byte& byte : expected) byte = ~byte;
    EXPECT_TRUE(compare_bytes("output", output.image(), expected));
  }
}

/// The lists from which CI compiles and the GPU record is made.
TEST(ElementwiseKernels, TheOpListsWhatPlansCompile) {
  const DeviceInfo h200 = DeviceInfo::sm90a();
  std::set<std::string> all, listed;
  for (const jit::KernelSpec& kernel : elementwise_op().all_kernels({}, h200)) all.insert(kernel.name);
  for (const jit::KernelSpec& kernel : elementwise_op().kernels({}, h200)) {
    EXPECT_TRUE(listed.insert(kernel.name).second) << kernel.name << " is listed twice";
    EXPECT_TRUE(all.contains(kernel.name)) << kernel.name;
  }
  for (const ElementwiseRow& row : elementwise_rows())
    EXPECT_TRUE(std::ranges::any_of(listed, [&](const std::string& name) {
      return name.starts_with(std::string(row.sku_op) + '.');
    })) << row.name;
  if (!jit::nvrtc()) {
    ASSERT_FALSE(options().require_nvrtc);
    GTEST_SKIP() << "no NVRTC";
  }
  for (const ElementwiseDescriptor& descriptor :
       {ElementwiseDescriptor{.op = Op::Add, .shape = {}},
        ElementwiseDescriptor{.op = Op::Where, .element = Element::Bf16, .shape = {std::int64_t{1} << 33, 2}},
        ElementwiseDescriptor{.op = Op::Cast, .element = Element::I64, .output = Element::Bf16, .shape = {3, 4, 5}}}) {
    const auto report = ElementwisePlan::compile(descriptor, {}, h200);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->kernels.size(), descriptor.shape.rank() == 0 ? 1u : 3u);
    for (const KernelReport& kernel : report->kernels) {
      EXPECT_TRUE(all.contains(kernel.name)) << kernel.name;
      EXPECT_EQ(kernel.target, "sm90a");
      EXPECT_GT(kernel.registers, 0);
      EXPECT_EQ(kernel.spill_bytes, 0);
    }
  }
  EXPECT_TRUE(ElementwisePlan::compile({.op = Op::Add, .shape = {8}}, {}, DeviceInfo::cpu())->kernels.empty());
}

}  // namespace
}  // namespace baracuda::testing

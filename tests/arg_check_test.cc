#include "baracuda/plan/arg_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "testing/call_counter.h"
#include "testing/property.h"

namespace baracuda {
namespace {

using testing::CallCounter;
using testing::draw;
using testing::kCanCountCalls;
using testing::property;

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t k2To31 = std::int64_t{1} << 31;
constexpr std::int64_t k2To32 = std::int64_t{1} << 32;

/// Where the buffers of these tests begin. Nothing is read there: a check looks at numbers only.
constexpr std::uintptr_t kBase = 0x7f0000000000;

const ArgChecker kChecker("TestPlan", Device::cpu());

/// A view as numbers. Positions are bytes from kBase; without strides it is contiguous.
struct View {
  Element element = Element::F32;
  Dims shape = {};
  std::optional<Dims> strides = std::nullopt;
  std::int64_t data = 0;
  std::int64_t begin = 0, end = 0;  // of the buffer
  Device device = Device::cpu();

  operator TensorRef() const {
    TensorRef view;
    view.data = reinterpret_cast<const void*>(kBase + static_cast<std::uintptr_t>(data));
    view.element = element;
    view.shape = shape;
    view.strides = strides.value_or(contiguous_strides(shape));
    view.device = device;
    view.buffer.begin = kBase + static_cast<std::uintptr_t>(begin);
    view.buffer.end = kBase + static_cast<std::uintptr_t>(end);
    return view;
  }
};

/// A view against the element and shape that it has itself.
Result<Reach> check(const View& view) { return kChecker.tensor("x", view, view.element, view.shape); }

/// gtest allows no ^ in names.
constexpr auto name_of_row = [](const auto& info) {
  std::string name = info.param.name;
  std::replace(name.begin(), name.end(), '^', '_');
  return name;
};

// --- Tensors that pass ---

struct Passing {
  const char* name;
  View view;
  std::int64_t begin, end;  // the bytes that it reaches
};

void PrintTo(const Passing& row, std::ostream* out) { *out << row.name; }

class ArgCheckerPasses : public ::testing::TestWithParam<Passing> {};

TEST_P(ArgCheckerPasses, WithTheBytesThatItReaches) {
  const Passing& row = GetParam();
  const Result<Reach> reach = check(row.view);
  ASSERT_TRUE(reach) << reach.error().message;
  EXPECT_EQ(reach->begin, kBase + static_cast<std::uintptr_t>(row.begin));
  EXPECT_EQ(reach->end, kBase + static_cast<std::uintptr_t>(row.end));
}

// clang-format off
INSTANTIATE_TEST_SUITE_P(
    Tensor, ArgCheckerPasses,
    ::testing::Values(
        Passing{"scalar", {.end = 4}, 0, 4},
        Passing{"contiguous", {.shape = {2, 3}, .end = 24}, 0, 24},
        Passing{"inside_a_larger_buffer", {.shape = {2, 3}, .data = 8, .end = 100}, 8, 32},
        Passing{"padded_rows", {.shape = {2, 3}, .strides = Dims{10, 1}, .end = 52}, 0, 52},
        Passing{"negative_strides", {.shape = {2, 3}, .strides = Dims{-3, -1}, .data = 20, .end = 24}, 0, 24},
        Passing{"mixed_strides", {.shape = {2, 3}, .strides = Dims{3, -1}, .data = 8, .end = 24}, 0, 24},
        Passing{"zero_strides", {.shape = {1000, 3}, .strides = Dims{0, 1}, .end = 12}, 0, 12},
        Passing{"zero_stride_of_the_greatest_extent", {.shape = {kMax, kMax}, .strides = Dims{0, 0}, .end = 4}, 0, 4},
        Passing{"strides_of_extent_1", {.shape = {1, 3, 1}, .strides = Dims{kMin, 1, kMax}, .end = 12}, 0, 12},
        Passing{"rank_8", {.shape = {2, 1, 2, 1, 2, 1, 2, 1}, .end = 64}, 0, 64},
        Passing{"complex128", {.element = Element::Complex128, .shape = {3}, .data = 16, .end = 64}, 16, 64},
        Passing{"bool_at_an_odd_address", {.element = Element::Bool, .shape = {3}, .data = 5, .end = 8}, 5, 8},
        Passing{"2^31_elements", {.shape = {k2To31}, .end = 4 * k2To31}, 0, 4 * k2To31},
        Passing{"2^33_elements", {.shape = {k2To32, 2}, .end = 8 * k2To32}, 0, 8 * k2To32},
        Passing{"2^32_elements_backwards",
                {.element = Element::U8, .shape = {k2To32}, .strides = Dims{-1}, .data = k2To32 - 1, .end = k2To32}, 0,
                k2To32},
        Passing{"2_elements_2^40_apart",
                {.shape = {2}, .strides = Dims{1ll << 40}, .end = (1ll << 42) + 4}, 0, (1ll << 42) + 4},
        // Nibble i lies in byte floor(i / 2).
        Passing{"one_nibble", {.element = Element::S4, .shape = {}, .end = 1}, 0, 1},
        Passing{"even_nibbles", {.element = Element::S4, .shape = {4}, .data = 3, .end = 5}, 3, 5},
        Passing{"odd_nibbles", {.element = Element::U4, .shape = {3, 3}, .end = 5}, 0, 5},
        Passing{"strided_nibbles", {.element = Element::U4, .shape = {3}, .strides = Dims{3}, .end = 4}, 0, 4},
        Passing{"nibble_minus_1", {.element = Element::S4, .shape = {2}, .strides = Dims{-1}, .data = 1, .end = 2}, 0,
                2},
        Passing{"nibble_minus_2", {.element = Element::S4, .shape = {3}, .strides = Dims{-1}, .data = 1, .end = 2}, 0,
                2},
        Passing{"nibble_minus_3", {.element = Element::S4, .shape = {4}, .strides = Dims{-1}, .data = 2, .end = 3}, 0,
                3},
        Passing{"2^32_nibbles", {.element = Element::S4, .shape = {k2To32}, .end = k2To31}, 0, k2To31},
        Passing{"bits", {.element = Element::B1, .shape = {17}, .end = 3}, 0, 3},
        Passing{"bits_backwards", {.element = Element::B1, .shape = {10}, .strides = Dims{-1}, .data = 2, .end = 3}, 0,
                3},
        Passing{"blocks", {.element = Element::Q4_0, .shape = {2, 64}, .data = 1, .end = 73}, 1, 73}),
    name_of_row);
// clang-format on

// --- Tensors that do not ---

struct Failing {
  const char* name;
  View view;
  Error error;
  Element element = Element::F32;            // that the plan expects
  std::optional<Dims> shape = std::nullopt;  // likewise; unset: the view's
};

void PrintTo(const Failing& row, std::ostream* out) { *out << row.name; }

Error invalid(std::string text) { return Error::invalid_problem("TestPlan: x" + text); }
Error too_small(std::int64_t needed, std::int64_t got) {
  return Error::buffer_too_small(
      "TestPlan: x needs a buffer of " + std::to_string(needed) + " bytes, got " + std::to_string(got), needed, got);
}
Error outside(const std::string& shape, const std::string& strides) {
  return invalid(", shape " + shape + " with strides " + strides + ", reaches outside the address space");
}

class ArgCheckerRefuses : public ::testing::TestWithParam<Failing> {};

TEST_P(ArgCheckerRefuses, WithKindSizesAndMessage) {
  const Failing& row = GetParam();
  const Result<Reach> reach = kChecker.tensor("x", row.view, row.element, row.shape.value_or(row.view.shape));
  ASSERT_FALSE(reach);
  EXPECT_EQ(reach.error().to_string(), row.error.to_string());
  EXPECT_EQ(reach.error(), row.error);
}

const std::string kMaxText = std::to_string(kMax), kMinText = std::to_string(kMin);
constexpr Element kU8 = Element::U8, kS4 = Element::S4;

// clang-format off
INSTANTIATE_TEST_SUITE_P(
    Tensor, ArgCheckerRefuses,
    ::testing::Values(
        Failing{"device", {.end = 4, .device = Device::cuda(1)}, invalid(" is on cuda:1, expected cpu")},
        Failing{"element", {.element = Element::F16, .end = 4},
                Error::unsupported("TestPlan: x.element is f16, expected f32")},
        Failing{"element_of_the_same_size", {.element = Element::I32, .end = 4},
                Error::unsupported("TestPlan: x.element is i32, expected f32")},
        Failing{"element_outside_the_enumeration", {.element = static_cast<Element>(200), .end = 4},
                Error::unsupported("TestPlan: x.element is invalid, expected f32")},
        Failing{"shape", {.shape = {2, 3}, .end = 24}, invalid(".shape is 2x3, expected 3x2"), Element::F32,
                Dims{3, 2}},
        Failing{"rank", {.shape = {6}, .end = 24}, invalid(".shape is 6, expected 6x1"), Element::F32, Dims{6, 1}},
        Failing{"rank_9", {.shape = Dims::filled(9, 1), .end = 4},
                invalid(".shape is 1x1x1x1x1x1x1x1x… (rank 9), expected 1x1x1x1x1x1x1x1"), Element::F32,
                Dims::filled(8, 1)},
        Failing{"negative_extent", {.shape = {-2}, .end = 24}, invalid(".shape is -2, expected 2"), Element::F32,
                Dims{2}},
        Failing{"too_few_strides", {.shape = {2, 3}, .strides = Dims{1}, .end = 24},
                invalid(".strides has 1 entries, expected one per axis, 2")},
        Failing{"too_many_strides", {.shape = {2}, .strides = Dims{1, 1}, .end = 24},
                invalid(".strides has 2 entries, expected one per axis, 1")},
        Failing{"strides_of_an_empty_view", {.shape = {0}, .strides = Dims{}},
                invalid(".strides has 0 entries, expected one per axis, 1")},
        Failing{"null", {.shape = {2}, .data = -static_cast<std::int64_t>(kBase), .end = 8},
                invalid(".data is null, but the view has elements")},
        Failing{"misaligned", {.shape = {2}, .data = 2, .end = 100},
                Error::misaligned("TestPlan: x.data is 0x7f0000000002, expected a multiple of 4 bytes, the size of "
                                  "f32")},
        Failing{"misaligned_complex64", {.element = Element::Complex64, .data = 4, .end = 100},
                Error::misaligned("TestPlan: x.data is 0x7f0000000004, expected a multiple of 8 bytes, the size of "
                                  "complex64"),
                Element::Complex64},
        // Reach and buffer.
        Failing{"scalar_past_the_buffer", {.end = 3}, too_small(4, 3)},
        Failing{"one_byte_short", {.shape = {2, 3}, .end = 23}, too_small(24, 23)},
        Failing{"counted_from_the_begin_of_the_buffer", {.shape = {2}, .data = 8, .begin = -16, .end = 12},
                too_small(32, 28)},
        Failing{"padded_rows", {.shape = {2, 3}, .strides = Dims{10, 1}, .end = 51}, too_small(52, 51)},
        Failing{"behind_the_buffer", {.shape = {2}, .data = 100, .end = 8}, too_small(108, 8)},
        Failing{"no_buffer", {.shape = {2}}, too_small(8, 0)},
        Failing{"buffer_that_ends_before_it_begins", {.shape = {2}, .end = -8}, too_small(8, 0)},
        Failing{"one_element_before_the_buffer", {.shape = {2}, .strides = Dims{-1}, .end = 100},
                invalid(" reaches 4 bytes before the begin of its buffer")},
        Failing{"before_and_behind", {.shape = {2, 3}, .strides = Dims{-3, 1}, .data = 8, .end = 8},
                invalid(" reaches 4 bytes before the begin of its buffer")},
        Failing{"data_before_the_buffer", {.shape = {1}, .data = -8, .end = 100},
                invalid(" reaches 8 bytes before the begin of its buffer")},
        Failing{"2^31_elements", {.shape = {k2To31}, .end = 4 * k2To31 - 1}, too_small(4 * k2To31, 4 * k2To31 - 1)},
        Failing{"2^32_plus_1_elements", {.shape = {k2To32 + 1}, .end = 4}, too_small(4 * k2To32 + 4, 4)},
        Failing{"rows_whose_product_passes_2^32", {.shape = {65537, 65536}, .end = 1 << 18},
                too_small(std::int64_t{65537} * 65536 * 4, 1 << 18)},
        // Nibbles.
        Failing{"nibble_short", {.element = kS4, .shape = {5}, .end = 2}, too_small(3, 2), kS4},
        Failing{"nibble_minus_1", {.element = kS4, .shape = {2}, .strides = Dims{-1}, .end = 9},
                invalid(" reaches 1 bytes before the begin of its buffer"), kS4},
        Failing{"nibble_minus_2", {.element = kS4, .shape = {2}, .strides = Dims{-2}, .end = 9},
                invalid(" reaches 1 bytes before the begin of its buffer"), kS4},
        Failing{"nibble_minus_3", {.element = kS4, .shape = {2}, .strides = Dims{-3}, .end = 9},
                invalid(" reaches 2 bytes before the begin of its buffer"), kS4},
        Failing{"block_short", {.element = Element::Q6_K, .shape = {257}, .end = 419}, too_small(420, 419),
                Element::Q6_K},
        // Hostile strides.
        Failing{"greatest_stride", {.element = kU8, .shape = {2}, .strides = Dims{kMax}, .end = 8},
                outside("2", kMaxText), kU8},
        Failing{"greatest_stride_but_one", {.element = kU8, .shape = {2}, .strides = Dims{kMax - 1}, .end = 8},
                too_small(kMax, 8), kU8},
        Failing{"far_behind_a_buffer_at_0",
                {.element = kU8, .shape = {2}, .strides = Dims{kMax - 1}, .begin = -static_cast<std::int64_t>(kBase)},
                too_small(kMax, static_cast<std::int64_t>(kBase)), kU8},
        Failing{"greatest_stride_in_bytes", {.shape = {2}, .strides = Dims{kMax / 4 + 1}, .end = 8},
                outside("2", std::to_string(kMax / 4 + 1))},
        Failing{"greatest_stride_times_extent", {.shape = {3}, .strides = Dims{kMax}, .end = 8},
                outside("3", kMaxText)},
        Failing{"sum_of_strides", {.shape = {2, 2}, .strides = Dims{kMax, kMax}, .end = 8},
                outside("2x2", kMaxText + "x" + kMaxText)},
        Failing{"least_stride", {.element = kU8, .shape = {2}, .strides = Dims{kMin}, .end = 8}, outside("2", kMinText),
                kU8},
        Failing{"least_stride_of_f32", {.shape = {2}, .strides = Dims{kMin}, .end = 8}, outside("2", kMinText)},
        Failing{"least_stride_times_extent", {.shape = {3}, .strides = Dims{kMin}, .end = 8}, outside("3", kMinText)},
        Failing{"sum_of_least_strides", {.shape = {2, 2}, .strides = Dims{kMin, kMin}, .end = 8},
                outside("2x2", kMinText + "x" + kMinText)},
        Failing{"both_ends", {.shape = {2, 2}, .strides = Dims{kMin, kMax}, .end = 8},
                outside("2x2", kMinText + "x" + kMaxText)},
        Failing{"greatest_extent_times_least_stride", {.shape = {kMax}, .strides = Dims{kMin}, .end = 8},
                outside(kMaxText, kMinText)},
        Failing{"greatest_extent", {.element = kU8, .shape = {kMax}, .end = 8}, too_small(kMax, 8), kU8},
        Failing{"extents_whose_product_overflows", {.element = kU8, .shape = {k2To32, k2To32}, .end = 8},
                outside("4294967296x4294967296", "4294967296x1"), kU8},
        Failing{"strides_that_contiguous_strides_gave_up",
                {.element = kU8, .shape = {2, k2To32, k2To32}, .end = 8},
                outside("2x4294967296x4294967296", kMaxText + "x4294967296x1"), kU8},
        Failing{"greatest_stride_of_nibbles", {.element = kS4, .shape = {2}, .strides = Dims{kMax}, .end = 8},
                too_small(std::int64_t{1} << 62, 8), kS4},
        Failing{"least_stride_of_nibbles", {.element = kS4, .shape = {2}, .strides = Dims{kMin}, .end = 8},
                outside("2", kMinText), kS4},
        Failing{"below_address_0",
                {.element = kU8, .shape = {2}, .strides = Dims{-static_cast<std::int64_t>(kBase) - 1}, .end = 8},
                outside("2", "-139637976727553"), kU8},
        Failing{"above_the_last_address", {.shape = {4}, .data = -8 - static_cast<std::int64_t>(kBase), .end = 8},
                outside("4", "1")}),
    name_of_row);
// clang-format on

TEST(ArgChecker, AnEmptyViewNeedsNeitherPointerNorBuffer) {
  for (const Dims& shape : {Dims{0}, Dims{3, 0}, Dims{0, kMax, kMax}, Dims{kMax, kMax, 0}}) {
    TensorRef view;
    view.shape = shape;
    view.strides = Dims::filled(shape.rank(), kMin);
    const Result<Reach> reach = kChecker.tensor("x", view, Element::F32, shape);
    ASSERT_TRUE(reach) << reach.error().message;
    EXPECT_TRUE(reach->empty());
    EXPECT_TRUE(kChecker.injective("x", view));
  }
}

TEST(ArgChecker, PointersAreMultiplesOfTheElement) {
  for (const ElementInfo& info : kElements) {
    const std::int64_t alignment = std::max(1, element_bytes(info.element));
    for (std::int64_t data = 0; data <= 32; ++data) {
      const Result<Reach> reach = check({.element = info.element, .shape = {1}, .data = data, .end = 400});
      EXPECT_EQ(reach.has_value(), data % alignment == 0) << info.name << " at " << data;
      EXPECT_TRUE(reach || reach.error().kind == ErrorKind::MisalignedOperand);
    }
  }
}

TEST(ArgChecker, ADeviceIsItsKindAndOrdinal) {
  const ArgChecker checker("TestPlan", Device::cuda(1));
  EXPECT_TRUE(checker.stream(Device::cuda(1)));
  EXPECT_EQ(
      checker.stream(Device::cuda(0)),
      Result<void>(Error::invalid_problem("TestPlan: stream is on cuda:0, but the plan was selected for cuda:1")));
  EXPECT_TRUE(checker.tensor("x", View{.end = 4, .device = Device::cuda(1)}, Element::F32, {}));
  EXPECT_FALSE(checker.tensor("x", View{.end = 4, .device = Device::cuda(0)}, Element::F32, {}));
  EXPECT_FALSE(checker.tensor("x", View{.end = 4}, Element::F32, {}));
}

// --- Against every index ---

Dims draw_dims(int rank, std::int64_t lo, std::int64_t hi, const char* name) {
  Dims dims = Dims::filled(rank, 0);
  for (std::int64_t& value : dims) value = draw(lo, hi, name);
  return dims;
}

/// The offset of every index, in elements.
std::vector<std::int64_t> all_offsets(const Dims& shape, const Dims& strides) {
  std::vector<std::int64_t> offsets = {0};
  for (int axis = 0; axis < shape.size(); ++axis) {
    std::vector<std::int64_t> more;
    for (std::int64_t offset : offsets)
      for (std::int64_t index = 0; index < shape[axis]; ++index) more.push_back(offset + index * strides[axis]);
    offsets = std::move(more);
  }
  return offsets;
}

TEST(ArgChecker, ReachIsThatOfEveryIndex) {
  property(
      "reach of a tensor",
      [] {
        View view;
        const auto rank = static_cast<int>(draw(0, 4, "rank"));
        view.shape = draw_dims(rank, 1, 4, "extent");
        view.strides = draw_dims(rank, -9, 9, "stride");
        view.element = kElements[draw(0, static_cast<std::int64_t>(std::size(kElements)) - 1, "element")].element;
        const ElementLayout layout = find_element(view.element)->layout;

        std::int64_t begin = kMax, end = kMin;
        for (std::int64_t offset : all_offsets(view.shape, *view.strides)) {
          std::int64_t block = offset / layout.block_elems;
          if (block * layout.block_elems > offset) --block;
          begin = std::min(begin, block * layout.block_bytes);
          end = std::max(end, (block + 1) * layout.block_bytes);
        }
        view.begin = begin;
        view.end = end;
        const Result<Reach> reach = check(view);
        ASSERT_TRUE(reach) << reach.error().message;
        EXPECT_EQ(reach->begin, kBase + static_cast<std::uintptr_t>(begin));
        EXPECT_EQ(reach->end, kBase + static_cast<std::uintptr_t>(end));

        view.end = end - 1;
        EXPECT_EQ(check(view).error_or({}), too_small(end - begin, end - begin - 1));
        view.end = end;
        view.begin = begin + 1;
        EXPECT_EQ(check(view).error_or({}), invalid(" reaches 1 bytes before the begin of its buffer"));
      },
      5000);
}

/// Whether in some order of the axes each steps over all that is inside: the rule, by trying every order.
bool steps_over(const Dims& shape, const Dims& strides) {
  std::vector<int> axes;
  for (int axis = 0; axis < shape.size(); ++axis)
    if (shape[axis] > 1) axes.push_back(axis);
  do {
    std::int64_t inside = 0;
    if (std::all_of(axes.begin(), axes.end(), [&](int axis) {
          const std::int64_t stride = std::abs(strides[axis]);
          const bool steps = stride > inside;
          inside += (shape[axis] - 1) * stride;
          return steps;
        }))
      return true;
  } while (std::next_permutation(axes.begin(), axes.end()));
  return false;
}

TEST(Injective, IsTheRuleAndNeverAcceptsAnOverlap) {
  int accepted = 0, refused = 0, unique_but_refused = 0;
  property(
      "injective",
      [&] {
        const auto rank = static_cast<int>(draw(1, 4, "rank"));
        const Dims shape = draw_dims(rank, 1, 4, "extent"), strides = draw_dims(rank, -20, 20, "stride");
        const bool is_injective = kChecker.injective("x", View{.shape = shape, .strides = strides}).has_value();

        std::vector<std::int64_t> offsets = all_offsets(shape, strides);
        std::sort(offsets.begin(), offsets.end());
        const bool is_unique = std::adjacent_find(offsets.begin(), offsets.end()) == offsets.end();
        if (is_injective) {
          EXPECT_TRUE(is_unique);
        }
        EXPECT_EQ(is_injective, steps_over(shape, strides));
        ++(is_injective ? accepted : refused);
        unique_but_refused += is_unique && !is_injective;
      },
      10000);
  // The draws reach all three kinds.
  EXPECT_GT(accepted, 1000);
  EXPECT_GT(refused, 1000);
  EXPECT_GT(unique_but_refused, 100);
}

TEST(Injective, TheMessageNamesTheAxis) {
  EXPECT_EQ(kChecker.injective("x", View{.shape = {4, 3}, .strides = Dims{-2, 1}}).error_or({}),
            invalid(" may overlap itself: the stride -2 of axis 0 does not step over the 3 elements inside"));
  EXPECT_EQ(kChecker.injective("x", View{.shape = {4, 3}, .strides = Dims{3, 0}}).error_or({}),
            invalid(" may overlap itself: the stride 0 of axis 1 does not step over the 1 elements inside"));
  EXPECT_TRUE(kChecker.injective("x", View{.shape = {4, 3}, .strides = Dims{-3, 1}}));
}

TEST(Injective, LargeAndHostileStridesDoNotOverflow) {
  EXPECT_TRUE(kChecker.injective("x", View{.shape = {2, 2}, .strides = Dims{kMax, kMax - 1}}));
  EXPECT_TRUE(kChecker.injective("x", View{.shape = {2, 2}, .strides = Dims{kMin, kMax}}));
  EXPECT_FALSE(kChecker.injective("x", View{.shape = {2, 2}, .strides = Dims{kMin, kMin}}));
  EXPECT_TRUE(kChecker.injective("x", View{.shape = {k2To32, k2To31}}));
  EXPECT_FALSE(kChecker.injective("x", View{.shape = {k2To32, k2To31}, .strides = Dims{k2To31 - 1, 1}}));
}

// --- The other rules ---

VectorRef vector_at(std::int64_t data, Element element, std::int64_t length, std::int64_t end) {
  const TensorRef view = View{.data = data, .end = end};
  return {{view.data, element, length, Device::cpu(), view.buffer}};
}

TEST(ArgChecker, VectorHasTheLengthAndScratchAtLeast) {
  const auto vector = [](std::int64_t length, std::int64_t end, bool scratch) {
    return kChecker.vector("x", vector_at(0, Element::F32, length, end), Element::F32, 5, scratch);
  };
  for (bool scratch : {false, true}) {
    const Result<Reach> reach = vector(5, 20, scratch);
    ASSERT_TRUE(reach) << reach.error().message;
    EXPECT_EQ(reach->begin, kBase);
    EXPECT_EQ(reach->end, kBase + 20);
    EXPECT_EQ(vector(5, 19, scratch).error_or({}), too_small(20, 19));
  }
  EXPECT_TRUE(vector(6, 20, true));  // no more than what is needed must be there
  EXPECT_EQ(vector(6, 24, false).error_or({}), invalid(".length is 6, expected 5"));
  EXPECT_EQ(vector(4, 20, false).error_or({}), invalid(".length is 4, expected 5"));
  EXPECT_EQ(vector(4, 20, true).error_or({}),
            Error::buffer_too_small("TestPlan: x.length is 4, expected at least 5", 20, 16));
  EXPECT_EQ(vector(-1, 20, true).error_or({}),
            Error::buffer_too_small("TestPlan: x.length is -1, expected at least 5", 20, 0));
  EXPECT_EQ(kChecker.vector("x", vector_at(0, kS4, 4, 20), kS4, 7, true).error_or({}),
            Error::buffer_too_small("TestPlan: x.length is 4, expected at least 7", 4, 2));
}

TEST(ArgChecker, VectorIsCheckedAsATensorIs) {
  const auto error = [](const VectorRef& view, std::int64_t length) {
    return kChecker.vector("x", view, Element::F32, length).error_or({});
  };
  VectorRef view = vector_at(0, Element::F32, 5, 20);
  view.device = Device::cuda();
  EXPECT_EQ(error(view, 5), invalid(" is on cuda:0, expected cpu"));
  EXPECT_EQ(error(vector_at(0, Element::F16, 5, 20), 5),
            Error::unsupported("TestPlan: x.element is f16, expected f32"));
  EXPECT_EQ(error(vector_at(2, Element::F32, 5, 40), 5).kind, ErrorKind::MisalignedOperand);
  EXPECT_EQ(error(vector_at(-4, Element::F32, 5, 20), 5), invalid(" reaches 4 bytes before the begin of its buffer"));
  EXPECT_EQ(error(vector_at(0, Element::F32, k2To32, 4), k2To32), too_small(4 * k2To32, 4));
  EXPECT_EQ(error(vector_at(0, Element::F32, kMax, 4), kMax),
            invalid(" of length " + kMaxText + " reaches outside the address space"));
  view = vector_at(0, Element::F32, 5, 20);
  view.data = nullptr;
  EXPECT_EQ(error(view, 5), invalid(".data is null, but the view has elements"));
  const Result<Reach> empty = kChecker.vector("x", VectorRef(), Element::F32, 0);
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->empty());
}

TEST(ArgChecker, RowsAreContiguousWhereTheInnermostStrideIs1) {
  const auto rows = [](Dims shape, Dims strides) {
    return kChecker.contiguous_rows("x", View{.shape = shape, .strides = strides});
  };
  EXPECT_TRUE(rows({}, {}));
  EXPECT_TRUE(rows({4, 3}, {7, 1}));
  EXPECT_TRUE(rows({4, 1}, {7, -5}));
  EXPECT_TRUE(rows({4, 0}, {7, 2}));
  EXPECT_EQ(rows({4, 3}, {1, 4}).error_or({}), Error::unsupported("TestPlan: x.strides[1] is 4, expected 1"));
  EXPECT_EQ(rows({3}, {-1}).error_or({}), Error::unsupported("TestPlan: x.strides[0] is -1, expected 1"));
}

TEST(ArgChecker, RowsOfAMatrixAreApart) {
  const auto matrix = [](const Dims& shape, const Dims& strides) {
    return kChecker.separate_rows("x", View{.shape = shape, .strides = strides});
  };
  EXPECT_TRUE(matrix({4, 3}, {3, 1}));
  EXPECT_TRUE(matrix({4, 3}, {7, 1}));
  EXPECT_TRUE(matrix({1, 3}, {-7, 1}));
  EXPECT_TRUE(matrix({4, 1}, {1, 9}));
  EXPECT_TRUE(matrix({0, 3}, {0, 0}));
  EXPECT_TRUE(matrix({4, 0}, {-1, 0}));
  EXPECT_EQ(matrix({4, 3}, {2, 1}).error_or({}),
            Error::unsupported("TestPlan: x.strides[0] is 2, expected at least 3, the length of a row"));
  EXPECT_EQ(matrix({4, 3}, {-3, 1}).error_or({}),
            Error::unsupported("TestPlan: x.strides[0] is -3, expected at least 3, the length of a row"));
  EXPECT_EQ(matrix({4, 3}, {1, 4}).error_or({}), Error::unsupported("TestPlan: x.strides[1] is 4, expected 1"));
}

TEST(ArgChecker, ContiguousHasNoGaps) {
  const auto tensor = [](const Dims& shape, const Dims& strides) {
    return kChecker.contiguous("x", View{.shape = shape, .strides = strides});
  };
  EXPECT_TRUE(tensor({}, {}));
  EXPECT_TRUE(tensor({4, 3, 2}, {6, 2, 1}));
  EXPECT_TRUE(tensor({4, 1, 2}, {2, 99, 1}));
  EXPECT_TRUE(tensor({4, 0}, {5, 5}));
  EXPECT_EQ(tensor({4, 3}, {4, 1}).error_or({}),
            Error::unsupported("TestPlan: x.strides is 4x1, expected 3x1, a contiguous tensor"));
  EXPECT_EQ(tensor({4, 3}, {1, 4}).error_or({}),
            Error::unsupported("TestPlan: x.strides is 1x4, expected 3x1, a contiguous tensor"));
}

TEST(ArgChecker, DisjointRangesMayTouch) {
  struct Row {
    Reach a, b;
    bool disjoint;
  };
  for (const Row& row : {Row{{10, 20}, {20, 30}, true},  // touch
                         {{10, 20}, {30, 40}, true},
                         {{10, 20}, {19, 30}, false},  // by one byte
                         {{10, 20}, {10, 20}, false},
                         {{10, 20}, {12, 15}, false},  // inside
                         {{10, 20}, {0, 100}, false},
                         {{10, 20}, {15, 15}, true},  // empty, inside
                         {{0, 0}, {0, 100}, true},
                         {{0, 0}, {0, 0}, true}}) {
    for (const auto& [a, b] : {std::pair(row.a, row.b), std::pair(row.b, row.a)}) {
      const Result<void> disjoint = kChecker.disjoint({"y", a}, {"x", b});
      EXPECT_EQ(disjoint.has_value(), row.disjoint) << a.begin << "-" << a.end << " " << b.begin << "-" << b.end;
      if (!row.disjoint) {
        EXPECT_EQ(disjoint.error_or({}),
                  Error::invalid_problem("TestPlan: y and x overlap in memory, expected disjoint byte ranges"));
      }
    }
  }
}

TEST(ArgChecker, WorkspaceIsLargeAlignedAndThere) {
  const auto workspace = [](std::uintptr_t address, std::int64_t bytes, std::int64_t needed,
                            Device device = Device::cpu()) {
    return kChecker.workspace(Workspace(reinterpret_cast<void*>(address), bytes, device), needed);
  };
  const auto too_small = [](std::int64_t needed, std::int64_t got) {
    return Result<void>(Error::workspace_too_small(
        "TestPlan: workspace has " + std::to_string(got) + " bytes, expected at least " + std::to_string(needed),
        needed, got));
  };
  EXPECT_TRUE(workspace(kBase, 100, 100));
  EXPECT_TRUE(workspace(kBase, 101, 100));
  EXPECT_TRUE(workspace(kBase + 256, 8 * k2To32, 8 * k2To32));
  EXPECT_EQ(workspace(kBase, 99, 100), too_small(100, 99));
  EXPECT_EQ(workspace(kBase, -5, 100), too_small(100, -5));
  EXPECT_EQ(workspace(0, 100, 100), too_small(100, 0));
  EXPECT_EQ(workspace(kBase, 8 * k2To32 - 1, 8 * k2To32), too_small(8 * k2To32, 8 * k2To32 - 1));
  EXPECT_EQ(kChecker.workspace(Workspace::none(), 1), too_small(1, 0));
  EXPECT_EQ(
      workspace(kBase + 128, 100, 100),
      Result<void>(Error::misaligned("TestPlan: workspace is at 0x7f0000000080, expected a multiple of 256 bytes")));
  EXPECT_EQ(workspace(kBase, 100, 100, Device::cuda()),
            Result<void>(Error::invalid_problem("TestPlan: workspace is on cuda:0, expected cpu")));

  EXPECT_TRUE(kChecker.workspace(Workspace::none(), 0));
  EXPECT_TRUE(workspace(kBase + 1, 0, 0, Device::cuda()));  // not looked at where none is needed
}

TEST(ArgChecker, SuccessAllocatesAndFormatsNothing) {
  if (!kCanCountCalls) GTEST_SKIP() << "a sanitizer has taken the functions";
  const TensorRef tensor = View{.shape = {2, 3}, .end = 24};
  const VectorRef vector = vector_at(0, Element::F32, 5, 20);
  const Workspace workspace(reinterpret_cast<void*>(kBase), 100, Device::cpu());
  CallCounter counter;
  const ArgChecker checker("TestPlan", Device::cpu());
  bool passed = checker.stream(Device::cpu()).has_value();
  passed &= checker.tensor("x", tensor, Element::F32, {2, 3}).has_value();
  passed &= checker.vector("x", vector, Element::F32, 5).has_value();
  passed &= checker.injective("x", tensor).has_value();
  passed &= checker.contiguous_rows("x", tensor).has_value();
  passed &= checker.contiguous("x", tensor).has_value();
  passed &= checker.disjoint({"y", {1, 2}}, {"x", {2, 3}}).has_value();
  passed &= checker.workspace(workspace, 100).has_value();
  const int calls = counter.stop().total();
  EXPECT_TRUE(passed);
  EXPECT_EQ(calls, 0);
}

TEST(CheckedElements, IsTheProductOrNothing) {
  property(
      "checked_elements against 128-bit arithmetic",
      [] {
        const auto rank = static_cast<int>(draw(0, 6, "rank"));
        const Dims shape = draw_dims(rank, -1, std::int64_t{1} << draw(0, 40, "log2(extent)"), "extent");
        __int128 product = 1;
        bool negative = false;
        for (std::int64_t extent : shape) negative |= extent < 0;
        for (std::int64_t extent : shape) product = std::min<__int128>(product, __int128{1} << 64) * extent;
        if (std::find(shape.begin(), shape.end(), 0) != shape.end()) product = 0;
        std::int64_t elements = -1;
        const bool fits = checked_elements(shape, &elements);
        EXPECT_EQ(fits, !negative && product <= kMax) << shape.to_string();
        if (fits) {
          EXPECT_EQ(elements, static_cast<std::int64_t>(product)) << shape.to_string();
        }
      },
      1000);
  std::int64_t elements = -1;
  EXPECT_TRUE(checked_elements({kMax}, &elements));
  EXPECT_EQ(elements, kMax);
  EXPECT_TRUE(checked_elements({kMax, kMax, 0}, &elements));
  EXPECT_EQ(elements, 0);
  EXPECT_FALSE(checked_elements({k2To32, k2To31}, &elements));
  EXPECT_FALSE(checked_elements({0, -1}, &elements));
}

}  // namespace
}  // namespace baracuda

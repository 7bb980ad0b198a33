// The harness finds what it exists to find.

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <concepts>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "baracuda/cuda/stream_access.h"
#include "testing/case_text.h"
#include "testing/devices.h"
#include "testing/guarded_buffer.h"
#include "testing/placement.h"
#include "testing/property.h"
#include "testing/random.h"

namespace baracuda::testing {
namespace {

// --- Case text ---

enum class Layout { Rcr, Rrr };
std::string_view name_of(Layout layout) { return layout == Layout::Rcr ? "rcr" : "rrr"; }

struct AllFields {
  std::int64_t m = 1;
  int slot = -1;
  std::uint64_t seed = 1;
  bool in_place = false;
  Element element = Element::F32;
  std::optional<Element> bias;
  Dims shape;
  std::optional<Dims> strides;
  Layout layout = Layout::Rcr;
  Arch arch = Arch::Cpu;
  std::string path;
  std::optional<std::int64_t> cap = 7;

  friend bool operator==(const AllFields&, const AllFields&) = default;
};

template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, AllFields>
void visit_fields(Self& self, Visit&& visit) {
  visit("m", self.m);
  visit("slot", self.slot);
  visit("seed", self.seed);
  visit("in_place", self.in_place);
  visit("element", self.element);
  visit("bias", self.bias);
  visit("shape", self.shape);
  visit("strides", self.strides);
  visit("layout", self.layout);
  visit("arch", self.arch);
  visit("path", self.path);
  visit("cap", self.cap);
}

}  // namespace

template <>
struct EnumValues<Layout> {
  static constexpr Layout values[] = {Layout::Rcr, Layout::Rrr};
};

namespace {

TEST(CaseText, DefaultsAreNotPrinted) { EXPECT_EQ(print_case("op", AllFields{}), "op"); }

TEST(CaseText, EveryFieldPrintsAndReadsBack) {
  const AllFields value{.m = std::numeric_limits<std::int64_t>::min(),
                        .slot = 3,
                        .seed = std::numeric_limits<std::uint64_t>::max(),
                        .in_place = true,
                        .element = Element::S4,
                        .bias = Element::Q4_K,
                        .shape = {32, 8, 0},
                        .strides = Dims{4, -1, 0},
                        .layout = Layout::Rrr,
                        .arch = Arch::Sm90a,
                        .path = "a/b",
                        .cap = std::nullopt};
  const std::string text = print_case("op", value);
  EXPECT_EQ(
      text,
      "op m=-9223372036854775808 slot=3 seed=18446744073709551615 in_place=true element=s4 bias=q4_k shape=32x8x0 "
      "strides=4x-1x0 layout=rrr arch=sm90a path=a/b cap=none");
  const Result<AllFields> read = parse_case<AllFields>("op", text);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, value);
}

TEST(CaseText, OrderAndBlanksDoNotMatter) {
  const Result<AllFields> read = parse_case<AllFields>("op", "  op \t shape=scalar  m=5 ");
  ASSERT_TRUE(read) << read.error().message;
  AllFields expected;
  expected.m = 5;
  EXPECT_EQ(*read, expected);
}

TEST(CaseText, DimsOfTooHighARankKeepIt) {
  AllFields value;
  value.shape = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const Result<AllFields> read = parse_case<AllFields>("op", print_case("op", value));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->shape.rank(), 9);
  EXPECT_EQ(*read, value);
}

TEST(CaseText, WhatIsWrongIsNamed) {
  struct Row {
    const char *text, *field, *expected;
  };
  for (const Row& row : {Row{"other m=1", "\"other\"", "expected \"op\""},
                         {"", "\"\"", "expected \"op\""},
                         {"op n=1", "field n", "expected one of m, slot"},
                         {"op m=1 m=1", "field m", "expected once"},
                         {"op m", "\"m\"", "expected name=value"},
                         {"op =1", "\"=1\"", "expected name=value"},
                         {"op m=", "field m", "a whole number"},
                         {"op m=1.5", "field m is \"1.5\"", "a whole number"},
                         {"op m=9223372036854775808", "field m", "to 9223372036854775807"},
                         {"op slot=2147483648", "field slot", "to 2147483647"},
                         {"op seed=-1", "field seed", "from 0"},
                         {"op in_place=1", "field in_place", "true or false"},
                         {"op element=f33", "field element is \"f33\"", "f16, bf16"},
                         {"op element=none", "field element", "f16, bf16"},
                         {"op shape=4x", "field shape", "4x1024"},
                         {"op shape=4xx2", "field shape", "4x1024"},
                         {"op strides=a", "field strides", "4x1024"},
                         {"op layout=col", "field layout", "rcr, rrr"},
                         {"op arch=sm70", "field arch", "sm80, sm89"}}) {
    const Result<AllFields> read = parse_case<AllFields>("op", row.text);
    ASSERT_FALSE(read) << row.text;
    EXPECT_EQ(read.error().kind, ErrorKind::InvalidProblem);
    EXPECT_NE(read.error().message.find(row.field), std::string::npos) << read.error().message;
    EXPECT_NE(read.error().message.find(row.expected), std::string::npos) << read.error().message;
  }
}

TEST(CaseText, OpIsTheFirstWord) {
  EXPECT_EQ(case_op("  write_slice element=f32"), "write_slice");
  EXPECT_EQ(case_op(" "), "");
}

// --- Random numbers and properties ---

TEST(Random, DrawsReachBothEndsAndNothingElse) {
  Random random(1);
  bool low = false, high = false;
  for (int i = 0; i < 1000; ++i) {
    const std::int64_t value = random.draw(-2, 2);
    ASSERT_TRUE(-2 <= value && value <= 2);
    low |= value == -2;
    high |= value == 2;
  }
  EXPECT_TRUE(low && high);
  random.draw(std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max());
}

TEST(Property, OneThatHoldsPasses) {
  int runs = 0;
  property("a draw is in its range", [&] {
    ++runs;
    const std::int64_t value = draw(-3, 9);
    EXPECT_LE(-3, value);
    EXPECT_GE(9, value);
  });
  EXPECT_EQ(runs, 100);
}

TEST(Property, AFailureIsShrunkAndReportedOnce) {
  EXPECT_NONFATAL_FAILURE(property("small", [] { EXPECT_LT(draw(0, 100000, "m"), 17); }), "shrunk to m=17\n");
  EXPECT_NONFATAL_FAILURE(property("two", [] { ASSERT_LT(draw(0, 900, "m") + draw(5, 900, "n"), 40); }),
                          "actual: 40 vs 40");
}

// --- Placements ---

TEST(Placement, IsFromTheFirstByteToTheLast) {
  struct Row {
    Element element;
    Dims shape, strides;
    std::int64_t origin_bytes, bytes;
  };
  for (const Row& row :
       {Row{Element::F32, {3, 4}, {}, 0, 48},
        {Element::F32, {3, 4}, {5, 1}, 0, 56},
        {Element::F32, {3, 4}, {-5, 1}, 40, 56},
        {Element::F32, {3, 4}, {-4, -1}, 44, 48},
        {Element::F32, {3, 4}, {0, 1}, 0, 16},
        {Element::F32, {1, 4}, {std::numeric_limits<std::int64_t>::min(), 1}, 0, 16},
        {Element::F32, {3, 0}, {std::numeric_limits<std::int64_t>::max(), 1}, 0, 0},
        {Element::F32, {}, {}, 0, 4},
        {Element::U8, {2}, {GuardedBuffer::kMaxBytes - 1}, 0, GuardedBuffer::kMaxBytes},
        {Element::U8, {2}, {1 - GuardedBuffer::kMaxBytes}, GuardedBuffer::kMaxBytes - 1, GuardedBuffer::kMaxBytes},
        {Element::S4, {5}, {}, 0, 3},
        {Element::S4, {6}, {-1}, 3, 4},  // the element at index 0 is the low nibble of its byte
        {Element::S4, {5}, {-1}, 2, 3},
        {Element::S4, {2, 3}, {-3, 1}, 2, 4}}) {
    const Result<Placement> placement = place("x", row.element, row.shape, row.strides);
    ASSERT_TRUE(placement) << placement.error().message;
    EXPECT_EQ(placement->origin_bytes, row.origin_bytes) << row.shape.to_string() << " " << row.strides.to_string();
    EXPECT_EQ(placement->bytes, row.bytes) << row.shape.to_string() << " " << row.strides.to_string();
  }
}

TEST(Placement, WhatIsWrongIsNamed) {
  constexpr auto kMin = std::numeric_limits<std::int64_t>::min(), kMax = std::numeric_limits<std::int64_t>::max();
  struct Row {
    const char* field;
    Dims shape, strides;
    int misalignment = 0;
    Element element = Element::F32;
  };
  for (const Row& row : {Row{"x_strides", {3, 4}, {1}},
                         {"x_strides", {3}, {1, 2, 3, 4, 5, 6, 7, 8, 9}},
                         {"x_strides", {}, {1}},
                         {"x_misalignment", {3}, {}, -4},
                         {"x_misalignment", {3}, {}, 256},
                         {"x_misalignment", {3}, {}, 2},
                         {"x_misalignment", {3}, {}, 300, Element::S4},
                         {"x,", {1 << 20, 1 << 20}, {}},
                         {"x,", {kMax}, {}},
                         {"x,", {2}, {kMax}},
                         {"x,", {2}, {kMin}},
                         {"x,", {2, 2}, {kMin, kMax}},
                         {"x,", {2, 2}, {kMax, kMax}},
                         {"x,", {3}, {kMin}},
                         {"x,", {2}, {GuardedBuffer::kMaxBytes}, 0, Element::U8},
                         {"x,", {2, 2}, {GuardedBuffer::kMaxBytes - 1, -1}, 0, Element::U8}}) {
    const Result<Placement> placement = place("x", row.element, row.shape, row.strides, row.misalignment);
    ASSERT_FALSE(placement) << row.shape.to_string() << " " << row.strides.to_string();
    EXPECT_EQ(placement.error().kind, ErrorKind::InvalidProblem);
    EXPECT_EQ(placement.error().message.rfind(row.field, 0), 0u) << placement.error().message;
  }
}

// --- Buffers ---

class GuardedBufferTest : public ::testing::TestWithParam<Device> {
 protected:
  void SetUp() override {
    Result<Stream> made = make_stream(GetParam());
    ASSERT_TRUE(made) << made.error().message;
    stream = *made;
  }
  /// Changes the byte at an offset from the data, behind the buffer's back.
  void change_byte(const GuardedBuffer& buffer, std::int64_t offset) {
    unsigned char* address = static_cast<unsigned char*>(buffer.data()) + offset;
    if (GetParam().is_cpu()) {
      *address ^= 0xff;
      return;
    }
    unsigned char value = 0;
    const cuda::CUdeviceptr pointer = cuda::as_device_pointer(address);
    const cuda::CUstream handle = StreamAccess::handle(stream);
    ASSERT_TRUE(cuda::call(StreamAccess::device(stream), "read a byte", [&](const cuda::DriverApi& api) {
      return api.cuMemcpyDtoHAsync_v2(&value, pointer, 1, handle);
    }));
    ASSERT_TRUE(stream.synchronize());
    ASSERT_TRUE(cuda::call(StreamAccess::device(stream), "write a byte", [&](const cuda::DriverApi& api) {
      return api.cuMemsetD8Async(pointer, static_cast<unsigned char>(~value), 1, handle);
    }));
  }
  Stream stream = Stream::cpu();
};

TEST_P(GuardedBufferTest, GoesThereAndBack) {
  Random random(1);
  for (int misalignment : {0, 1, 15, 255}) {
    for (std::int64_t bytes : {0, 1, 17, 4096}) {
      auto buffer = GuardedBuffer::create("x", stream, bytes, random, misalignment);
      ASSERT_TRUE(buffer) << buffer.error().message;
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer->data()) % 256, static_cast<std::uintptr_t>(misalignment));
      random.fill_bytes(buffer->image());
      const std::vector<std::byte> sent(buffer->image().begin(), buffer->image().end());
      ASSERT_TRUE(buffer->upload());
      ASSERT_TRUE(buffer->expect_unchanged());
      random.fill_bytes(buffer->image());
      ASSERT_TRUE(buffer->download());
      EXPECT_TRUE(std::equal(sent.begin(), sent.end(), buffer->image().begin(), buffer->image().end()));
      EXPECT_EQ(buffer->range().bytes(), static_cast<std::uint64_t>(bytes));
    }
  }
}

TEST_P(GuardedBufferTest, WhatThereCannotBeIsRefused) {
  Random random(1);
  struct Row {
    std::int64_t bytes;
    int misalignment;
  };
  for (const Row& row : {Row{-1, 0}, {GuardedBuffer::kMaxBytes + 1, 0}, {8, -1}, {8, 256}}) {
    const auto buffer = GuardedBuffer::create("dest", stream, row.bytes, random, row.misalignment);
    ASSERT_FALSE(buffer);
    EXPECT_EQ(buffer.error().kind, ErrorKind::InvalidProblem);
    EXPECT_EQ(buffer.error().message.rfind("dest", 0), 0u) << buffer.error().message;
  }
}

TEST_P(GuardedBufferTest, AWriteOutsideIsFound) {
  Random random(1);
  for (std::int64_t offset : {-256, -1, 100, 355}) {
    auto buffer = GuardedBuffer::create("dest", stream, 100, random);
    ASSERT_TRUE(buffer && buffer->upload());
    change_byte(*buffer, offset);
    const Result<void> found = buffer->download();
    ASSERT_FALSE(found);
    EXPECT_NE(found.error().message.find("dest, the guard"), std::string::npos) << found.error().message;
    EXPECT_FALSE(buffer->expect_unchanged());
  }
}

TEST_P(GuardedBufferTest, AChangedInputIsFound) {
  Random random(1);
  auto buffer = GuardedBuffer::create("source", stream, 100, random);
  ASSERT_TRUE(buffer && buffer->upload());
  change_byte(*buffer, 99);
  const Result<void> found = buffer->expect_unchanged();
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().message.find("byte 99 of 100"), std::string::npos) << found.error().message;
}

INSTANTIATE_TEST_SUITE_P(Devices, GuardedBufferTest, ::testing::ValuesIn(test_devices()), NameOfParam());

}  // namespace
}  // namespace baracuda::testing

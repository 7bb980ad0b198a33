#include "baracuda/core/element.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "baracuda/core/view.h"

namespace baracuda {
namespace {

struct Row {
  Element element;
  int value;  // the C ABI's
  const char* name;
  int block_elems, block_bytes;
};

// Typed a second time. The GGUF kinds as the sums of the fields of ggml's structs, in their order.
// clang-format off
constexpr Row kRows[] = {
    {Element::F16,        0,  "f16",        1,   2                 },
    {Element::Bf16,       1,  "bf16",       1,   2                 },
    {Element::F32,        2,  "f32",        1,   4                 },
    {Element::F64,        3,  "f64",        1,   8                 },
    {Element::I8,         4,  "i8",         1,   1                 },
    {Element::I16,        5,  "i16",        1,   2                 },
    {Element::I32,        6,  "i32",        1,   4                 },
    {Element::I64,        7,  "i64",        1,   8                 },
    {Element::U8,         8,  "u8",         1,   1                 },
    {Element::U16,        9,  "u16",        1,   2                 },
    {Element::U32,        10, "u32",        1,   4                 },
    {Element::U64,        11, "u64",        1,   8                 },
    {Element::Bool,       12, "bool",       1,   1                 },
    {Element::F8E4M3,     13, "f8e4m3",     1,   1                 },
    {Element::F8E5M2,     14, "f8e5m2",     1,   1                 },
    {Element::Complex64,  15, "complex64",  1,   4 + 4             },
    {Element::Complex128, 16, "complex128", 1,   8 + 8             },
    {Element::S4,         17, "s4",         2,   1                 },
    {Element::U4,         18, "u4",         2,   1                 },
    {Element::B1,         19, "b1",         8,   1                 },
    {Element::Q4_0,       32, "q4_0",       32,  2 + 16            },
    {Element::Q4_1,       33, "q4_1",       32,  2 + 2 + 16        },
    {Element::Q5_0,       34, "q5_0",       32,  2 + 4 + 16        },
    {Element::Q5_1,       35, "q5_1",       32,  2 + 2 + 4 + 16    },
    {Element::Q8_0,       36, "q8_0",       32,  2 + 32            },
    {Element::Q2_K,       37, "q2_k",       256, 16 + 64 + 2 + 2   },
    {Element::Q3_K,       38, "q3_k",       256, 32 + 64 + 12 + 2  },
    {Element::Q4_K,       39, "q4_k",       256, 2 + 2 + 12 + 128  },
    {Element::Q5_K,       40, "q5_k",       256, 2 + 2 + 12 + 32 + 128},
    {Element::Q6_K,       41, "q6_k",       256, 128 + 64 + 16 + 2 },
    {Element::Q8_K,       42, "q8_k",       256, 4 + 256 + 2 * 16  },
    {Element::Iq4Nl,      43, "iq4_nl",     32,  2 + 16            },
    {Element::Iq4Xs,      44, "iq4_xs",     256, 2 + 2 + 4 + 128   },
    {Element::Mxfp4,      45, "mxfp4",      32,  1 + 16            },
};
// clang-format on

TEST(Element, TableHoldsTheFormats) {
  ASSERT_EQ(std::size(kElements), std::size(kRows));
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(static_cast<int>(row.element), row.value);
    const ElementInfo* info = find_element(row.element);
    ASSERT_NE(info, nullptr);
    EXPECT_EQ(info->element, row.element);
    EXPECT_STREQ(info->name, row.name);
    EXPECT_STREQ(name_of(row.element), row.name);
    EXPECT_EQ(info->layout.block_elems, row.block_elems);
    EXPECT_EQ(info->layout.block_bytes, row.block_bytes);
    EXPECT_EQ(is_byte_wide(row.element), row.block_elems == 1);
    EXPECT_EQ(element_bytes(row.element), row.block_elems == 1 ? row.block_bytes : 0);
    EXPECT_EQ(is_packed_4bit(row.element), row.value == 17 || row.value == 18);
  }
}

TEST(Element, NamesAndValuesAreUnique) {
  std::set<std::string> names;
  std::set<Element> values;
  for (const ElementInfo& info : kElements) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_TRUE(values.insert(info.element).second) << info.name;
  }
}

// ArgChecker relies on both.
TEST(Element, BlocksAndByteWideElementsArePowersOfTwo) {
  for (const ElementInfo& info : kElements) {
    EXPECT_EQ(info.layout.block_elems & (info.layout.block_elems - 1), 0) << info.name;
    EXPECT_EQ(element_bytes(info.element) & (element_bytes(info.element) - 1), 0) << info.name;
  }
}

TEST(Element, AValueOutsideTheEnumerationIsHarmless) {
  for (int value : {20, 31, 46, 255}) {
    const auto element = static_cast<Element>(value);
    EXPECT_EQ(find_element(element), nullptr);
    EXPECT_STREQ(name_of(element), "invalid");
    EXPECT_FALSE(is_byte_wide(element));
    EXPECT_FALSE(is_packed_4bit(element));
    EXPECT_EQ(element_bytes(element), 0);
  }
}

template <class T>
void expect_stands_for(Element element) {
  EXPECT_EQ(ElementOf<T>::value, element);
  EXPECT_EQ(sizeof(T), static_cast<std::size_t>(element_bytes(element))) << name_of(element);
}

TEST(ElementOf, IsTheKindOfTheSameSize) {
  expect_stands_for<float>(Element::F32);
  expect_stands_for<double>(Element::F64);
  expect_stands_for<std::int8_t>(Element::I8);
  expect_stands_for<std::int16_t>(Element::I16);
  expect_stands_for<std::int32_t>(Element::I32);
  expect_stands_for<std::int64_t>(Element::I64);
  expect_stands_for<std::uint8_t>(Element::U8);
  expect_stands_for<std::uint16_t>(Element::U16);
  expect_stands_for<std::uint32_t>(Element::U32);
  expect_stands_for<std::uint64_t>(Element::U64);
  expect_stands_for<bool>(Element::Bool);
}

}  // namespace
}  // namespace baracuda

#pragma once

// Includes nothing, so that kernels compiled by NVRTC can use it too.

namespace baracuda {

/// What one element of a tensor is. The values are part of the C ABI and never change.
///
/// S4 and U4 are packed pairs: one byte holds two neighbours along the packed axis, the low nibble is the even
/// index, the high nibble the odd one. S4 is two's complement (-8 … 7), U4 is 0 … 15. B1 packs eight bits a byte.
/// Complex64 is two f32, Complex128 two f64. The kinds from Q4_0 on are GGUF blocks (docs: ggml's block formats).
enum class Element : unsigned char {
  F16 = 0,
  Bf16 = 1,
  F32 = 2,
  F64 = 3,
  I8 = 4,
  I16 = 5,
  I32 = 6,
  I64 = 7,
  U8 = 8,
  U16 = 9,
  U32 = 10,
  U64 = 11,
  Bool = 12,
  F8E4M3 = 13,
  F8E5M2 = 14,
  Complex64 = 15,
  Complex128 = 16,
  S4 = 17,
  U4 = 18,
  B1 = 19,
  Q4_0 = 32,
  Q4_1 = 33,
  Q5_0 = 34,
  Q5_1 = 35,
  Q8_0 = 36,
  Q2_K = 37,
  Q3_K = 38,
  Q4_K = 39,
  Q5_K = 40,
  Q6_K = 41,
  Q8_K = 42,
  Iq4Nl = 43,
  Iq4Xs = 44,
  Mxfp4 = 45,
};

/// Storage of one element kind: `block_bytes` bytes hold `block_elems` elements. An ordinary kind has one element
/// a block; packed and GGUF kinds have more.
struct ElementLayout {
  int block_elems;
  int block_bytes;
};

/// Name and storage of an element kind: one row of the table below.
struct ElementInfo {
  Element element;
  const char* name;
  ElementLayout layout;
};

/// Every element kind, once. Block sizes of the GGUF kinds: ggml/src/ggml-common.h.
inline constexpr ElementInfo kElements[] = {
    {Element::F16, "f16", {1, 2}},
    {Element::Bf16, "bf16", {1, 2}},
    {Element::F32, "f32", {1, 4}},
    {Element::F64, "f64", {1, 8}},
    {Element::I8, "i8", {1, 1}},
    {Element::I16, "i16", {1, 2}},
    {Element::I32, "i32", {1, 4}},
    {Element::I64, "i64", {1, 8}},
    {Element::U8, "u8", {1, 1}},
    {Element::U16, "u16", {1, 2}},
    {Element::U32, "u32", {1, 4}},
    {Element::U64, "u64", {1, 8}},
    {Element::Bool, "bool", {1, 1}},
    {Element::F8E4M3, "f8e4m3", {1, 1}},
    {Element::F8E5M2, "f8e5m2", {1, 1}},
    {Element::Complex64, "complex64", {1, 8}},
    {Element::Complex128, "complex128", {1, 16}},
    {Element::S4, "s4", {2, 1}},
    {Element::U4, "u4", {2, 1}},
    {Element::B1, "b1", {8, 1}},
    {Element::Q4_0, "q4_0", {32, 18}},
    {Element::Q4_1, "q4_1", {32, 20}},
    {Element::Q5_0, "q5_0", {32, 22}},
    {Element::Q5_1, "q5_1", {32, 24}},
    {Element::Q8_0, "q8_0", {32, 34}},
    {Element::Q2_K, "q2_k", {256, 84}},
    {Element::Q3_K, "q3_k", {256, 110}},
    {Element::Q4_K, "q4_k", {256, 144}},
    {Element::Q5_K, "q5_k", {256, 176}},
    {Element::Q6_K, "q6_k", {256, 210}},
    {Element::Q8_K, "q8_k", {256, 292}},
    {Element::Iq4Nl, "iq4_nl", {32, 18}},
    {Element::Iq4Xs, "iq4_xs", {256, 136}},
    {Element::Mxfp4, "mxfp4", {32, 17}},
};

/// The table's row for `element`; a value outside the enumeration gives a null pointer.
constexpr const ElementInfo* find_element(Element element) {
  for (const ElementInfo& info : kElements)
    if (info.element == element) return &info;
  return nullptr;
}

/// The name in skus, cases and messages ("f32"), "invalid" for a value outside the enumeration.
constexpr const char* name_of(Element element) {
  const ElementInfo* info = find_element(element);
  return info ? info->name : "invalid";
}

/// True for S4 and U4.
constexpr bool is_packed_4bit(Element element) { return element == Element::S4 || element == Element::U4; }

/// True for kinds of which one element is a whole number of bytes.
constexpr bool is_byte_wide(Element element) {
  const ElementInfo* info = find_element(element);
  return info && info->layout.block_elems == 1;
}

/// Bytes of one element of a byte-wide kind, 0 for the others.
constexpr int element_bytes(Element element) {
  return is_byte_wide(element) ? find_element(element)->layout.block_bytes : 0;
}

}  // namespace baracuda

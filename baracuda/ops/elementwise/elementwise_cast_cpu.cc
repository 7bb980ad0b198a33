#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "baracuda/ops/elementwise/elementwise_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "baracuda/ops/elementwise/elementwise_cast_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "baracuda/cpu/convert-inl.h"
#include "baracuda/ops/elementwise/elementwise_loops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace baracuda {
namespace HWY_NAMESPACE {

template <Element kElement>
void Load(void* to, const void* from, std::int64_t count) {
  using Kind = KindOf<kElement>;
  auto* values = static_cast<typename Kind::Value*>(to);
  const auto* stored = static_cast<const typename Kind::Stored*>(from);
  std::int64_t i = 0;
  if constexpr (Kind::kIsNarrow)
    for (; i + kLanes<Vec<float>> <= count; i += kLanes<Vec<float>>)
      store_lanes(load_narrow<kElement>(stored + i), values + i);
#pragma GCC ivdep
  for (; i < count; ++i) values[i] = Kind::load(stored[i]);
}

template <Element kElement, class V>
void Store(void* to, const void* from, std::int64_t count) {
  using Kind = KindOf<kElement>;
  auto* stored = static_cast<typename Kind::Stored*>(to);
  const auto* values = static_cast<const V*>(from);
  std::int64_t i = 0;
  if constexpr (std::is_same_v<V, float>)
    for (; i + kLanes<Vec<float>> <= count; i += kLanes<Vec<float>>)
      store_narrow<kElement>(load_lanes<Vec<float>>(values + i), stored + i);
#pragma GCC ivdep
  for (; i < count; ++i) stored[i] = Kind::store(values[i]);
}

ElementwiseConversion LoadOf(Element element) {
  switch (element) {
    case Element::F16: return &Load<Element::F16>;
    case Element::Bf16: return &Load<Element::Bf16>;
    case Element::F8E4M3: return &Load<Element::F8E4M3>;
    case Element::F8E5M2: return &Load<Element::F8E5M2>;
    case Element::Bool: return &Load<Element::Bool>;
    default: return nullptr;
  }
}

/// A bool's value is its byte, 0 or 1.
template <class V>
ElementwiseConversion StoreOf(Element element) {
  switch (element) {
    case Element::F16: return &Store<Element::F16, V>;
    case Element::Bf16: return &Store<Element::Bf16, V>;
    case Element::F8E4M3: return &Store<Element::F8E4M3, V>;
    case Element::F8E5M2: return &Store<Element::F8E5M2, V>;
    default: return nullptr;
  }
}
ElementwiseConversion StoreOfF32(Element element) { return StoreOf<float>(element); }
ElementwiseConversion StoreOfF64(Element element) { return StoreOf<double>(element); }

/// A table of 256 bytes, 16 to a row: all rows are looked into, and the index's upper bits choose among what they give.
void Lookup(const ElementwiseBlock& block) {
  const auto* const from = static_cast<const std::uint8_t*>(block.inputs[0]);
  auto* const to = static_cast<std::uint8_t*>(block.output);
  std::int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::ScalableTag<std::uint8_t> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  hn::Vec<decltype(d)> rows[16];
  for (int row = 0; row < 16; ++row) rows[row] = hn::LoadDup128(d, block.table + 16 * row);
  for (; i + lanes <= block.count; i += lanes) {
    const auto index = hn::LoadU(d, from + i);
    const auto column = hn::And(index, hn::Set(d, 15));
    const auto has_bit = [&](int bit) { return hn::TestBit(index, hn::Set(d, static_cast<std::uint8_t>(1 << bit))); };
    hn::Vec<decltype(d)> found[16];
    for (int row = 0; row < 16; ++row) found[row] = hn::TableLookupBytes(rows[row], column);
    for (int bit = 4; bit < 8; ++bit)
      for (int row = 0; row < 16 >> (bit - 3); ++row)
        found[row] = hn::IfThenElse(has_bit(bit), found[2 * row + 1], found[2 * row]);
    hn::StoreU(found[0], d, to + i);
  }
#endif
  for (; i < block.count; ++i) to[i] = block.table[from[i]];
}

ElementwiseLoop LookupLoop() { return &Lookup; }

template <class From, Element kOutput>
void CastValues(const ElementwiseBlock& block) {
  using Kind = KindOf<kOutput>;
  using To = decltype(cast_value<Kind>(From()));
  auto* out = static_cast<To*>(block.output);
  const auto* x = static_cast<const From*>(block.inputs[0]);
  const std::int64_t count = block.count;  // which a store of bytes could change, for all the compiler knows
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) out[i] = cast_value<Kind>(x[i]);
}

template <class From>
ElementwiseLoop CastLoopFrom(Element output) {
  switch (output) {
    // The four narrow kinds are rounded from the same value.
    case Element::F16:
    case Element::Bf16:
    case Element::F8E4M3:
    case Element::F8E5M2:
      if constexpr (std::is_floating_point_v<From>)
        return nullptr;
      else
        return &CastValues<From, Element::F16>;
    case Element::F32: return &CastValues<From, Element::F32>;
    case Element::F64: return &CastValues<From, Element::F64>;
    case Element::I8: return &CastValues<From, Element::I8>;
    case Element::I16: return &CastValues<From, Element::I16>;
    case Element::I32: return &CastValues<From, Element::I32>;
    case Element::I64: return &CastValues<From, Element::I64>;
    case Element::U8: return &CastValues<From, Element::U8>;
    case Element::U16: return &CastValues<From, Element::U16>;
    case Element::U32: return &CastValues<From, Element::U32>;
    case Element::U64: return &CastValues<From, Element::U64>;
    default: return &CastValues<From, Element::Bool>;
  }
}

ElementwiseLoop CastLoop(Element element, Element output) {
  if (output == Element::F32 && LoadOf(element) && element != Element::Bool) return nullptr;
  switch (element) {
    case Element::F64: return CastLoopFrom<double>(output);
    case Element::I8: return CastLoopFrom<signed char>(output);
    case Element::I16: return CastLoopFrom<short>(output);
    case Element::I32: return CastLoopFrom<int>(output);
    case Element::I64: return CastLoopFrom<long long>(output);
    case Element::U8: return CastLoopFrom<unsigned char>(output);
    case Element::U16: return CastLoopFrom<unsigned short>(output);
    case Element::U32: return CastLoopFrom<unsigned>(output);
    case Element::U64: return CastLoopFrom<unsigned long long>(output);
    case Element::Bool: return CastLoopFrom<bool>(output);
    default: return CastLoopFrom<float>(output);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace baracuda
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "baracuda/cpu/dispatch.h"

namespace baracuda {

ElementwiseLoop elementwise_cast_loop(CpuTarget target, Element element, Element output) {
  return BARACUDA_CPU_FUNCTION(target, CastLoop)(element, output);
}
ElementwiseLoop elementwise_lookup(CpuTarget target) { return BARACUDA_CPU_FUNCTION(target, LookupLoop)(); }
ElementwiseConversion elementwise_load(CpuTarget target, Element element) {
  return BARACUDA_CPU_FUNCTION(target, LoadOf)(element);
}
ElementwiseConversion elementwise_store(CpuTarget target, Element element, bool from_f64) {
  return from_f64 ? BARACUDA_CPU_FUNCTION(target, StoreOfF64)(element)
                  : BARACUDA_CPU_FUNCTION(target, StoreOfF32)(element);
}

}  // namespace baracuda
#endif

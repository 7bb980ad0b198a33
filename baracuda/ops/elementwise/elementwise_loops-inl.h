// Loops over blocks of values, once per instruction set, and tables of them by operator. For the elementwise_*_cpu.cc
// files, inside HWY_NAMESPACE.

#if defined(BARACUDA_ELEMENTWISE_LOOPS) == defined(HWY_TARGET_TOGGLE)  // once per instruction set
#ifdef BARACUDA_ELEMENTWISE_LOOPS
#undef BARACUDA_ELEMENTWISE_LOOPS
#else
#define BARACUDA_ELEMENTWISE_LOOPS
#endif

#include "baracuda/cpu/simd-inl.h"
#include "baracuda/ops/elementwise/elementwise_compute.cuh"

HWY_BEFORE_NAMESPACE();
namespace baracuda {
namespace HWY_NAMESPACE {

/// One value at a time. The compiler makes vector code of it: these formulas hold no branches, and an output that is an
/// input is written where that was read, so nothing is carried from one index to the next.
template <ElementwiseOp kOp, class V>
void EachValue(const ElementwiseBlock& block) {
  constexpr bool kHasCondition = kOp == ElementwiseOp::Where;
  constexpr ElementwiseTraits kTraits = traits_of(kOp);
  using X = std::conditional_t<kHasCondition, bool, V>;
  using Out = std::conditional_t<kTraits.output == ElementwiseOutput::Predicate, bool, V>;
  auto* out = static_cast<Out*>(block.output);
  const auto* x = static_cast<const X*>(block.inputs[0]);
  // What is not there is not looked at, but the formula takes three.
  const auto* y = static_cast<const V*>(block.inputs[kTraits.num_inputs > 1 ? 1 : 0]);
  const auto* z = static_cast<const V*>(block.inputs[kTraits.num_inputs > 2 ? 2 : 0]);
  const V s0 = scalar_value<V>(block.scalars[0]), s1 = scalar_value<V>(block.scalars[1]);
  const std::int64_t count = block.count;  // which a store of bytes could change, for all the compiler knows
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) out[i] = apply_row<kOp, false, X, V>(x[i], y[i], z[i], s0, s1);
}

/// A vector at a time, for formulas of floats, some of which branch where any of their values needs it.
template <ElementwiseOp kOp, bool kIsNarrow, class T>
void EachVector(const ElementwiseBlock& block) {
  using V = Vec<T>;
  constexpr int kNumInputs = traits_of(kOp).num_inputs;
  constexpr std::int64_t kCount = kLanes<V>;
  auto* out = static_cast<T*>(block.output);
  const T* inputs[3];
  for (int k = 0; k < 3; ++k) inputs[k] = static_cast<const T*>(block.inputs[k < kNumInputs ? k : 0]);
  const V s0(scalar_value<T>(block.scalars[0])), s1(scalar_value<T>(block.scalars[1]));
  const auto compute = [&](const T* x, const T* y, const T* z, T* to) {
    const V vx = load_lanes<V>(x);
    const V vy = kNumInputs > 1 ? load_lanes<V>(y) : vx;
    const V vz = kNumInputs > 2 ? load_lanes<V>(z) : vx;
    store_lanes(apply_row<kOp, kIsNarrow, V, V>(vx, vy, vz, s0, s1), to);
  };
  std::int64_t i = 0;
  for (; i + kCount <= block.count; i += kCount) compute(inputs[0] + i, inputs[1] + i, inputs[2] + i, out + i);
  if (i == block.count) return;
  // What is left, in vectors of their own.
  T last[3][kCount] = {}, results[kCount];
  for (int k = 0; k < kNumInputs; ++k) std::copy(inputs[k] + i, inputs[k] + block.count, last[k]);
  compute(last[0], last[1], last[2], results);
  std::copy_n(results, block.count - i, out + i);
}

template <ElementwiseOp kOp, Element kComputed, bool kIsNarrow>
constexpr ElementwiseLoop LoopOf() {
  using V = typename KindOf<kComputed>::Value;
  constexpr bool kIsFloat = kComputed == Element::F32 || kComputed == Element::F64;
  constexpr bool kIsPredicate = traits_of(kOp).output == ElementwiseOutput::Predicate;
  constexpr bool kHasNarrowText = kIsNarrow && traits_of(kOp).has_narrow_text;  // if not, the loop is that of f32
  if constexpr (!traits_of(kOp).elements.contains(kComputed) || kOp == ElementwiseOp::Cast) return nullptr;
  // It moves bits, which are computed as unsigned integers.
  else if constexpr (kOp == ElementwiseOp::Where && !(kIsInteger<V> && !kIsSigned<V>))
    return nullptr;
  else if constexpr (kIsFloat && !kIsPredicate)
    return &EachVector<kOp, kHasNarrowText, V>;
  else
    return &EachValue<kOp, V>;
}

/// The loops of one type, by operator. Narrow: of the values of kinds of 16 and 8 bits.
template <Element kComputed, bool kIsNarrow = false>
ElementwiseLoop FindLoop(ElementwiseOp op) {
  static constexpr ElementwiseLoop kLoops[] = {
#define ROW(Name, ...) LoopOf<ElementwiseOp::Name, kComputed, kIsNarrow>(),
#include "baracuda/ops/elementwise/elementwise_rows.def"
  };
  return kLoops[static_cast<std::size_t>(op)];
}

}  // namespace HWY_NAMESPACE
}  // namespace baracuda
HWY_AFTER_NAMESPACE();

#endif

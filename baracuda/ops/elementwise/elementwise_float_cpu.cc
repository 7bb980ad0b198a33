#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "baracuda/ops/elementwise/elementwise_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "baracuda/ops/elementwise/elementwise_float_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "baracuda/ops/elementwise/elementwise_loops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace baracuda {
namespace HWY_NAMESPACE {

ElementwiseLoop FloatLoop(ElementwiseOp op, Element computed, bool is_narrow) {
  switch (computed) {
    case Element::F32: return is_narrow ? FindLoop<Element::F32, true>(op) : FindLoop<Element::F32>(op);
    case Element::F64: return FindLoop<Element::F64>(op);
    default: return nullptr;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace baracuda
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "baracuda/cpu/dispatch.h"

namespace baracuda {

ElementwiseLoop elementwise_float_loop(CpuTarget target, ElementwiseOp op, Element computed, bool is_narrow) {
  return BARACUDA_CPU_FUNCTION(target, FloatLoop)(op, computed, is_narrow);
}

}  // namespace baracuda
#endif

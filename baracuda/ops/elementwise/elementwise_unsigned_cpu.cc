#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "baracuda/ops/elementwise/elementwise_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "baracuda/ops/elementwise/elementwise_unsigned_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "baracuda/ops/elementwise/elementwise_loops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace baracuda {
namespace HWY_NAMESPACE {

ElementwiseLoop UnsignedLoop(ElementwiseOp op, Element computed) {
  switch (computed) {
    case Element::U8: return FindLoop<Element::U8>(op);
    case Element::U16: return FindLoop<Element::U16>(op);
    case Element::U32: return FindLoop<Element::U32>(op);
    case Element::U64: return FindLoop<Element::U64>(op);
    case Element::Bool: return FindLoop<Element::Bool>(op);
    default: return nullptr;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace baracuda
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "baracuda/cpu/dispatch.h"

namespace baracuda {

ElementwiseLoop elementwise_unsigned_loop(CpuTarget target, ElementwiseOp op, Element computed) {
  return BARACUDA_CPU_FUNCTION(target, UnsignedLoop)(op, computed);
}

}  // namespace baracuda
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "baracuda/ops/elementwise/elementwise_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "baracuda/ops/elementwise/elementwise_signed_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "baracuda/ops/elementwise/elementwise_loops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace baracuda {
namespace HWY_NAMESPACE {

ElementwiseLoop SignedLoop(ElementwiseOp op, Element computed) {
  switch (computed) {
    case Element::I8: return FindLoop<Element::I8>(op);
    case Element::I16: return FindLoop<Element::I16>(op);
    case Element::I32: return FindLoop<Element::I32>(op);
    case Element::I64: return FindLoop<Element::I64>(op);
    default: return nullptr;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace baracuda
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "baracuda/cpu/dispatch.h"

namespace baracuda {

ElementwiseLoop elementwise_signed_loop(CpuTarget target, ElementwiseOp op, Element computed) {
  return BARACUDA_CPU_FUNCTION(target, SignedLoop)(op, computed);
}

}  // namespace baracuda
#endif

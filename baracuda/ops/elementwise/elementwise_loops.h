#pragma once

#include "baracuda/core/arch.h"
#include "baracuda/ops/elementwise/elementwise_cpu.h"

namespace baracuda {

/// A row's formula over blocks of the values that `element` is computed as.
ElementwiseLoop elementwise_loop(CpuTarget target, ElementwiseOp op, Element element);

/// A cast from the values of `element` to those of `output`. Null where these are the same, as for the floats that
/// elementwise_load or elementwise_store converts.
ElementwiseLoop elementwise_cast_loop(CpuTarget target, Element element, Element output);

/// Looks bytes up in the block's table.
ElementwiseLoop elementwise_lookup(CpuTarget target);

/// Elements to the values that they are computed as, and back. Null where elements are values. A float of 16 or 8 bits
/// is stored from f32, or where that would round before it, from f64.
ElementwiseConversion elementwise_load(CpuTarget target, Element element);
ElementwiseConversion elementwise_store(CpuTarget target, Element element, bool from_f64);

// The parts of elementwise_loop, a file each; null for an operator that does not take the element.
ElementwiseLoop elementwise_float_loop(CpuTarget target, ElementwiseOp op, Element computed, bool is_narrow);
ElementwiseLoop elementwise_signed_loop(CpuTarget target, ElementwiseOp op, Element computed);
ElementwiseLoop elementwise_unsigned_loop(CpuTarget target, ElementwiseOp op, Element computed);

}  // namespace baracuda

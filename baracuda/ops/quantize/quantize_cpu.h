#pragma once

#include "baracuda/core/arch.h"
#include "baracuda/ops/quantize/quantize_config.h"

namespace baracuda {

/// The whole of `op` on the CPU, for any strides. `element` is x's, `q_bits` as in QuantizeConfig.
using QuantizeCpuKernel = void (*)(const QuantizeParams& params, QuantizeOp op, Element element, int q_bits,
                                   int num_threads);

QuantizeCpuKernel quantize_cpu_kernel(CpuTarget target);

}  // namespace baracuda

#pragma once

#include "baracuda/core/arch.h"
#include "baracuda/core/element.h"
#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize_config.h"

namespace baracuda {

/// Quantizes rows on the CPU. Divisors and lanes of `params` are the GPU's.
using DynamicRangeQuantizeCpuKernel = void (*)(const DynamicRangeQuantizeParams& params, Element element,
                                               bool symmetric, int num_threads);

DynamicRangeQuantizeCpuKernel dynamic_range_quantize_cpu_kernel(CpuTarget target);

}  // namespace baracuda

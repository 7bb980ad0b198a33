#pragma once

#include "baracuda/core/arch.h"
#include "baracuda/ops/write_slice/write_slice_config.h"

namespace baracuda {

/// Moves a window on the CPU. Reads axes, corners, row_bytes and the positions of `params`; num_items, divisors and
/// chunks are the GPU's. `element_bytes` as in WriteSliceConfig.
using WriteSliceCpuKernel = void (*)(const WriteSliceParams& params, WriteSliceVariant variant, int element_bytes,
                                     int num_threads);

WriteSliceCpuKernel write_slice_cpu_kernel(CpuTarget target);

}  // namespace baracuda

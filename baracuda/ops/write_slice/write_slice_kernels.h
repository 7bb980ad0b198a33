#pragma once

#include "baracuda/jit/kernel_spec.h"
#include "baracuda/ops/write_slice/write_slice_config.h"

namespace baracuda {

/// The kernel's text for one config.
jit::KernelSpec write_slice_kernel(const WriteSliceConfig& config, const CodeTarget& target);

}  // namespace baracuda

#pragma once

#include <vector>

#include "baracuda/core/preference.h"
#include "baracuda/jit/kernel_spec.h"
#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize.h"
#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize_config.h"

namespace baracuda {

/// The kernel's text for one config.
jit::KernelSpec dynamic_range_quantize_kernel(const DynamicRangeQuantizeConfig& config, const CodeTarget& target);

/// The kernels that `select` prepares for the descriptor; none on the CPU. Errors: as `choose`.
Result<std::vector<jit::KernelSpec>> plan_kernels(const DynamicRangeQuantizeDescriptor& descriptor,
                                                  const PlanPreference& preference, const DeviceInfo& device);

}  // namespace baracuda

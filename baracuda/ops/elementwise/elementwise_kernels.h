#pragma once

#include <vector>

#include "baracuda/core/preference.h"
#include "baracuda/jit/kernel_spec.h"
#include "baracuda/ops/elementwise/elementwise.h"
#include "baracuda/ops/elementwise/elementwise_config.h"

namespace baracuda {

/// The kernel's text for one config.
jit::KernelSpec elementwise_kernel(const ElementwiseConfig& config, const CodeTarget& target);

/// The kernels that `select` prepares for the descriptor; none on the CPU. Errors: as `choose`.
Result<std::vector<jit::KernelSpec>> plan_kernels(const ElementwiseDescriptor& descriptor,
                                                  const PlanPreference& preference, const DeviceInfo& device);

}  // namespace baracuda

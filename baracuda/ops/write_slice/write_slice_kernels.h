#pragma once

#include <vector>

#include "baracuda/core/preference.h"
#include "baracuda/jit/kernel_spec.h"
#include "baracuda/ops/write_slice/write_slice.h"
#include "baracuda/ops/write_slice/write_slice_config.h"

namespace baracuda {

/// The kernel's text for one config.
jit::KernelSpec write_slice_kernel(const WriteSliceConfig& config, const CodeTarget& target);

/// The kernels that `select` prepares for the descriptor; none on the CPU. Errors: as `choose`.
Result<std::vector<jit::KernelSpec>> plan_kernels(const WriteSliceDescriptor& descriptor,
                                                  const PlanPreference& preference, const DeviceInfo& device);

}  // namespace baracuda

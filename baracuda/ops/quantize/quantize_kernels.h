#pragma once

#include <vector>

#include "baracuda/core/preference.h"
#include "baracuda/jit/kernel_spec.h"
#include "baracuda/ops/quantize/dequantize.h"
#include "baracuda/ops/quantize/fake_quantize.h"
#include "baracuda/ops/quantize/fake_quantize_backward.h"
#include "baracuda/ops/quantize/quantize.h"
#include "baracuda/ops/quantize/quantize_config.h"

namespace baracuda {

/// The kernel's text for one config.
jit::KernelSpec quantize_kernel(const QuantizeConfig& config, const CodeTarget& target);

/// The kernels that `select` prepares for the descriptor; none on the CPU. Errors: as `choose`.
Result<std::vector<jit::KernelSpec>> plan_kernels(const QuantizeDescriptor& descriptor,
                                                  const PlanPreference& preference, const DeviceInfo& device);
Result<std::vector<jit::KernelSpec>> plan_kernels(const DequantizeDescriptor& descriptor,
                                                  const PlanPreference& preference, const DeviceInfo& device);
Result<std::vector<jit::KernelSpec>> plan_kernels(const FakeQuantizeDescriptor& descriptor,
                                                  const PlanPreference& preference, const DeviceInfo& device);
Result<std::vector<jit::KernelSpec>> plan_kernels(const FakeQuantizeBackwardDescriptor& descriptor,
                                                  const PlanPreference& preference, const DeviceInfo& device);

}  // namespace baracuda

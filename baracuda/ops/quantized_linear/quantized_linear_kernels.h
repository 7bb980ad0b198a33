#pragma once

#include <vector>

#include "baracuda/core/preference.h"
#include "baracuda/jit/kernel_spec.h"
#include "baracuda/ops/quantized_linear/quantized_linear.h"
#include "baracuda/ops/quantized_linear/quantized_linear_config.h"

namespace baracuda {

enum class QuantizedLinearVariant : unsigned char { Tile128x256, Tile64x64, Tile16x32, Unaligned };
inline constexpr int kNumQuantizedLinearVariants = 4;

/// What a variant is compiled for.
QuantizedLinearConfig quantized_linear_config(QuantizedLinearVariant variant, Element weight_element,
                                              Element output_element);

/// The kernel's text for one config.
jit::KernelSpec quantized_linear_kernel(const QuantizedLinearConfig& config, const CodeTarget& target);

/// The kernels that `select` prepares for the descriptor, the quantizer's first; none on the CPU. Errors: as `choose`.
Result<std::vector<jit::KernelSpec>> plan_kernels(const QuantizedLinearDescriptor& descriptor,
                                                  const PlanPreference& preference, const DeviceInfo& device);

}  // namespace baracuda

#pragma once

#include <optional>
#include <vector>

#include "baracuda/core/preference.h"
#include "baracuda/jit/kernel_spec.h"
#include "baracuda/ops/quantized_linear/quantized_linear.h"
#include "baracuda/ops/quantized_linear/quantized_linear_config.h"

namespace baracuda {

enum class QuantizedLinearVariant : unsigned char {
  WgmmaCluster2,
  Wgmma,
  Swapped128x32,
  Swapped256x32,
  Swapped128x64,
  Swapped256x64,
  Swapped128x128,
  Swapped256x128,
  Tile128x256,
  Tile64x64,
  Tile16x32,
  Unaligned,
};
inline constexpr int kNumQuantizedLinearVariants = 12;

/// The kernel's text for a variant; none where the class or the elements have no such variant. Activations share
/// kernels, all or some of them.
std::optional<jit::KernelSpec> quantized_linear_kernel(QuantizedLinearVariant variant, Element weight_element,
                                                       Element output_element, Activation activation, Arch arch,
                                                       const CodeTarget& target);

/// The kernels that `select` prepares for the descriptor, the quantizer's first; none on the CPU. Errors: as `choose`.
Result<std::vector<jit::KernelSpec>> plan_kernels(const QuantizedLinearDescriptor& descriptor,
                                                  const PlanPreference& preference, const DeviceInfo& device);

}  // namespace baracuda

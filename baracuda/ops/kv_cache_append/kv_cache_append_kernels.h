#pragma once

#include <vector>

#include "baracuda/core/preference.h"
#include "baracuda/jit/kernel_spec.h"
#include "baracuda/ops/kv_cache_append/kv_cache_append.h"
#include "baracuda/ops/kv_cache_append/kv_cache_append_config.h"

namespace baracuda {

/// The kernel's text for one config.
jit::KernelSpec kv_cache_append_kernel(const KvCacheAppendConfig& config, const CodeTarget& target);

/// The kernels that `select` prepares for the descriptor; none on the CPU. Errors: as `choose`.
Result<std::vector<jit::KernelSpec>> plan_kernels(const KvCacheAppendDescriptor& descriptor,
                                                  const PlanPreference& preference, const DeviceInfo& device);

}  // namespace baracuda

#pragma once

#include "baracuda/jit/kernel_spec.h"
#include "baracuda/ops/kv_cache_append/kv_cache_append_config.h"

namespace baracuda {

/// The kernel's text for one config.
jit::KernelSpec kv_cache_append_kernel(const KvCacheAppendConfig& config, const CodeTarget& target);

}  // namespace baracuda

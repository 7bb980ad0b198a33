#pragma once

#include <vector>

#include "baracuda/core/device.h"
#include "baracuda/cuda/launch.h"
#include "baracuda/jit/compiler.h"
#include "bench/ceilings/ceilings_config.h"

// The kernels of bench/ceilings, as the library's own are made, but from texts that the library does not hold. They are
// not kept on disk.

namespace baracuda::bench {

jit::KernelSpec read_kernel(const CodeTarget& target);
jit::KernelSpec bulk_copy_ring_kernel(const RingConfig& config, const CodeTarget& target);  ///< sm_90 and up
jit::KernelSpec mma_rate_kernel(MatrixKind kind, const CodeTarget& target);
jit::KernelSpec wgmma_rate_kernel(MatrixKind kind, const CodeTarget& target);  ///< sm_90a alone
jit::KernelSpec empty_kernel(const CodeTarget& target);

/// All that a device of this class is measured with.
std::vector<jit::KernelSpec> ceiling_kernels(Arch arch);

/// Errors: as jit::compile; Backend where registers are spilled or ptxas could not use an instruction as written, which
/// would make the rate another.
Result<jit::CompiledKernel> compile_ceiling_kernel(const jit::KernelSpec& spec);

}  // namespace baracuda::bench

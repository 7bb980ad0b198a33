#pragma once

#include <memory>

#include "baracuda/core/result.h"
#include "baracuda/core/stream.h"
#include "baracuda/cuda/launch.h"
#include "baracuda/jit/kernel_spec.h"

namespace baracuda::jit {

/// The kernel, ready to launch on the stream's device: from the process's loaded kernels, else process_kernel's. What
/// was loaded stays so until the process ends. Local memory is reported by the kernel, not refused.
/// Errors: as process_kernel; Unsupported where something had to be compiled or loaded while the stream is captured;
/// InvalidProblem for a CPU stream; Backend.
Result<std::shared_ptr<const cuda::Kernel>> load_kernel(const KernelSpec& spec, const Stream& stream);

}  // namespace baracuda::jit

#pragma once

#include <span>

#include "baracuda/core/kernel_report.h"
#include "baracuda/jit/kernel_spec.h"

namespace baracuda::jit {

/// Compiles the kernels, or takes them from the process's cache, and tells what became of each. Needs no device.
/// Errors: as process_kernel.
Result<CompileReport> compile_report(std::span<const KernelSpec> specs);

}  // namespace baracuda::jit

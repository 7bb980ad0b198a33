#pragma once

#include "baracuda/core/kernel_report.h"
#include "baracuda/jit/kernel_spec.h"

namespace baracuda::jit {

/// Compiles the kernel, or takes it from the process's cache, and tells what became of it. Needs no device.
/// Errors: as compile.
Result<KernelReport> compile_report(const KernelSpec& spec);

}  // namespace baracuda::jit

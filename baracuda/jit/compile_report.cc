#include "baracuda/jit/compile_report.h"

#include "baracuda/core/propagate.h"
#include "baracuda/jit/kernel_cache.h"

namespace baracuda::jit {

Result<CompileReport> compile_report(std::span<const KernelSpec> specs) {
  CompileReport report;
  for (const KernelSpec& spec : specs) {
    BARACUDA_ASSIGN_OR_RETURN(const auto kernel, process_kernel(spec));
    const KernelResources& resources = kernel->resources;
    report.kernels.push_back({.name = spec.name,
                              .target = spec.target.name(),
                              .registers = resources.registers,
                              .shared_bytes = resources.static_shared_bytes,
                              .stack_bytes = resources.stack_bytes,
                              .spill_bytes = resources.spill_bytes(),
                              .warnings = resources.warnings,
                              .seconds = kernel->seconds});
  }
  return report;
}

}  // namespace baracuda::jit

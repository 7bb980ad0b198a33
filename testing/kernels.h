#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "baracuda/core/arch.h"
#include "baracuda/core/result.h"
#include "baracuda/jit/compiler.h"
#include "baracuda/jit/jit.h"
#include "baracuda/jit/kernel_spec.h"
#include "testing/op.h"

namespace baracuda::testing {

/// What kernels are compiled for: a device, there or typical, and what is forced on it.
struct CompileTarget {
  std::string name;  ///< "sm90a", or as in skus "sm80@sm90" where the class is not compiled for its own target
  DeviceInfo device;
  PlanPreference preference = {};
};
/// What plans are compiled for on the device if nothing is forced.
CompileTarget compile_target(const DeviceInfo& device);
/// Of "sm90a", the class on its typical device, or "sm80@sm90", the class forced on a device of that compute
/// capability. Errors: InvalidProblem.
Result<CompileTarget> parse_compile_target(std::string_view name);
/// sm80, sm89, sm90a.
std::vector<CompileTarget> native_compile_targets();

/// A kernel that a plan may compile.
struct OpKernel {
  const Op* op;
  std::string target;  ///< a CompileTarget's name
  jit::KernelSpec spec;
};

/// The kernels of some lines, each once, in the order of the lines, then of the targets. A line is an op's name, for
/// all kernels of the op, or a case, for those that `select` prepares for it. `line_idx` becomes the first bad line's.
/// Errors: InvalidProblem (no op, no case); as the plan's `choose`.
Result<std::vector<OpKernel>> kernels_of(std::span<const std::string> lines, std::span<const CompileTarget> targets,
                                         std::size_t* line_idx = nullptr);
/// The lines that name every op.
std::vector<std::string> all_ops();
/// Op::all_kernels of every op.
std::vector<OpKernel> all_kernels_of(std::span<const CompileTarget> targets);

/// The key with which the kernel is cached, in hex, for a compiler "13.0". Needs neither compiler nor GPU.
/// Errors: InvalidProblem for a version that is none, and as jit::kernel_key.
Result<std::string> key_of(const OpKernel& kernel, std::string_view nvrtc_version);

struct CompiledOpKernel {
  jit::KernelResources resources = {};
  double seconds = 0;
  std::string problem = {};  ///< the compiler's error, spilled registers, or a C75xx warning; empty where it is sound
};
/// Compiles all of them, on as many threads as the machine has. The answers are in the order of the kernels.
/// Errors: Unsupported (no NVRTC).
Result<std::vector<CompiledOpKernel>> compile_kernels(std::span<const OpKernel> kernels);

/// What became of compiling kernels into the folder that keeps them.
struct WarmReport {
  std::int64_t compiled = 0;
  std::int64_t present = 0;           ///< there before, in the folder or in a loaded pack
  std::vector<std::string> problems;  ///< of kernels that did not compile, or that the folder does not keep
};
/// Compiles what is not there yet, on as many threads as the machine has.
/// Errors: Unsupported (no folder; no NVRTC where something has to be compiled); as jit::KernelPacks::process.
Result<WarmReport> warm_kernels(std::span<const OpKernel> kernels);

/// Compiles the kernels, or takes them from the folder that keeps them, and writes a pack of them (jit/kernel_pack.h)
/// at the path, where there is at any time the old file, the new one, or none. Returns what jit.h says of a loaded one.
/// Errors: Unsupported (no NVRTC), Io; of a kernel, as jit::compile.
Result<KernelPackInfo> write_kernel_pack(const std::string& path, std::span<const OpKernel> kernels);

}  // namespace baracuda::testing

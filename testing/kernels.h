#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "baracuda/core/arch.h"
#include "baracuda/core/result.h"
#include "baracuda/jit/compiler.h"
#include "baracuda/jit/kernel_spec.h"
#include "testing/op.h"

namespace baracuda::testing {

/// A kernel that some plan of an op may compile on the typical device of an arch class.
struct OpKernel {
  const Op* op;
  Arch device_arch;
  jit::KernelSpec spec;
};

/// Every kernel of the ops on these classes, in the order of ops, then of classes.
std::vector<OpKernel> kernels_of(std::span<const Op* const> ops, std::span<const Arch> archs);

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

}  // namespace baracuda::testing

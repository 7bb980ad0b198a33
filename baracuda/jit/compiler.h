#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "baracuda/core/result.h"
#include "baracuda/jit/kernel_spec.h"

namespace baracuda::jit {

/// What the compiler's log says of a kernel. Bytes of local memory count per thread.
struct KernelResources {
  int registers = 0;
  int static_shared_bytes = 0;
  int stack_bytes = 0;  ///< the largest frame; spilled registers are part of it
  int spill_store_bytes = 0;
  int spill_load_bytes = 0;
  std::vector<std::string> warnings;  ///< ptxas's (C75xx) lines: an instruction that it could not use as written

  int spill_bytes() const { return spill_store_bytes + spill_load_bytes; }
  /// Spilled registers and warnings, in words; empty where there are none.
  std::string problem() const;
  friend bool operator==(const KernelResources&, const KernelResources&) = default;
};

/// Reads what `--ptxas-options=-v` and its warnings wrote.
KernelResources parse_log(std::string_view log);

struct CompiledKernel {
  KernelKey key;
  std::vector<std::byte> cubin;
  KernelResources resources;
  std::string log;
  double seconds = 0;  ///< that the compiler took
};

/// Compiles with the process's NVRTC and its embedded headers; needs no device. Safe from many threads, which compile
/// in parallel. Errors: Unsupported (no NVRTC), Backend (with NVRTC's status and log), InvalidProblem (an include that
/// is not embedded).
Result<CompiledKernel> compile(const KernelSpec& spec);
/// The same with the given compiler and headers.
Result<CompiledKernel> compile(const KernelSpec& spec, const NvrtcApi& nvrtc, std::span<const EmbeddedSource> sources);

}  // namespace baracuda::jit

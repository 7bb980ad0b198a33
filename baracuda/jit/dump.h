#pragma once

#include <string>
#include <string_view>

#include "baracuda/jit/compiler.h"

namespace baracuda::jit {

/// Writes a kernel for people and tools, for BARACUDA_JIT_DUMP: NAME.TARGET-HASH.cu, its text, whose first line tells
/// the options; .log; .cubin, the machine code alone. The hash is the key's beginning, too short for a name of the
/// cache's, so that both may share a folder. A failure is told on stderr.
void dump_kernel(const std::string& dir, const KernelSpec& spec, const CompiledKernel& kernel);
/// The same for one that did not compile: text and log.
void dump_failed_kernel(const std::string& dir, const KernelSpec& spec, const KernelKey& key, std::string_view log);

}  // namespace baracuda::jit

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "baracuda/core/result.h"
#include "baracuda/jit/compiler.h"

namespace baracuda::jit {

/// A compiled kernel as a file keeps it. Text first, so that `head` shows what it is; then the machine code:
///
///   baracuda kernel 1                 the form's version
///   checksum <SHA-256 of all that follows this line>
///   manifest <bytes> ⏎ …              as kernel_manifest writes it
///   registers, static_shared_bytes, stack_bytes, spill_store_bytes, spill_load_bytes <number>
///   warnings <bytes> ⏎ …
///   log <bytes> ⏎ …
///   microseconds <that the compiler took>
///   cubin <bytes> ⏎ …                 to the end
struct KernelEntry {
  std::string manifest;
  CompiledKernel kernel;  ///< its key is not read back: the manifest has it

  /// The value of the manifest's first line of that kind: "name", "target", "nvrtc".
  std::string_view manifest_field(std::string_view kind) const;
};

/// Errors: Backend (no SHA-256).
Result<std::string> encode_entry(std::string_view manifest, const CompiledKernel& kernel);

/// Empty for all that encode_entry of this version did not write, or not like that: damaged, cut short, longer.
/// Errors: Backend (no SHA-256), which says nothing of the bytes.
Result<std::optional<KernelEntry>> decode_entry(std::string_view bytes);

}  // namespace baracuda::jit

#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "baracuda/core/arch.h"
#include "baracuda/core/device.h"
#include "baracuda/core/result.h"
#include "baracuda/jit/embedded_sources.h"
#include "baracuda/jit/nvrtc.h"

namespace baracuda::jit {

/// Every kernel text defines one entry of this name.
inline constexpr const char* kKernelEntry = "baracuda_kernel";

/// A kernel before it is compiled.
struct KernelSpec {
  std::string name;  ///< for people and file names: "write_slice.rows.v16"; does not change the code
  std::string text;  ///< a few lines that include embedded headers and define extern "C" baracuda_kernel
  CodeTarget target;
  bool debug = false;  ///< with line information and device asserts (BARACUDA_JIT_DEBUG)
};

/// The sources that `text` includes, directly or through others, sorted by name. Follows every `#include "…"`,
/// conditional ones too. `<…>` is not followed: NVRTC is given no folder to find such a header in.
/// Errors: InvalidProblem (an include that is not embedded).
Result<std::vector<const EmbeddedSource*>> included_sources(std::string_view text,
                                                            std::span<const EmbeddedSource> sources);

/// The options that a kernel is compiled with.
std::vector<std::string> compile_options(const CodeTarget& target, bool debug = false);

/// SHA-256 of everything that decides the machine code: format version, text, name and content of all included
/// headers, options, target, NVRTC's version. Nothing else is in it, so two specs that differ in name alone share a
/// kernel, and a cache may move between machines.
struct KernelKey {
  std::array<std::uint8_t, 32> digest{};

  std::string hex() const;
  friend auto operator<=>(const KernelKey&, const KernelKey&) = default;
};

/// Needs no NVRTC. Errors: as included_sources.
Result<KernelKey> kernel_key(const KernelSpec& spec, NvrtcVersion version,
                             std::span<const EmbeddedSource> sources = embedded_sources());

/// What the key was made of, and the name: a line per field, with a digest in place of each text. A stored kernel
/// carries it, so that one of other sources is told from ours by more than a hash, and by people.
/// Errors: as included_sources.
Result<std::string> kernel_manifest(const KernelSpec& spec, const KernelKey& key, NvrtcVersion version,
                                    std::span<const EmbeddedSource> sources = embedded_sources());

/// "write_slice" of "write_slice.rows.16_byte", and of a file that is named after it.
std::string_view op_of(std::string_view kernel_name);

/// "write_slice.rows.sm90a-<hash>": names the kernel's files. Whatever the name holds, it is one file's name.
std::string file_stem(const KernelSpec& spec, const KernelKey& key);

}  // namespace baracuda::jit

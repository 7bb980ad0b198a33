#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace baracuda {

/// Everything that the environment can change, parsed once and passed in; tests make their own.
struct Environment {
  std::string cache_dir;                  ///< BARACUDA_CACHE_DIR, or its default; empty where there is no such place
  std::int64_t cache_max_bytes = 0;       ///< BARACUDA_CACHE_MAX_BYTES
  bool jit_debug = false;                 ///< BARACUDA_JIT_DEBUG
  std::string jit_dump;                   ///< BARACUDA_JIT_DUMP
  std::vector<std::string> kernel_packs;  ///< BARACUDA_KERNEL_PACK
  std::string nvrtc_library;              ///< BARACUDA_NVRTC_LIBRARY
  bool verbose = false;                   ///< BARACUDA_VERBOSE

  /// The process's environment, read at the first call.
  static const Environment& process();
};

/// One row of the table of variables, for the tool and the docs.
struct EnvironmentVariable {
  std::string_view name, type, default_value, description;
};
std::span<const EnvironmentVariable> environment_variables();
/// What the process's environment sets it to, whether that makes sense or not; empty where it is unset.
std::string_view value_of(const EnvironmentVariable& variable);

}  // namespace baracuda

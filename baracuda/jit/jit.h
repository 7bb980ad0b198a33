#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "baracuda/core/export.h"
#include "baracuda/core/result.h"

// What a program may want to know of kernels that are compiled at run time, and of the folder that keeps them.

namespace baracuda {

/// A compile that is about to begin, and that is expected to take longer than a user waits without asking why.
struct LongCompile {
  std::string kernel;           ///< "int4_gemm.s4.rcr.bias_relu"
  std::string target;           ///< "sm90a"
  double expected_seconds = 0;  ///< a guess, from the text's size and from what the op's kernels took before
};

/// Compiles of more seconds than this are told of.
inline constexpr double kLongCompileSeconds = 0.5;

/// Called before each long compile, on the thread that compiles, and at times from several at once. A line on stderr
/// says the same, with or without it. It must not throw. Replaces the callback that was there; an empty one removes it.
BARACUDA_API void set_long_compile_callback(std::function<void(const LongCompile&)> callback);

/// A compiled kernel that is kept on disk.
struct CachedKernel {
  std::string file;    ///< its name in the folder
  std::string name;    ///< "write_slice.rows.16_byte"
  std::string target;  ///< "sm90a"
  std::int64_t bytes = 0;
  std::int64_t last_used = 0;  ///< seconds since 1970
  int registers = 0;
  std::int64_t spill_bytes = 0;  ///< stores plus loads, a thread
  double compile_seconds = 0;
  bool sound = false;  ///< else damaged, or of another version: it is not used, and nothing is known but file and bytes
};

/// The folder that keeps compiled kernels, and what it holds, the last used first.
struct DiskCacheInfo {
  std::string dir;             ///< BARACUDA_CACHE_DIR or its default; empty where there is neither
  std::int64_t max_bytes = 0;  ///< BARACUDA_CACHE_MAX_BYTES; 0: nothing is kept on disk
  std::int64_t bytes = 0;      ///< of the kernels
  std::vector<CachedKernel> kernels;
};
/// Errors: Io (a folder that is there and cannot be read).
BARACUDA_API Result<DiskCacheInfo> disk_cache_info() noexcept;

struct DiskCacheCleared {
  std::int64_t files = 0;
  std::int64_t bytes = 0;
};
/// Removes all kernels from that folder, and what killed processes left there; no other file. Any process may use the
/// folder meanwhile. What this process has in memory stays. Errors: Io.
BARACUDA_API Result<DiskCacheCleared> clear_disk_cache() noexcept;

/// A loaded pack of compiled kernels.
struct KernelPackInfo {
  std::string path;
  std::int64_t bytes = 0;
  std::string nvrtc_version;  ///< of the compiler that made its kernels: "13.0"
  std::int64_t num_kernels = 0;
  std::vector<std::string> targets;  ///< what they are compiled for, sorted: "sm80", "sm90a"
};

/// Loads a pack that `baracuda pack` wrote, all of it or nothing, for the life of the process. From then on, on every
/// device, a kernel that plans need and do not have yet is looked for in the loaded packs, in the order in which they
/// were loaded, then in the folder above, and then compiled; what the packs hold needs no NVRTC. A kernel is used if it
/// was made from this library's sources, whatever compiler made it. The packs that BARACUDA_KERNEL_PACK names are
/// loaded before any other.
///
/// Errors: Io (a file that cannot be read), MalformedFile (no pack, one of another version of the form, cut short or
/// damaged); for a pack of BARACUDA_KERNEL_PACK as well, and then from everything that needs a CUDA kernel.
BARACUDA_API Result<KernelPackInfo> load_kernel_pack(const std::string& path) noexcept;

/// Those that are loaded, in the order in which they are asked. Errors: as load_kernel_pack, of BARACUDA_KERNEL_PACK.
BARACUDA_API Result<std::vector<KernelPackInfo>> loaded_kernel_packs() noexcept;

}  // namespace baracuda

#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

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
void set_long_compile_callback(std::function<void(const LongCompile&)> callback);

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
Result<DiskCacheInfo> disk_cache_info() noexcept;

struct DiskCacheCleared {
  std::int64_t files = 0;
  std::int64_t bytes = 0;
};
/// Removes all kernels from that folder, and what killed processes left there; no other file. Any process may use the
/// folder meanwhile. What this process has in memory stays. Errors: Io.
Result<DiskCacheCleared> clear_disk_cache() noexcept;

}  // namespace baracuda

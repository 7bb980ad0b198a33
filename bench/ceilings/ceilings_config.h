#pragma once

// What the host gives the kernels that measure the ceilings. For host and NVRTC: no standard headers.

namespace baracuda::bench {

/// Adds up the 32-bit words of `data`, so that each of its bytes must have come.
struct ReadParams {
  const void* data;  ///< 16-byte aligned
  long long bytes;   ///< a multiple of 16; for the ring, of its stage
  unsigned* sum;     ///< is added to, modulo 2^32

  static constexpr int num_threads() { return 256; }
  static constexpr int blocks_per_multiprocessor() { return 8; }
};

/// A ring of stages in shared memory that one thread fills by bulk copies and four warps empty.
struct RingConfig {
  int stage_bytes = 16384;
  int stages = 6;

  static constexpr int num_consumer_warps() { return 4; }
  static constexpr int num_threads() { return 32 * (1 + num_consumer_warps()); }
  static constexpr int blocks_per_multiprocessor() { return 2; }
  constexpr int smem_bytes() const { return stages * stage_bytes; }
};

/// What the elements of a and b are; those of d are 32 bits wide.
enum class MatrixKind : unsigned char { S8, F16 };

/// d = iterations · a · bᵀ, by every warp or warpgroup of the grid alike. Matrices are stored row by row, k along the
/// rows; the length of a row is in bytes because it is the same for all kinds.
struct MatrixParams {
  const void* a;
  const void* b;
  long long iterations;
  void* d;  ///< one result for each warp or warpgroup of the grid; null: the results are dropped
};

/// mma.sync: a warp has a tile of 32 × 32, as in the main loop of a GEMM.
struct MmaTile {
  static constexpr int rows() { return 32; }
  static constexpr int columns() { return 32; }
  static constexpr int row_bytes() { return 64; }  ///< two steps of k
  static constexpr int num_threads() { return 256; }
  static constexpr int blocks_per_multiprocessor() { return 2; }
};

/// wgmma: a block has two warpgroups with a tile of 64 × 256 each, out of one a of 128 rows. Each of the `stages()`
/// parts of b's rows is multiplied with all of a's: d = iterations · Σ a · b_stageᵀ.
struct WgmmaTile {
  static constexpr int rows() { return 64; }
  static constexpr int columns() { return 256; }
  static constexpr int row_bytes() { return 128; }  ///< of a, and of a stage of b
  static constexpr int stages() { return 4; }
  static constexpr int num_warpgroups() { return 2; }
  static constexpr int num_threads() { return 128 * num_warpgroups(); }
  static constexpr int a_bytes() { return num_warpgroups() * rows() * row_bytes(); }
  static constexpr int b_bytes() { return columns() * row_bytes(); }  ///< of a stage
  static constexpr int smem_bytes() { return a_bytes() + stages() * b_bytes(); }
};

/// As much as a large plan hands to a kernel, for a launch that does nothing else.
struct EmptyParams {
  long long words[64];
};

}  // namespace baracuda::bench

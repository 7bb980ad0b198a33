#pragma once

#include "baracuda/device/copy/row_copy.cuh"
#include "baracuda/device/ptx/fence.cuh"
#include "baracuda/device/ptx/wgmma.cuh"
#include "bench/ceilings/ceilings_config.h"

// The rate of wgmma alone, both operands from shared memory: a and the stages of b are put there once.

namespace baracuda::bench {

template <MatrixKind kKind>
struct WgmmaAccumulator {
  using type = int;
};
template <>
struct WgmmaAccumulator<MatrixKind::F16> {
  using type = float;
};

inline void wgmma(int (&d)[128], ptx::WgmmaDescriptor a, ptx::WgmmaDescriptor b) {
  ptx::wgmma_m64n256k32_s32_s8_s8(d, a, b);
}
inline void wgmma(float (&d)[128], ptx::WgmmaDescriptor a, ptx::WgmmaDescriptor b) {
  ptx::wgmma_m64n256k16_f32_f16_f16(d, a, b);
}

/// Rows of WgmmaTile::row_bytes() from global memory, where the next row is `stride_bytes` further on, to a tile.
inline void load_swizzled(char* tile, const void* source, int num_rows, int stride_bytes) {
  constexpr int kPieces = WgmmaTile::row_bytes() / static_cast<int>(sizeof(Vector16));
  for (int i = threadIdx.x; i < num_rows * kPieces; i += WgmmaTile::num_threads()) {
    const int row = i / kPieces, at = i % kPieces * static_cast<int>(sizeof(Vector16));
    *reinterpret_cast<Vector16*>(tile + ptx::swizzle_128b(row * WgmmaTile::row_bytes() + at)) =
        *reinterpret_cast<const Vector16*>(static_cast<const char*>(source) + row * stride_bytes + at);
  }
}

template <MatrixKind kKind>
inline void wgmma_rate(const MatrixParams& params) {
  extern __shared__ __align__(1024) char smem[];
  char* const b_smem = smem + WgmmaTile::a_bytes();
  load_swizzled(smem, params.a, WgmmaTile::num_warpgroups() * WgmmaTile::rows(), WgmmaTile::row_bytes());
  for (int stage = 0; stage < WgmmaTile::stages(); ++stage)
    load_swizzled(b_smem + stage * WgmmaTile::b_bytes(),
                  static_cast<const char*>(params.b) + stage * WgmmaTile::row_bytes(), WgmmaTile::columns(),
                  WgmmaTile::stages() * WgmmaTile::row_bytes());
  ptx::fence_proxy_async_shared();
  __syncthreads();

  const int warpgroup_idx = threadIdx.x / 128;
  const auto a = ptx::WgmmaDescriptor::swizzled_128b(smem + warpgroup_idx * WgmmaTile::rows() * WgmmaTile::row_bytes());
  const auto b = ptx::WgmmaDescriptor::swizzled_128b(b_smem);
  typename WgmmaAccumulator<kKind>::type d[128] = {};
  for (long long iteration = 0; iteration < params.iterations; ++iteration) {
#pragma unroll 1
    for (int stage = 0; stage < WgmmaTile::stages(); ++stage) {
      ptx::wgmma_fence();
#pragma unroll
      for (int at = 0; at < WgmmaTile::row_bytes(); at += 32)
        wgmma(d, a.advanced(at), b.advanced(stage * WgmmaTile::b_bytes() + at));
      ptx::wgmma_commit_group();
      ptx::wgmma_wait_group<1>();
    }
  }
  ptx::wgmma_wait_group<0>();

  if (!params.d) return;
  const int lane_idx = threadIdx.x % 32, warp_idx = threadIdx.x / 32 % 4, g = lane_idx / 4, t = lane_idx % 4;
  const long long warpgroup = static_cast<long long>(blockIdx.x) * WgmmaTile::num_warpgroups() + warpgroup_idx;
  auto* result = static_cast<typename WgmmaAccumulator<kKind>::type*>(params.d) +
                 warpgroup * WgmmaTile::rows() * WgmmaTile::columns();
#pragma unroll
  for (int i = 0; i < 128; ++i)
    result[(16 * warp_idx + g + 8 * (i / 2 % 2)) * WgmmaTile::columns() + 8 * (i / 4) + 2 * t + i % 2] = d[i];
}

}  // namespace baracuda::bench

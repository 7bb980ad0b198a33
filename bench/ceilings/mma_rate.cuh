#pragma once

#include "baracuda/device/ptx/mma.cuh"
#include "bench/ceilings/ceilings_config.h"

// The rate of mma.sync alone: fragments stay in registers, as many products in flight as the main loop of a GEMM has.

namespace baracuda::bench {

template <MatrixKind kKind>
struct MmaAccumulator {
  using type = int;
};
template <>
struct MmaAccumulator<MatrixKind::F16> {
  using type = float;
};

inline void mma(int (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { ptx::mma_m16n8k32_s32_s8_s8(d, a, b); }
inline void mma(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  ptx::mma_m16n8k16_f32_f16_f16(d, a, b);
}

inline unsigned load_word(const void* matrix, int row, int at) {
  return *reinterpret_cast<const unsigned*>(static_cast<const char*>(matrix) + row * MmaTile::row_bytes() + at);
}

template <MatrixKind kKind>
inline void mma_rate(const MatrixParams& params) {
  constexpr int kSteps = MmaTile::row_bytes() / 32, kTilesM = MmaTile::rows() / 16, kTilesN = MmaTile::columns() / 8;
  const int lane_idx = threadIdx.x % 32, g = lane_idx / 4, t = lane_idx % 4;

  unsigned a[kSteps][kTilesM][4], b[kSteps][kTilesN][2];
  for (int step = 0; step < kSteps; ++step) {
    for (int m = 0; m < kTilesM; ++m)
      for (int i = 0; i < 4; ++i)
        a[step][m][i] = load_word(params.a, 16 * m + g + 8 * (i % 2), 32 * step + 16 * (i / 2) + 4 * t);
    for (int n = 0; n < kTilesN; ++n)
      for (int i = 0; i < 2; ++i) b[step][n][i] = load_word(params.b, 8 * n + g, 32 * step + 16 * i + 4 * t);
  }

  typename MmaAccumulator<kKind>::type d[kTilesM][kTilesN][4] = {};
  for (long long iteration = 0; iteration < params.iterations; ++iteration) {
#pragma unroll
    for (int step = 0; step < kSteps; ++step)
#pragma unroll
      for (int m = 0; m < kTilesM; ++m)
#pragma unroll
        for (int n = 0; n < kTilesN; ++n) mma(d[m][n], a[step][m], b[step][n]);
  }

  if (!params.d) return;
  const long long warp = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) / 32;
  auto* result =
      static_cast<typename MmaAccumulator<kKind>::type*>(params.d) + warp * MmaTile::rows() * MmaTile::columns();
  for (int m = 0; m < kTilesM; ++m)
    for (int n = 0; n < kTilesN; ++n)
      for (int i = 0; i < 4; ++i)
        result[(16 * m + g + 8 * (i / 2)) * MmaTile::columns() + 8 * n + 2 * t + i % 2] = d[m][n][i];
}

}  // namespace baracuda::bench

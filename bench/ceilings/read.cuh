#pragma once

#include "baracuda/device/copy/row_copy.cuh"
#include "bench/ceilings/ceilings_config.h"

namespace baracuda::bench {

inline unsigned word_sum(const Vector16& value) {
  return value.word[0] + value.word[1] + value.word[2] + value.word[3];
}

/// Adds the lanes' sums to `sum`: an atomic for each warp.
inline void add_warp_sum(unsigned lane_sum, unsigned* sum) {
  for (int distance = 16; distance > 0; distance /= 2) lane_sum += __shfl_xor_sync(0xffffffffu, lane_sum, distance);
  if (threadIdx.x % 32 == 0) atomicAdd(sum, lane_sum);
}

/// Plain loads, four of 16 bytes in flight a thread.
inline void read(const ReadParams& params) {
  constexpr int kUnroll = 4;
  const Vector16* vectors = static_cast<const Vector16*>(params.data);
  const long long num_vectors = params.bytes / static_cast<long long>(sizeof(Vector16));
  const long long step = static_cast<long long>(gridDim.x) * blockDim.x;
  unsigned sum = 0;
#pragma unroll 1
  for (long long first = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; first < num_vectors;
       first += kUnroll * step) {
    Vector16 values[kUnroll] = {};
#pragma unroll
    for (int i = 0; i < kUnroll; ++i)
      if (first + i * step < num_vectors) values[i] = vectors[first + i * step];
#pragma unroll
    for (int i = 0; i < kUnroll; ++i) sum += word_sum(values[i]);
  }
  // Of the block first: thousands of atomics on one word would take a visible part of the time.
  __shared__ unsigned block_sum;
  if (threadIdx.x == 0) block_sum = 0;
  __syncthreads();
  add_warp_sum(sum, &block_sum);
  __syncthreads();
  if (threadIdx.x == 0) atomicAdd(params.sum, block_sum);
}

}  // namespace baracuda::bench

#pragma once

#include "baracuda/device/assert.cuh"
#include "baracuda/device/numeric/activation.cuh"
#include "baracuda/device/numeric/element.cuh"
#include "baracuda/device/ptx/address.cuh"
#include "baracuda/device/ptx/barrier.cuh"
#include "baracuda/device/ptx/cluster.cuh"
#include "baracuda/device/ptx/cp_async_bulk_tensor.cuh"
#include "baracuda/device/ptx/griddepcontrol.cuh"
#include "baracuda/device/ptx/mbarrier.cuh"
#include "baracuda/device/ptx/wgmma.cuh"
#include "baracuda/device/schedule/ring_position.cuh"
#include "baracuda/ops/quantized_linear/quantized_linear_config.h"
#include "baracuda/ops/quantized_linear/quantized_linear_epilogue.cuh"

// y = act(f32(q · weightᵀ) · (row_scale · weight_scale) + bias) for few rows, by wgmma: see quantized_linear.cuh.
//
// The time is that of the weights' way from memory. A block has one tile: its producer, one thread, keeps a ring of
// stages full of weights and of q, two warpgroups of consumers multiply, weight · qᵀ, so that no row of the tensor
// cores' 64 is wasted on rows that are not there. Then the sums go to shared memory. Two blocks of a cluster may have a
// tile, each with a half of k; each of them then adds the other's sums to its own for a half of the rows, and stores
// those.
//
//   full[stage], empty[stage]   as in quantized_linear_sm90.cuh, within the block
//
// Weights, scales of channels and biases are constants, fetched ahead of griddepcontrol.wait; q and its scales after.

namespace baracuda {

template <QuantizedLinearSwappedConfig kConfig>
struct SwappedShared {
  unsigned char* base;  ///< at a multiple of 1024

  unsigned char* weight(int stage, int chunk) const {
    return base + stage * kConfig.stage_bytes() + chunk * kConfig.weight_chunk_bytes();
  }
  unsigned char* q(int stage, int chunk) const {
    return weight(stage, kConfig.chunks()) + chunk * kConfig.q_chunk_bytes();
  }
  /// Of a row and a channel of the tile.
  int* sum(int row, int channel) const { return reinterpret_cast<int*>(base) + row * kConfig.sums_pitch() + channel; }
  float* channel_scale() const { return reinterpret_cast<float*>(base + kConfig.channels_offset()); }
  float* channel_bias() const { return channel_scale() + kConfig.channels; }
  float* row_scale() const { return reinterpret_cast<float*>(base + kConfig.rows_offset()); }
  int* row_q_sum() const { return reinterpret_cast<int*>(row_scale() + kConfig.rows); }
  unsigned char* channel_zero_point() const {
    return reinterpret_cast<unsigned char*>(channel_bias() + kConfig.channels);
  }
  ptx::Mbarrier* full(int stage) const {
    return reinterpret_cast<ptx::Mbarrier*>(base + kConfig.barriers_offset()) + stage;
  }
  ptx::Mbarrier* empty(int stage) const { return full(kConfig.stages()) + stage; }
};

/// The part of the tile's steps along k that this block has.
struct SwappedSteps {
  int first, count;

  SwappedSteps(long long k, int tile_k, int split) {
    const int steps = static_cast<int>((k + tile_k - 1) / tile_k), rank = static_cast<int>(blockIdx.x);
    first = steps * rank / split;
    count = steps * (rank + 1) / split - first;
  }
};

/// The producer: one thread.
template <QuantizedLinearSwappedConfig kConfig>
inline void produce(const QuantizedLinearSwappedParams& params, const SwappedShared<kConfig>& shared,
                    const SwappedSteps& steps, int first_row, int first_channel) {
  constexpr int kChunks = kConfig.chunks(), kStages = kConfig.stages();
  const unsigned bytes =
      static_cast<unsigned>(kChunks * (params.channels * kConfig.chunk_k() + kConfig.q_chunk_bytes()));
  const auto column = [&](int step, int chunk) { return ((steps.first + step) * kChunks + chunk) * kConfig.chunk_k(); };
  const auto load_weight = [&](int stage, int step) {
    ptx::mbarrier_arrive_expect_tx(shared.full(stage), bytes);
#pragma unroll
    for (int chunk = 0; chunk < kChunks; ++chunk)
      ptx::cp_async_bulk_tensor_2d_shared_global(shared.weight(stage, chunk), &params.weight, column(step, chunk),
                                                 first_channel, shared.full(stage), ptx::CachePolicy::EvictFirst);
  };
  const auto load_q = [&](int stage, int step) {
#pragma unroll
    for (int chunk = 0; chunk < kChunks; ++chunk)
      ptx::cp_async_bulk_tensor_2d_shared_global(shared.q(stage, chunk), &params.q, column(step, chunk), first_row,
                                                 shared.full(stage), ptx::CachePolicy::EvictLast);
  };
  const int num_ahead = steps.count < kStages ? steps.count : kStages;
  for (int step = 0; step < num_ahead; ++step) load_weight(step, step);
  ptx::griddepcontrol_wait();
  for (int step = 0; step < num_ahead; ++step) load_q(step, step);
  RingPosition<kStages> at;
  for (int step = num_ahead; step < steps.count; ++step, at.advance()) {
    ptx::mbarrier_wait_parity(shared.empty(at.stage), at.parity);  // of the round before
    load_weight(at.stage, step);
    load_q(at.stage, step);
  }
  ptx::griddepcontrol_launch_dependents();
}

/// Sums of q along k for u8 weights. Neighbouring threads have a row, each of them every so-manieth of the eight
/// 16-byte pieces of its 128 bytes; rows start at different pieces, so that the 8 lanes that are served together meet
/// in no bank.
template <int kRows, int kThreads>
inline void add_q_sum(int& sum, const unsigned char* q, int thread_idx) {
  constexpr int kPerRow = kThreads / kRows;
  static_assert(kPerRow >= 2 && kPerRow <= 8, "a row has eight pieces");
  const int row = thread_idx / kPerRow;
#pragma unroll
  for (int i = 0; i < 8 / kPerRow; ++i) {
    const int piece = (thread_idx % kPerRow + (i + row) * kPerRow) % 8;
    const int4 bytes = *reinterpret_cast<const int4*>(q + row * 128 + piece * 16);
    constexpr int kOnes = 0x01010101;
    sum = __dp4a(bytes.w, kOnes, __dp4a(bytes.z, kOnes, __dp4a(bytes.y, kOnes, __dp4a(bytes.x, kOnes, sum))));
  }
}

template <QuantizedLinearSwappedConfig kConfig>
inline void swapped_wgmma(int (&acc)[kConfig.rows / 2], ptx::WgmmaDescriptor weight, ptx::WgmmaDescriptor q) {
  constexpr bool kIsU8 = kConfig.weight_element == Element::U8;
  static_assert(kConfig.rows == 32 || kConfig.rows == 64 || kConfig.rows == 128, "other shapes have no wrapper");
  if constexpr (kConfig.rows == 32)
    kIsU8 ? ptx::wgmma_m64n32k32_s32_u8_s8(acc, weight, q) : ptx::wgmma_m64n32k32_s32_s8_s8(acc, weight, q);
  else if constexpr (kConfig.rows == 64)
    kIsU8 ? ptx::wgmma_m64n64k32_s32_u8_s8(acc, weight, q) : ptx::wgmma_m64n64k32_s32_s8_s8(acc, weight, q);
  else
    kIsU8 ? ptx::wgmma_m64n128k32_s32_u8_s8(acc, weight, q) : ptx::wgmma_m64n128k32_s32_s8_s8(acc, weight, q);
}

/// A consumer warp: 16 channels of each m64 tile of its warpgroup, and all rows. Leaves its sums in shared memory.
template <QuantizedLinearSwappedConfig kConfig>
inline void consume(const QuantizedLinearSwappedParams& params, const SwappedShared<kConfig>& shared,
                    const SwappedSteps& steps, int first_row, int first_channel) {
  constexpr bool kHasZeroPoint = kConfig.weight_element == Element::U8;
  constexpr int kTiles = kConfig.channels / 128;  // of 64 channels, of a warpgroup
  const QuantizedLinearParams& linear = params.linear;
  const int thread_idx = static_cast<int>(threadIdx.x), warp_idx = thread_idx / 32, lane_idx = thread_idx % 32;
  const int warpgroup_channel = warp_idx / 4 * (64 * kTiles);

  if (const int channel = first_channel + thread_idx; thread_idx < params.channels && channel < linear.c_out) {
    shared.channel_scale()[thread_idx] = load_as<float>(linear.weight_scale, linear.weight_scale_element, channel);
    shared.channel_bias()[thread_idx] = linear.bias ? load_as<float>(linear.bias, linear.bias_element, channel) : -0.0f;
    if constexpr (kHasZeroPoint) shared.channel_zero_point()[thread_idx] = linear.weight_zero_point[channel];
  }
  ptx::griddepcontrol_wait();
  if (thread_idx < kConfig.rows && first_row + thread_idx < linear.m)
    shared.row_scale()[thread_idx] = static_cast<const float*>(linear.row_scale)[first_row + thread_idx];

  int acc[kTiles][kConfig.rows / 2];
#pragma unroll
  for (int tile = 0; tile < kTiles; ++tile)
#pragma unroll
    for (int i = 0; i < kConfig.rows / 2; ++i) acc[tile][i] = 0;
  int q_sum = 0;
  RingPosition<kConfig.stages()> at;
#pragma unroll 1
  for (int step = 0; step < steps.count; ++step, at.advance()) {
    ptx::mbarrier_wait_parity(shared.full(at.stage), at.parity);
    ptx::wgmma_fence();
#pragma unroll
    for (int chunk = 0; chunk < kConfig.chunks(); ++chunk) {
      const auto weight =
          ptx::WgmmaDescriptor::swizzled_128b(shared.weight(at.stage, chunk) + warpgroup_channel * kConfig.chunk_k());
      const auto q = ptx::WgmmaDescriptor::swizzled_128b(shared.q(at.stage, chunk));
#pragma unroll
      for (int k = 0; k < kConfig.chunk_k(); k += 32)
#pragma unroll
        for (int tile = 0; tile < kTiles; ++tile)
          swapped_wgmma<kConfig>(acc[tile], weight.advanced(tile * 64 * kConfig.chunk_k() + k), q.advanced(k));
    }
    ptx::wgmma_commit_group();
    if constexpr (kHasZeroPoint)
#pragma unroll
      for (int chunk = 0; chunk < kConfig.chunks(); ++chunk)
        add_q_sum<kConfig.rows, kConfig.num_consumers()>(q_sum, shared.q(at.stage, chunk), thread_idx);
    ptx::wgmma_wait_group<0>();  // products take a fifth of the time of copies: none need be under way ahead
    __syncwarp();                // all lanes have read their part of q
    if (lane_idx == 0) ptx::mbarrier_arrive(shared.empty(at.stage));
  }

  ptx::bar_sync<1, kConfig.num_consumers()>();  // all have read the ring: it becomes the sums' place
#pragma unroll
  for (int tile = 0; tile < kTiles; ++tile)
#pragma unroll
    for (int i = 0; i < kConfig.rows / 2; ++i) {
      const int channel = warpgroup_channel + tile * 64 + warp_idx % 4 * 16 + lane_idx / 4 + i / 2 % 2 * 8;
      *shared.sum(i / 4 * 8 + lane_idx % 4 * 2 + i % 2, channel) = acc[tile][i];
    }
  if constexpr (kHasZeroPoint) {
    constexpr int kPerRow = kConfig.num_consumers() / kConfig.rows;
#pragma unroll
    for (int mask = kPerRow / 2; mask > 0; mask /= 2) q_sum += __shfl_xor_sync(0xffffffff, q_sum, mask);
    if (thread_idx % kPerRow == 0) shared.row_q_sum()[thread_idx / kPerRow] = q_sum;
  }
}

/// The rows of the tile that this block finishes: all, or one half, the other being the other block's.
template <QuantizedLinearSwappedConfig kConfig>
struct SwappedPart {
  int first_row, num_rows;

  explicit SwappedPart(int split)
      : first_row(static_cast<int>(blockIdx.x) * (kConfig.rows / split)), num_rows(kConfig.rows / split) {}
};

/// Adds the other block's sums, of the other half of k, to this block's. Both have left theirs. A thread takes four
/// channels of a row at a time, here and in `finish`, and has several such on their way.
template <QuantizedLinearSwappedConfig kConfig>
inline void add_other_half(const QuantizedLinearSwappedParams& params, const SwappedShared<kConfig>& shared) {
  constexpr int kThreads = kConfig.num_consumers(), kAtOnce = 4;
  const unsigned other = blockIdx.x ^ 1;
  const SwappedPart<kConfig> part(params.split);
  const int thread_idx = static_cast<int>(threadIdx.x), per_row = params.channels / 4;
  const auto sums = [&](int i) {
    return reinterpret_cast<int4*>(shared.sum(part.first_row + i / per_row, i % per_row * 4));
  };
  const int count = part.num_rows * per_row;
  for (int first = thread_idx; first < count; first += kAtOnce * kThreads) {
    int4 more[kAtOnce];
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j)
      if (first + j * kThreads < count) more[j] = ptx::ld_shared_cluster(sums(first + j * kThreads), other);
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      if (first + j * kThreads >= count) break;
      int4& mine = *sums(first + j * kThreads);
      mine = {mine.x + more[j].x, mine.y + more[j].y, mine.z + more[j].z, mine.w + more[j].w};
    }
  }
  if constexpr (kConfig.weight_element == Element::U8) {
    if (thread_idx < part.num_rows / 4) {
      int4& mine = *(reinterpret_cast<int4*>(shared.row_q_sum() + part.first_row) + thread_idx);
      const int4 more = ptx::ld_shared_cluster(&mine, other);
      mine = {mine.x + more.x, mine.y + more.y, mine.z + more.z, mine.w + more.w};
    }
    ptx::bar_sync<1, kThreads>();
  }
}

/// Stores what becomes of the sums.
template <QuantizedLinearSwappedConfig kConfig>
inline void finish(const QuantizedLinearSwappedParams& params, const SwappedShared<kConfig>& shared, int first_row,
                   int first_channel) {
  constexpr bool kHasZeroPoint = kConfig.weight_element == Element::U8;
  using Output = StorageOf<kConfig.output_element>;
  struct alignas(4 * sizeof(Output)) Outputs {
    Output value[4];
  };
  const QuantizedLinearParams& linear = params.linear;
  const SwappedPart<kConfig> part(params.split);
  const int per_row = params.channels / 4;
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < part.num_rows * per_row; i += kConfig.num_consumers()) {
    const int row = part.first_row + i / per_row, channel = i % per_row * 4;
    // Four channels are there or not: rows of y are whole vectors.
    if (first_row + row >= linear.m || first_channel + channel >= linear.c_out) continue;
    const int4 sums = *reinterpret_cast<const int4*>(shared.sum(row, channel));
    const int sum[4] = {sums.x, sums.y, sums.z, sums.w};
    Outputs outputs;
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const int at = channel + e;
      const int offset = kHasZeroPoint ? shared.channel_zero_point()[at] * shared.row_q_sum()[row] : 0;
      const float v =
          scaled_sum(sum[e] - offset, shared.row_scale()[row], shared.channel_scale()[at], shared.channel_bias()[at]);
      outputs.value[e] = from_value<kConfig.output_element>(activate(linear.activation, v));
    }
    Output* y = static_cast<Output*>(linear.y) + (first_row + row) * linear.y_stride + first_channel + channel;
    *reinterpret_cast<Outputs*>(y) = outputs;
  }
}

template <QuantizedLinearSwappedConfig kConfig>
inline void quantized_linear_swapped(const QuantizedLinearSwappedParams& params) {
  static_assert(kConfig.rows * kConfig.sums_pitch() * 4 <= kConfig.stages() * kConfig.stage_bytes(),
                "the sums fit the ring");
  static_assert(kConfig.rows_offset() % 16 == 0 && kConfig.barriers_offset() % 8 == 0, "accesses are aligned");
  extern __shared__ __align__(1024) unsigned char memory[];
  const SwappedShared<kConfig> shared{memory};
  BARACUDA_DEVICE_ASSERT(ptx::shared_address(memory) % 1024 == 0);

  if (threadIdx.x == 0) {
    ptx::prefetch_tensormap(&params.weight);
    ptx::prefetch_tensormap(&params.q);
    for (int stage = 0; stage < kConfig.stages(); ++stage) {
      ptx::mbarrier_init(shared.full(stage), 1);
      ptx::mbarrier_init(shared.empty(stage), kConfig.num_consumer_warps());
    }
    ptx::fence_mbarrier_init();
  }
  __syncthreads();

  const SwappedSteps steps(params.linear.k, kConfig.tile_k(), params.split);
  const int first_channel = static_cast<int>(blockIdx.y) * params.channels;
  const int first_row = static_cast<int>(blockIdx.z) * kConfig.rows;
  if (threadIdx.x < kConfig.num_consumers())
    consume<kConfig>(params, shared, steps, first_row, first_channel);
  else if (threadIdx.x == kConfig.num_consumers())
    produce<kConfig>(params, shared, steps, first_row, first_channel);

  __syncwarp();
  ptx::cluster_sync();
  if (threadIdx.x < kConfig.num_consumers()) {
    if (params.split > 1) add_other_half<kConfig>(params, shared);
    finish<kConfig>(params, shared, first_row, first_channel);
  }
  __syncwarp();
  ptx::cluster_sync();  // no block leaves while others may still read its sums
}

}  // namespace baracuda

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
// This kernel may start while the quantizer runs. Weights, scales of channels and biases it then fetches at once:
// whatever wrote those has ended, see quantized_linear_sm90.cuh. q and its scales it fetches after its own wait.

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

/// Four neighbours, which lie at a multiple of their size.
template <class T>
struct alignas(4 * sizeof(T)) Four {
  T value[4];
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
    ptx::wgmma_wait_group<0>();  // products take less time than copies: none need be under way ahead
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

/// What this block finishes of the tile: all rows, or half of them, the others being the other block's. A warp has a
/// row at a time, a lane four of its channels, which are there or not, as rows of y are whole vectors.
template <QuantizedLinearSwappedConfig kConfig>
struct SwappedPart {
  static constexpr int kWarps = kConfig.num_consumer_warps();
  int first_row, num_rows;
  int first_channel, end_channel;  ///< of this lane, from 128 to 128

  SwappedPart(const QuantizedLinearSwappedParams& params, int tile_channel) {
    num_rows = kConfig.rows / params.split;
    first_row = static_cast<int>(blockIdx.x) * num_rows;
    const long long channels_left = params.linear.c_out - tile_channel;
    first_channel = static_cast<int>(threadIdx.x) % 32 * 4;
    end_channel = channels_left < params.channels ? static_cast<int>(channels_left) : params.channels;
  }
  int warp_row() const { return first_row + static_cast<int>(threadIdx.x) / 32; }
};

/// Adds the other block's sums, of the other half of k, to this block's. Both have left theirs.
template <QuantizedLinearSwappedConfig kConfig>
inline void add_other_half(const SwappedPart<kConfig>& part, const SwappedShared<kConfig>& shared) {
  constexpr int kWarps = SwappedPart<kConfig>::kWarps, kRows = kConfig.rows / 2 / kWarps;
  const unsigned other = blockIdx.x ^ 1;
  for (int channel = part.first_channel; channel < part.end_channel; channel += 128) {
    int4 more[kRows];
    const auto sum = [&](int i) { return reinterpret_cast<int4*>(shared.sum(part.warp_row() + i * kWarps, channel)); };
#pragma unroll
    for (int i = 0; i < kRows; ++i) more[i] = ptx::ld_shared_cluster(sum(i), other);
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int4 mine = *sum(i);
      *sum(i) = {mine.x + more[i].x, mine.y + more[i].y, mine.z + more[i].z, mine.w + more[i].w};
    }
  }
  if constexpr (kConfig.weight_element == Element::U8) {
    int* const mine = shared.row_q_sum() + part.first_row + threadIdx.x;
    if (static_cast<int>(threadIdx.x) < part.num_rows) *mine += ptx::ld_shared_cluster(mine, other);
    ptx::bar_sync<1, kConfig.num_consumers()>();
  }
}

/// Stores what becomes of the sums. kLong: the activation is one whose text is long, and stands here once.
template <QuantizedLinearSwappedConfig kConfig, bool kLong>
inline void finish(const QuantizedLinearParams& linear, const SwappedPart<kConfig>& part,
                   const SwappedShared<kConfig>& shared, int tile_row, int tile_channel) {
  constexpr bool kHasZeroPoint = kConfig.weight_element == Element::U8;
  using Output = StorageOf<kConfig.output_element>;
  const long long rows_left = linear.m - tile_row;
  const int part_end = part.first_row + part.num_rows;
  const int end_row = rows_left < part_end ? static_cast<int>(rows_left) : part_end;
  for (int channel = part.first_channel; channel < part.end_channel; channel += 128) {
    const auto scale = *reinterpret_cast<const Four<float>*>(shared.channel_scale() + channel);
    const auto bias = *reinterpret_cast<const Four<float>*>(shared.channel_bias() + channel);
    Four<unsigned char> zero_point{};
    if constexpr (kHasZeroPoint)
      zero_point = *reinterpret_cast<const Four<unsigned char>*>(shared.channel_zero_point() + channel);
#pragma unroll kLong ? 1 : 2
    for (int row = part.warp_row(); row < end_row; row += SwappedPart<kConfig>::kWarps) {
      const auto sum = *reinterpret_cast<const Four<int>*>(shared.sum(row, channel));
      const int q_sum = kHasZeroPoint ? shared.row_q_sum()[row] : 0;
      const float row_scale = shared.row_scale()[row];
      Four<float> v;
#pragma unroll
      for (int e = 0; e < 4; ++e)
        v.value[e] =
            scaled_sum(sum.value[e] - zero_point.value[e] * q_sum, row_scale, scale.value[e], bias.value[e]);
      if constexpr (kLong) {
#pragma unroll
        for (float& value : v.value) value = activate(linear.activation, value);
      } else if (linear.activation == Activation::Relu) {
#pragma unroll
        for (float& value : v.value) value = activate(Activation::Relu, value);
      }
      Four<Output> outputs;
#pragma unroll
      for (int e = 0; e < 4; ++e) outputs.value[e] = from_value<kConfig.output_element>(v.value[e]);
      Output* y = static_cast<Output*>(linear.y) + (tile_row + row) * linear.y_stride + tile_channel + channel;
      *reinterpret_cast<Four<Output>*>(y) = outputs;
    }
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
    const SwappedPart<kConfig> part(params, first_channel);
    if (params.split > 1) add_other_half<kConfig>(part, shared);
    if (is_long(params.linear.activation))
      finish<kConfig, true>(params.linear, part, shared, first_row, first_channel);
    else
      finish<kConfig, false>(params.linear, part, shared, first_row, first_channel);
  }
  __syncwarp();
  ptx::cluster_sync();  // no block leaves while others may still read its sums
}

}  // namespace baracuda

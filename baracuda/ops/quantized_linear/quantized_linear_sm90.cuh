#pragma once

#include "baracuda/device/assert.cuh"
#include "baracuda/device/numeric/activation.cuh"
#include "baracuda/device/numeric/element.cuh"
#include "baracuda/device/ptx/address.cuh"
#include "baracuda/device/ptx/barrier.cuh"
#include "baracuda/device/ptx/cluster.cuh"
#include "baracuda/device/ptx/cp_async_bulk_tensor.cuh"
#include "baracuda/device/ptx/fence.cuh"
#include "baracuda/device/ptx/griddepcontrol.cuh"
#include "baracuda/device/ptx/mbarrier.cuh"
#include "baracuda/device/ptx/opaque.cuh"
#include "baracuda/device/ptx/stmatrix.cuh"
#include "baracuda/device/ptx/wgmma.cuh"
#include "baracuda/device/schedule/grouped_tiles.cuh"
#include "baracuda/device/schedule/ring_position.cuh"
#include "baracuda/ops/quantized_linear/quantized_linear_config.h"
#include "baracuda/ops/quantized_linear/quantized_linear_epilogue.cuh"

// y = act(f32(q · weightᵀ) · (row_scale · weight_scale) + bias) for many rows, by wgmma: see quantized_linear.cuh.
//
// One block for each multiprocessor walks through tiles of 128 × 256. Its producer, one thread, brings 128 bytes of k
// of both operands at a time into a ring of stages by the copy engine, tile after tile, while two warpgroups of
// consumers multiply: 64 rows each, all 256 channels, 128 sums a thread. Meanwhile a warp fetches the scales and biases
// of the tile's channels. A tile's outputs leave through boxes in shared memory, each warp by itself, while the
// producer is filling the ring for the next tile.
//
//   full[stage]      one arrival, which tells the bytes to expect, and those bytes: from the producer to the consumers
//   empty[stage]     an arrival of every consumer warp of the cluster: to the producer, whose next copies may overwrite
//                    the stage, here and in the cluster's other block
//   channels_full, channels_empty   the same between the warp that fetches the channels and the block's consumers, with
//                    an arrival of every thread
//
// The next kernel in the stream may start early, and so may this one, while the quantizer runs. It fetches weights and
// channels then: whatever wrote those has ended, because the quantizer has waited for it before it let this kernel
// start. All else comes after this kernel's own wait.
//
// u8 weights: Σ q·(w − z) = Σ q·w − z·Σ q. Consumers sum q up from shared memory, beside the multiplication.

namespace baracuda {

template <QuantizedLinearWgmmaConfig kConfig>
struct WgmmaShared {
  unsigned char* base;  ///< at a multiple of 1024

  unsigned char* q(int stage) const { return base + stage * kConfig.stage_bytes(); }
  unsigned char* weight(int stage) const { return q(stage) + kConfig.q_bytes(); }
  unsigned char* box(int warp_idx, int box) const {
    return base + kConfig.boxes_offset() + (warp_idx * kConfig.boxes_per_warp() + box) * kConfig.box_bytes();
  }
  QuantizedLinearChannels* channels() const {
    return reinterpret_cast<QuantizedLinearChannels*>(base + kConfig.channels_offset());
  }
  ptx::Mbarrier* full(int stage) const {
    return reinterpret_cast<ptx::Mbarrier*>(base + kConfig.barriers_offset()) + stage;
  }
  ptx::Mbarrier* empty(int stage) const { return full(kConfig.stages()) + stage; }
  ptx::Mbarrier* channels_full() const { return empty(kConfig.stages()); }
  ptx::Mbarrier* channels_empty() const { return channels_full() + 1; }
};

/// The tiles of a block: that of the number of its cluster, and so many clusters on. A turn is twice the tile's number
/// and the parity of how many tiles the block had before: one register, as there is none for both. The grid is of
/// cluster × clusters blocks, so that all of this is constants and special registers.
template <QuantizedLinearWgmmaConfig kConfig>
struct WgmmaSchedule {
  const QuantizedLinearWgmmaParams& params;

  static int first() { return static_cast<int>(2 * blockIdx.y); }
  static int next(int turn) { return (turn + static_cast<int>(2 * gridDim.y)) ^ 1; }
  static unsigned parity(int turn) { return turn & 1; }
  bool has(int turn) const { return turn / 2 < params.num_tiles; }
  /// Of the block in its cluster.
  static int rank() { return kConfig.cluster > 1 ? static_cast<int>(blockIdx.x) : 0; }

  /// This block's first row and channel of a tile of the cluster.
  struct Origin {
    int row, channel;
  };
  Origin origin(int turn) const {
    const TilePosition<int> at = grouped_tile(turn / 2, params.tiles_m, params.tiles_n, kConfig.group());
    return {(at.m * kConfig.cluster + rank()) * kConfig.tile_m(), at.n * kConfig.tile_n()};
  }
};

/// The producer: one thread. It fills the ring for all tiles of the block.
template <QuantizedLinearWgmmaConfig kConfig>
inline void produce(const QuantizedLinearWgmmaParams& params, const WgmmaShared<kConfig>& shared,
                    const WgmmaSchedule<kConfig>& schedule) {
  constexpr auto kPolicy = ptx::CachePolicy::EvictNormal;  // first and last made no difference
  constexpr int kTileK = kConfig.tile_k();
  const auto load_weight = [&](int stage, int step, int channel) {
    // What copies of the other block bring into this one counts too, and may come before the barrier expects it.
    ptx::mbarrier_arrive_expect_tx(shared.full(stage), kConfig.stage_bytes());
    if constexpr (kConfig.cluster == 1) {
      ptx::cp_async_bulk_tensor_2d_shared_global(shared.weight(stage), &params.weight, step * kTileK, channel,
                                                 shared.full(stage), kPolicy);
    } else {
      constexpr int kPart = kConfig.tile_n() / kConfig.cluster;
      constexpr unsigned short kAllBlocks = (1 << kConfig.cluster) - 1;
      const int part = schedule.rank() * kPart;
      ptx::cp_async_bulk_tensor_2d_shared_global_multicast(shared.weight(stage) + part * kTileK, &params.weight,
                                                           step * kTileK, channel + part, shared.full(stage),
                                                           kAllBlocks, kPolicy);
    }
  };
  const auto load_q = [&](int stage, int step, int row) {
    ptx::cp_async_bulk_tensor_2d_shared_global(shared.q(stage), &params.q, step * kTileK, row, shared.full(stage),
                                               kPolicy);
  };

  // Weights are there before q is: the first stages of the first tile get theirs ahead of the wait.
  int num_ahead = 0;
  if (schedule.has(schedule.first())) {
    num_ahead = params.num_steps < kConfig.stages() ? params.num_steps : kConfig.stages();
    for (int step = 0; step < num_ahead; ++step) load_weight(step, step, schedule.origin(schedule.first()).channel);
  }
  ptx::griddepcontrol_wait();

  RingPosition<kConfig.stages()> at;
  for (int turn = schedule.first(); schedule.has(turn); turn = schedule.next(turn)) {
    const auto [row, channel] = schedule.origin(turn);
    for (int step = 0; step < params.num_steps; ++step, at.advance()) {
      if (num_ahead > 0) {
        --num_ahead;
      } else {
        ptx::mbarrier_wait_parity(shared.empty(at.stage), at.parity ^ 1);
        load_weight(at.stage, step, channel);
      }
      load_q(at.stage, step, row);
    }
  }
  ptx::griddepcontrol_launch_dependents();
}

/// A warp: fetches the channels of each tile while it is being multiplied.
template <QuantizedLinearWgmmaConfig kConfig>
inline void fetch_channels(const QuantizedLinearWgmmaParams& params, const WgmmaShared<kConfig>& shared,
                           const WgmmaSchedule<kConfig>& schedule) {
  constexpr int kPerLane = kConfig.tile_n() / 32;
  const QuantizedLinearParams& linear = params.linear;
  const int lane_idx = static_cast<int>(threadIdx.x) % 32;
  QuantizedLinearChannels& channels = *shared.channels();
  for (int turn = schedule.first(); schedule.has(turn); turn = schedule.next(turn)) {
    const int first_channel = schedule.origin(turn).channel;
    float scale[kPerLane], bias[kPerLane];
    unsigned char zero_point[kPerLane];
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      const int channel = first_channel + lane_idx + 32 * i;
      const bool present = channel < linear.c_out;
      scale[i] = present ? load_as<float>(linear.weight_scale, linear.weight_scale_element, channel) : 0;
      bias[i] = present && linear.bias ? load_as<float>(linear.bias, linear.bias_element, channel) : -0.0f;
      if constexpr (kConfig.weight_element == Element::U8)
        zero_point[i] = present ? linear.weight_zero_point[channel] : 0;
    }
    ptx::mbarrier_wait_parity(shared.channels_empty(), schedule.parity(turn) ^ 1);
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      channels.scale[lane_idx + 32 * i] = scale[i];
      channels.bias[lane_idx + 32 * i] = bias[i];
      if constexpr (kConfig.weight_element == Element::U8) channels.zero_point[lane_idx + 32 * i] = zero_point[i];
    }
    ptx::mbarrier_arrive(shared.channels_full());
  }
}

/// Sums of q along k for u8 weights: lane l has half of row l / 2 of the warp's 16 rows, four 16-byte pieces of a
/// stage. Neighbouring rows start at different pieces, so that the 8 lanes that are served together meet in no bank.
inline void add_q_sum(int& sum, const unsigned char* warp_rows, int lane_idx) {
  const int row = lane_idx / 2, half = lane_idx % 2;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int piece = 4 * half + (i + row) % 4;  // where a piece lies does not matter for the sum
    const int4 bytes = *reinterpret_cast<const int4*>(warp_rows + row * 128 + piece * 16);
    constexpr int kOnes = 0x01010101;
    sum = __dp4a(bytes.w, kOnes, __dp4a(bytes.z, kOnes, __dp4a(bytes.y, kOnes, __dp4a(bytes.x, kOnes, sum))));
  }
}

/// 16 × 16 outputs of a warp, rounded: what each lane has of two neighbouring fragments as wgmma leaves them, four
/// values of each.
template <Element kElement>
struct OutputFragments {
  static constexpr bool kIsF32 = kElement == Element::F32;
  unsigned word[kIsF32 ? 8 : 4];

  /// Fragment i of the two.
  void set(int i, const float (&v)[4]) {
    if constexpr (kIsF32) {
#pragma unroll
      for (int e = 0; e < 4; ++e) word[4 * i + e] = __float_as_uint(from_value<kElement>(v[e]));
    } else {
#pragma unroll
      for (int half = 0; half < 2; ++half)
        word[2 * i + half] = kElement == Element::F16 ? f16x2_of_f32(v[2 * half], v[2 * half + 1])
                                                      : bf16x2_of_f32(v[2 * half], v[2 * half + 1]);
    }
  }

  /// Where a lane's outputs for the first pair lie in a box of 16 rows of 128 bytes. Piece c of row r is at piece
  /// c ^ (r % 8), as the tensor map says; the 8 rows of a tile of stmatrix then fill all banks. Further pairs are an
  /// exclusive or away, which spares registers for their addresses.
  static int first_offset(int lane_idx) {
    if constexpr (kIsF32) {
      const int row = lane_idx / 4, t = lane_idx % 4;
      return row * 128 + ((t / 2) ^ row) * 16 + t % 2 * 8;
    } else {
      const int row = lane_idx % 16;
      return row * 128 + ((lane_idx / 16) ^ (row % 8)) * 16;
    }
  }
  /// Into columns 16 · `pair` … of the box.
  void store(unsigned char* box, int pair, int first_offset) const {
    if constexpr (kIsF32) {
#pragma unroll
      for (int i = 0; i < 4; ++i)
        *reinterpret_cast<Pair<unsigned>*>(box + (first_offset ^ (pair * 64 + i / 2 * 32)) +
                                           i % 2 * 8 * 128) = {{word[2 * i], word[2 * i + 1]}};
    } else {
      ptx::stmatrix_x4(box + (first_offset ^ (pair * 32)), word);
    }
  }
};

/// A consumer warp: its 16 rows of the 64 of its warpgroup.
template <QuantizedLinearWgmmaConfig kConfig>
inline void consume(const QuantizedLinearWgmmaParams& params, const WgmmaShared<kConfig>& shared,
                    const WgmmaSchedule<kConfig>& schedule) {
  constexpr bool kHasZeroPoint = kConfig.weight_element == Element::U8;
  constexpr int kTileK = kConfig.tile_k();
  constexpr unsigned kAllLanes = 0xffffffff;
  const QuantizedLinearParams& linear = params.linear;
  const int thread_idx = static_cast<int>(threadIdx.x), warp_idx = thread_idx / 32, lane_idx = thread_idx % 32;
  const int warpgroup_row = warp_idx / 4 * 64, warp_row = warp_idx * 16;

  const auto release = [&](int stage) {
    __syncwarp();  // all lanes have read their part of q
    if (lane_idx < kConfig.cluster) {
      if constexpr (kConfig.cluster == 1)
        ptx::mbarrier_arrive(shared.empty(stage));
      else
        ptx::mbarrier_arrive_cluster(shared.empty(stage), static_cast<unsigned>(lane_idx));
    }
  };

  ptx::griddepcontrol_wait();
  RingPosition<kConfig.stages()> at;
  const auto previous_stage = [&] { return (at.stage + kConfig.stages() - 1) % kConfig.stages(); };
  for (int turn = schedule.first(); schedule.has(turn); turn = schedule.next(turn)) {
    int acc[128];
    int q_sum = 0;
#pragma unroll 1
    for (int step = 0; step < params.num_steps; ++step) {
      ptx::mbarrier_wait_parity(shared.full(at.stage), at.parity);
      const auto q = ptx::WgmmaDescriptor::swizzled_128b(shared.q(at.stage) + warpgroup_row * kTileK);
      const auto weight = ptx::WgmmaDescriptor::swizzled_128b(shared.weight(at.stage));
      ptx::wgmma_fence();
#pragma unroll
      for (int k = 0; k < kTileK; k += 32) {
        if constexpr (kHasZeroPoint)
          ptx::wgmma_m64n256k32_s32_s8_u8(acc, q.advanced(k), weight.advanced(k), (step | k) != 0);
        else
          ptx::wgmma_m64n256k32_s32_s8_s8(acc, q.advanced(k), weight.advanced(k), (step | k) != 0);
      }
      ptx::wgmma_commit_group();
      if constexpr (kHasZeroPoint) add_q_sum(q_sum, shared.q(at.stage) + warp_row * kTileK, lane_idx);
      ptx::wgmma_wait_group<1>();  // the step before is done, and its stage free
      if (step > 0) release(previous_stage());
      at.advance();
    }
    ptx::mbarrier_wait_parity(shared.channels_full(), schedule.parity(turn));
    const auto [first_row, first_channel] = schedule.origin(ptx::opaque(turn));  // or turn / 2 would be kept
    // Asked for while the last products are being made, so that their way is hidden and no registers hold them before.
    float row_scale[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = first_row + warp_row + lane_idx / 4 + 8 * half;
      row_scale[half] = row < linear.m ? static_cast<const float*>(linear.row_scale)[row] : 0;
    }
    ptx::wgmma_wait_group<0>();
    release(previous_stage());
    const QuantizedLinearChannels& channels = *shared.channels();

    int row_q_sum[2] = {0, 0};
    if constexpr (kHasZeroPoint) {
      q_sum += __shfl_xor_sync(kAllLanes, q_sum, 1);
      row_q_sum[0] = __shfl_sync(kAllLanes, q_sum, lane_idx / 4 * 2);
      row_q_sum[1] = __shfl_sync(kAllLanes, q_sum, lane_idx / 4 * 2 + 16);
    }
    using Outputs = OutputFragments<kConfig.output_element>;
    constexpr int kPairs = kConfig.box_columns() / 16, kNumParts = kConfig.tile_n() / kConfig.box_columns();
#pragma unroll
    for (int part = 0; part < kNumParts; ++part) {
      const int thread_idx = ptx::opaque(static_cast<int>(threadIdx.x));  // or addresses of all parts would be kept
      const int warp_idx = thread_idx / 32, lane_idx = thread_idx % 32;
      const int first_offset = Outputs::first_offset(lane_idx);
      // A fragment's values ahead of the activation.
      const auto set_values = [&](int fragment, float(&v)[4]) {
        const int column = part * kConfig.box_columns() + 8 * fragment + lane_idx % 4 * 2;
        const auto scales = *reinterpret_cast<const Pair<float>*>(&channels.scale[column]);
        const auto biases = *reinterpret_cast<const Pair<float>*>(&channels.bias[column]);
        Pair<unsigned char> zero_points{};
        if constexpr (kHasZeroPoint)
          zero_points = *reinterpret_cast<const Pair<unsigned char>*>(&channels.zero_point[column]);
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int sum = acc[4 * (part * 2 * kPairs + fragment) + e] - zero_points.value[e % 2] * row_q_sum[e / 2];
          v[e] = scaled_sum(sum, row_scale[e / 2], scales.value[e % 2], biases.value[e % 2]);
        }
      };
      unsigned char* const box = shared.box(warp_idx, part % kConfig.boxes_per_warp());
      if constexpr (!kConfig.long_activation) {
        if (lane_idx == 0) ptx::cp_async_bulk_wait_group_read<kConfig.boxes_per_warp() - 1>();
        __syncwarp();  // the box's last outputs are on their way
#pragma unroll
        for (int pair = 0; pair < kPairs; ++pair) {
          Outputs outputs;
#pragma unroll
          for (int i = 0; i < 2; ++i) {
            float v[4];
            set_values(2 * pair + i, v);
            if (linear.activation == Activation::Relu)
#pragma unroll
              for (float& value : v) value = activate(Activation::Relu, value);
            outputs.set(i, v);
          }
          outputs.store(box, pair, first_offset);
        }
      } else {
        // Too long to stand here for each value. Registers cannot be indexed, but shared memory can: each lane takes
        // its own values through it, which all boxes together have room for.
        static_assert(8 * kPairs * 32 * 4 <= kConfig.boxes_per_warp() * kConfig.box_bytes(), "f32 are twice as long");
        if (lane_idx == 0) ptx::cp_async_bulk_wait_group_read<0>();
        __syncwarp();
        float* const slots = reinterpret_cast<float*>(shared.box(warp_idx, 0)) + lane_idx;
#pragma unroll
        for (int i = 0; i < 2 * kPairs; ++i) {
          float v[4];
          set_values(i, v);
#pragma unroll
          for (int e = 0; e < 4; ++e) slots[(4 * i + e) * 32] = v[e];
        }
        // Two at a time, where registers suffice, as two warps leave their scheduler idle with one.
        constexpr int kAtOnce = kHasZeroPoint || kConfig.output_element == Element::F32 ? 1 : 2;
#pragma unroll kAtOnce
        for (int i = 0; i < 8 * kPairs; ++i) slots[i * 32] = activate(linear.activation, slots[i * 32]);
        Outputs outputs[kPairs];
#pragma unroll
        for (int i = 0; i < 2 * kPairs; ++i) {
          float v[4];
#pragma unroll
          for (int e = 0; e < 4; ++e) v[e] = slots[(4 * i + e) * 32];
          outputs[i / 2].set(i % 2, v);
        }
        __syncwarp();  // every lane has its values back
#pragma unroll
        for (int pair = 0; pair < kPairs; ++pair) outputs[pair].store(box, pair, first_offset);
      }
      ptx::fence_proxy_async_shared();
      __syncwarp();
      if (lane_idx == 0) {
        ptx::cp_async_bulk_tensor_2d_global_shared(&params.y, first_channel + part * kConfig.box_columns(),
                                                   first_row + warp_row, box);
        ptx::cp_async_bulk_commit_group();
      }
    }
    ptx::mbarrier_arrive(shared.channels_empty());
  }
  if (lane_idx == 0) ptx::cp_async_bulk_wait_group<0>();  // shared memory outlives the copies from it
}

template <QuantizedLinearWgmmaConfig kConfig>
inline void quantized_linear_wgmma(const QuantizedLinearWgmmaParams& params) {
  extern __shared__ __align__(1024) unsigned char memory[];
  const WgmmaShared<kConfig> shared{memory};
  BARACUDA_DEVICE_ASSERT(ptx::shared_address(memory) % 1024 == 0);

  if (threadIdx.x == 0) {
    ptx::prefetch_tensormap(&params.q);
    ptx::prefetch_tensormap(&params.weight);
    ptx::prefetch_tensormap(&params.y);
    for (int stage = 0; stage < kConfig.stages(); ++stage) {
      ptx::mbarrier_init(shared.full(stage), 1);
      ptx::mbarrier_init(shared.empty(stage), kConfig.num_consumer_warps() * kConfig.cluster);
    }
    ptx::mbarrier_init(shared.channels_full(), 32);
    ptx::mbarrier_init(shared.channels_empty(), kConfig.num_consumers());
    ptx::fence_mbarrier_init();
  }
  if constexpr (kConfig.cluster > 1)
    ptx::cluster_sync();
  else
    __syncthreads();

  const WgmmaSchedule<kConfig> schedule{params};
  if (threadIdx.x < kConfig.num_consumers())
    consume<kConfig>(params, shared, schedule);
  else if (threadIdx.x >= kConfig.num_consumers() + 32)
    fetch_channels<kConfig>(params, shared, schedule);
  else if (threadIdx.x == kConfig.num_consumers())
    produce<kConfig>(params, shared, schedule);

  if constexpr (kConfig.cluster > 1) {
    // No block leaves while the other one may still write its memory or arrive at its barriers.
    __syncwarp();
    ptx::cluster_sync();
  }
}

}  // namespace baracuda

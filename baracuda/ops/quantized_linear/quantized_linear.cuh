#pragma once

#include "baracuda/device/copy/row_copy.cuh"
#include "baracuda/device/numeric/activation.cuh"
#include "baracuda/device/numeric/element.cuh"
#include "baracuda/device/ptx/address.cuh"
#include "baracuda/device/ptx/cp_async.cuh"
#include "baracuda/device/ptx/ldmatrix.cuh"
#include "baracuda/device/ptx/mma.cuh"
#include "baracuda/device/schedule/grouped_tiles.cuh"
#include "baracuda/ops/quantized_linear/quantized_linear_config.h"
#include "baracuda/ops/quantized_linear/quantized_linear_epilogue.cuh"

// y = act(f32(q · weightᵀ) · (row_scale · weight_scale) + bias), q and weight 8-bit, for one tile of y after the other.
//
// A block owns a tile of y and walks along k through a ring of stages in shared memory, filled by cp.async `stages − 1`
// steps ahead. Each warp owns warp_m × warp_n of the tile and accumulates it in s32 registers by mma.sync. Sums wrap
// around, and `select` has made sure that the final ones fit, so that they are exact in any order.
//
// u8 weights: Σ q·(w − z) = Σ q·w − z·Σ q. The tensor cores sum up q as well, as a product with a column of ones.

namespace baracuda {

/// Where a tile lies in y.
struct QuantizedLinearTile {
  long long row, channel;  ///< of the first element
};

/// The tile of number `index`.
template <QuantizedLinearConfig kConfig>
inline QuantizedLinearTile quantized_linear_tile(const QuantizedLinearParams& params, long long index) {
  const long long tiles_m = (params.m + kConfig.tile_m - 1) / kConfig.tile_m;
  const long long tiles_n = (params.c_out + kConfig.tile_n - 1) / kConfig.tile_n;
  const TilePosition<long long> at = grouped_tile(index, tiles_m, tiles_n, 8ll);
  return {at.m * kConfig.tile_m, at.n * kConfig.tile_n};
}

/// The 16 bytes at `from` of a row [begin, end) at any alignment, zeros past its end. Reads nothing outside the row.
inline Vector16 load_unaligned_piece(const char* begin, const char* end, const char* from) {
  const unsigned shift = static_cast<unsigned>(reinterpret_cast<unsigned long long>(from)) & (kVectorBytes - 1);
  const char* aligned = from - shift;
  if (aligned >= begin && end - aligned >= (shift ? 2 : 1) * kVectorBytes) {
    const Vector16* vectors = reinterpret_cast<const Vector16*>(aligned);
    return shift ? shift_together<1>(vectors[0], vectors[1], shift) : vectors[0];
  }
  // Byte by byte, the last one first: registers cannot be indexed, but shifted.
  unsigned long long low = 0, high = 0;
#pragma unroll 1
  for (int i = static_cast<int>(end - from < kVectorBytes ? end - from : kVectorBytes) - 1; i >= 0; --i) {
    high = high << 8 | low >> 56;
    low = low << 8 | static_cast<unsigned char>(from[i]);
  }
  return {{static_cast<unsigned>(low), static_cast<unsigned>(low >> 32), static_cast<unsigned>(high),
           static_cast<unsigned>(high >> 32)}};
}

/// Brings kRows rows of an operand, bytes k … k + tile_k of each, into shared memory; what lies outside the operand
/// becomes zeros. All threads of the block call it.
template <QuantizedLinearConfig kConfig, int kRows>
inline void load_rows(unsigned char* shared, const char* operand, long long stride, long long first_row,
                      long long num_rows, long long k, long long num_k) {
  constexpr int kPiecesPerRow = kConfig.tile_k / kVectorBytes;
  constexpr int kPieces = kRows * kPiecesPerRow;
  static_assert(kPieces % kConfig.num_threads() == 0, "every thread has as many pieces");
#pragma unroll
  for (int i = 0; i < kPieces / kConfig.num_threads(); ++i) {
    const int at = i * kConfig.num_threads() + static_cast<int>(threadIdx.x);
    const int row = at / kPiecesPerRow, piece = at % kPiecesPerRow;
    const long long from_k = k + piece * kVectorBytes;
    const bool present = first_row + row < num_rows && from_k < num_k;
    const char* from = operand + (first_row + row) * stride;
    unsigned char* to = shared + stage_offset<kConfig.tile_k>(row, piece);
    if constexpr (kConfig.aligned) {
      ptx::cp_async_16_zfill(ptx::shared_address(to), present ? from + from_k : operand, present);
    } else {
      *reinterpret_cast<Vector16*>(to) = present ? load_unaligned_piece(from, from + num_k, from + from_k) : Vector16{};
    }
  }
}

template <QuantizedLinearConfig kConfig>
inline void load_stage(unsigned char* stage, const QuantizedLinearParams& params, const QuantizedLinearTile& tile,
                       long long k) {
  load_rows<kConfig, kConfig.tile_m>(stage, reinterpret_cast<const char*>(params.q), params.k, tile.row, params.m, k,
                                     params.k);
  load_rows<kConfig, kConfig.tile_n>(stage + kConfig.tile_m * kConfig.tile_k,
                                     reinterpret_cast<const char*>(params.weight), params.weight_stride, tile.channel,
                                     params.c_out, k, params.k);
}

/// The sums of a warp: its part of the tile in fragments of 16 × 8 (see mma.cuh), and for u8 weights the sums of its
/// rows of q, which each column of `q_sums` holds.
template <QuantizedLinearConfig kConfig>
struct QuantizedLinearSums {
  static constexpr bool kHasZeroPoint = kConfig.weight_element == Element::U8;
  static constexpr int kFragsM = kConfig.warp_m() / 16;
  static constexpr int kFragsN = kConfig.warp_n() / 8;
  static_assert(kConfig.warp_m() % 16 == 0 && kConfig.warp_n() % 16 == 0, "ldmatrix brings 16 rows of an operand");

  int acc[kFragsM][kFragsN][4] = {};
  int q_sums[kHasZeroPoint ? kFragsM : 1][4] = {};
};

/// Adds the products of one stage.
template <QuantizedLinearConfig kConfig>
inline void multiply_stage(QuantizedLinearSums<kConfig>& sums, const unsigned char* stage, int warp_row,
                           int warp_channel) {
  using Sums = QuantizedLinearSums<kConfig>;
  constexpr int kTileK = kConfig.tile_k;
  const int lane_idx = static_cast<int>(threadIdx.x) % 32;
  const unsigned q_rows = ptx::shared_address(stage);
  const unsigned weight_rows = q_rows + kConfig.tile_m * kTileK;
#pragma unroll
  for (int piece = 0; piece < kTileK / kVectorBytes; piece += 2) {  // 32 bytes of k
    unsigned q[Sums::kFragsM][4];
#pragma unroll
    for (int i = 0; i < Sums::kFragsM; ++i) {
      // Tiles of ldmatrix: rows 0 … 7, rows 8 … 15, then the same rows' next 16 bytes.
      const int row = warp_row + 16 * i + lane_idx % 16;
      ptx::ldmatrix_x4(q[i], q_rows + stage_offset<kTileK>(row, piece + lane_idx / 16));
    }
#pragma unroll
    for (int j = 0; j < Sums::kFragsN; j += 2) {
      // Here rows 0 … 7, their next 16 bytes, then rows 8 … 15: two fragments of 8 channels.
      unsigned weight[4];
      const int row = warp_channel + 8 * j + lane_idx % 8 + lane_idx / 16 * 8;
      ptx::ldmatrix_x4(weight, weight_rows + stage_offset<kTileK>(row, piece + lane_idx / 8 % 2));
      const unsigned low[2] = {weight[0], weight[1]}, high[2] = {weight[2], weight[3]};
#pragma unroll
      for (int i = 0; i < Sums::kFragsM; ++i) {
        if constexpr (Sums::kHasZeroPoint) {
          ptx::mma_m16n8k32_s32_s8_u8(sums.acc[i][j], q[i], low);
          ptx::mma_m16n8k32_s32_s8_u8(sums.acc[i][j + 1], q[i], high);
        } else {
          ptx::mma_m16n8k32_s32_s8_s8(sums.acc[i][j], q[i], low);
          ptx::mma_m16n8k32_s32_s8_s8(sums.acc[i][j + 1], q[i], high);
        }
      }
    }
    if constexpr (Sums::kHasZeroPoint) {
      const unsigned ones[2] = {0x01010101, 0x01010101};
#pragma unroll
      for (int i = 0; i < Sums::kFragsM; ++i) ptx::mma_m16n8k32_s32_s8_u8(sums.q_sums[i], q[i], ones);
    }
  }
}

/// Scales, adds the bias, activates and stores the warp's part of the tile, 16 rows at a time. They go through `patch`,
/// shared memory of this warp alone, so that neighbouring lanes get neighbouring channels of a row: a lane keeps its
/// two channels, with their scales and biases, and walks down the rows.
template <QuantizedLinearConfig kConfig>
inline void store_outputs(const QuantizedLinearSums<kConfig>& sums, const QuantizedLinearParams& params, int* patch,
                          long long first_row, long long first_channel) {
  using Sums = QuantizedLinearSums<kConfig>;
  using Value = ComputeOf<kConfig.output_element>;
  using Output = StorageOf<kConfig.output_element>;
  constexpr int kPitch = kConfig.patch_pitch();
  constexpr int kLanesPerRow = kConfig.warp_n() / 2;
  static_assert(32 % kLanesPerRow == 0, "a warp stores whole rows");
  constexpr unsigned kAllLanes = 0xffffffff;
  const int lane_idx = static_cast<int>(threadIdx.x) % 32;
  const int column = lane_idx % kLanesPerRow * 2;
  const long long channel = first_channel + column;
  const bool present[2] = {channel < params.c_out, channel + 1 < params.c_out};
  Value scale[2], bias[2];
  int zero_point[2];
#pragma unroll
  for (int c = 0; c < 2; ++c) {
    scale[c] = present[c] && params.k > 0
                   ? load_as<Value>(params.weight_scale, params.weight_scale_element, channel + c)
                   : Value(1);
    bias[c] = present[c] && params.bias ? load_as<Value>(params.bias, params.bias_element, channel + c) : -Value(0);
    zero_point[c] = Sums::kHasZeroPoint && present[c] ? params.weight_zero_point[channel + c] : 0;
  }

#pragma unroll
  for (int i = 0; i < Sums::kFragsM; ++i) {
#pragma unroll
    for (int j = 0; j < Sums::kFragsN; ++j)
#pragma unroll
      for (int half = 0; half < 2; ++half)
        *reinterpret_cast<Pair<int>*>(patch + (lane_idx / 4 + 8 * half) * kPitch + 8 * j +
                                      lane_idx % 4 * 2) = {{sums.acc[i][j][2 * half], sums.acc[i][j][2 * half + 1]}};
    __syncwarp();
#pragma unroll 1
    for (int r = lane_idx / kLanesPerRow; r < 16; r += 32 / kLanesPerRow) {
      const long long row = first_row + 16 * i + r;
      const Pair<int> acc = *reinterpret_cast<const Pair<int>*>(patch + r * kPitch + column);
      int q_sum = 0;
      if constexpr (Sums::kHasZeroPoint) {
        const int low = __shfl_sync(kAllLanes, sums.q_sums[i][0], r % 8 * 4);
        const int high = __shfl_sync(kAllLanes, sums.q_sums[i][2], r % 8 * 4);
        q_sum = r < 8 ? low : high;
      }
      if (row >= params.m || !present[0]) continue;
      const Value row_scale = static_cast<const Value*>(params.row_scale)[row];
      Pair<Output> out;
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        const Value v = scaled_sum(acc.value[c] - zero_point[c] * q_sum, row_scale, scale[c], bias[c]);
        out.value[c] = from_value<kConfig.output_element>(activate(params.activation, v));
      }
      Output* y = static_cast<Output*>(params.y) + row * params.y_stride + channel;
      if (params.y_in_pairs && present[1]) {
        *reinterpret_cast<Pair<Output>*>(y) = out;
      } else {
        y[0] = out.value[0];
        if (present[1]) y[1] = out.value[1];
      }
    }
    __syncwarp();
  }
}

template <QuantizedLinearConfig kConfig>
inline void quantized_linear(const QuantizedLinearParams& params) {
  extern __shared__ __align__(128) unsigned char ring[];
  constexpr int kStages = kConfig.stages;
  const int warp_idx = static_cast<int>(threadIdx.x) / 32;
  const int warp_row = warp_idx / kConfig.warps_n * kConfig.warp_m();
  const int warp_channel = warp_idx % kConfig.warps_n * kConfig.warp_n();
  const long long num_tiles =
      (params.m + kConfig.tile_m - 1) / kConfig.tile_m * ((params.c_out + kConfig.tile_n - 1) / kConfig.tile_n);
  const int num_steps = static_cast<int>((params.k + kConfig.tile_k - 1) / kConfig.tile_k);

  for (long long index = blockIdx.x; index < num_tiles; index += gridDim.x) {
    const QuantizedLinearTile tile = quantized_linear_tile<kConfig>(params, index);
    // A group of copies for each step, an empty one where there is no step, so that counting groups counts steps.
    const auto fill = [&](int step, int stage) {
      if (step < num_steps)
        load_stage<kConfig>(ring + stage * kConfig.stage_bytes(), params, tile,
                            static_cast<long long>(step) * kConfig.tile_k);
      ptx::cp_async_commit_group();
    };
    QuantizedLinearSums<kConfig> sums;
    for (int step = 0; step < kStages - 1; ++step) fill(step, step);
    int stage = 0;
    for (int step = 0; step < num_steps; ++step) {
      ptx::cp_async_wait_group<kStages - 2>();
      // The stage of this step is there for every thread, and every warp is done with the one before it, whose place
      // the next copies take.
      __syncthreads();
      fill(step + kStages - 1, stage == 0 ? kStages - 1 : stage - 1);
      multiply_stage<kConfig>(sums, ring + stage * kConfig.stage_bytes(), warp_row, warp_channel);
      stage = stage + 1 == kStages ? 0 : stage + 1;
    }
    __syncthreads();  // the outputs go through the ring
    store_outputs<kConfig>(sums, params, reinterpret_cast<int*>(ring) + warp_idx * 16 * kConfig.patch_pitch(),
                           tile.row + warp_row, tile.channel + warp_channel);
    __syncthreads();  // the ring is the next tile's
  }
}

}  // namespace baracuda

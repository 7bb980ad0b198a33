#pragma once

// For host and NVRTC: no standard headers.

#include "baracuda/core/activation.h"
#include "baracuda/core/element.h"
#include "baracuda/core/tensor_map.h"

namespace baracuda {

/// Whether an activation's text is so long that kernels have it once, and not for each value that a thread has.
constexpr bool is_long(Activation activation) {
  return activation == Activation::Gelu || activation == Activation::Silu;
}

/// What a kernel is compiled for: a block computes a tile of tile_m rows and tile_n output channels, tile_k bytes of k
/// at a time, through a ring of `stages` such steps in shared memory.
struct QuantizedLinearConfig {
  Element weight_element;  ///< I8 or U8
  Element output_element;  ///< F64: scales, bias and activation in f64 too, else in f32
  bool aligned;            ///< rows of q and weight begin at multiples of 16 bytes and are made of whole 16 bytes
  int tile_m, tile_n, tile_k;
  int stages;
  int warps_m, warps_n;  ///< how warps divide the tile

  constexpr int num_threads() const { return 32 * warps_m * warps_n; }
  constexpr int warp_m() const { return tile_m / warps_m; }
  constexpr int warp_n() const { return tile_n / warps_n; }
  constexpr int stage_bytes() const { return (tile_m + tile_n) * tile_k; }
  /// Ints from row to row of the 16 × warp_n sums that a warp sends through shared memory at a time. With 8 more than
  /// a row has, the 8 bytes that each lane of a fragment stores do not meet in a bank.
  constexpr int patch_pitch() const { return warp_n() + 8; }
  constexpr int shared_bytes() const {
    const int ring = stages * stage_bytes(), patches = warps_m * warps_n * 16 * patch_pitch() * 4;
    return ring > patches ? ring : patches;
  }
};

/// One stage of the ring holds tile_m rows of q, then tile_n rows of weight, tile_k bytes each. The 16-byte pieces of a
/// row are permuted so that the same piece of 8 neighbouring rows, which ldmatrix reads at once, lies at 8 different
/// places of the 128 bytes that the banks serve together. A line of 128 bytes holds a part of a row, one or two rows;
/// the piece's number is xor-ed with the line's:
///
///   tile_k 128 and more, row r: piece c at c ^ (r % 8)        tile_k 64: row r: piece c at c ^ (r / 2 % 4)
template <int kTileK>
constexpr int stage_offset(int row, int piece) {
  static_assert(kTileK >= 64 && (kTileK & (kTileK - 1)) == 0, "a row is half a line, or whole lines");
  constexpr int kRowsPerLine = kTileK < 128 ? 128 / kTileK : 1;
  constexpr int kPiecesPermuted = kTileK < 128 ? kTileK / 16 : 8;
  return row * kTileK + (piece ^ (row / kRowsPerLine % kPiecesPermuted)) * 16;
}

struct QuantizedLinearParams {
  const signed char* q;  ///< [m, k], contiguous
  const void* row_scale;
  const unsigned char* weight;
  const void* weight_scale;
  const unsigned char* weight_zero_point;  ///< U8 alone
  const void* bias;                        ///< null where there is none
  void* y;
  long long m, c_out, k;
  long long weight_stride;  ///< bytes from row to row
  long long y_stride;       ///< elements
  Element weight_scale_element;
  Element bias_element;
  Activation activation;
  bool y_in_pairs;  ///< an even column of any row begins at a multiple of two elements
};

// ---- sm_90a ---------------------------------------------------------------------------------------------------------

/// What the kernel for many rows is compiled for. A block computes tiles of 128 rows and 256 channels; the blocks of a
/// cluster have neighbouring rows and the same channels, and each brings its part of the weights to all of them.
struct QuantizedLinearWgmmaConfig {
  Element weight_element;  ///< I8 or U8
  Element output_element;  ///< F32, F16 or Bf16
  int cluster;             ///< 1 or 2
  bool long_activation;    ///< GELU and SiLU, see is_long; else the others

  static constexpr int tile_m() { return 128; }
  static constexpr int tile_n() { return 256; }
  static constexpr int tile_k() { return 128; }  ///< bytes; a row of the 128-byte swizzle
  static constexpr int stages() { return 4; }
  /// Rows of tiles that are worked on together.
  constexpr int group() const { return 16 / cluster; }

  /// Two warpgroups of consumers, with 64 rows each, the warp of the producer and that which fetches the channels. Each
  /// quarter of the multiprocessor has registers for three warps of the 168 a thread that consumers need.
  static constexpr int num_consumer_warps() { return 8; }
  static constexpr int num_consumers() { return 32 * num_consumer_warps(); }
  static constexpr int num_threads() { return num_consumers() + 2 * 32; }

  /// Outputs leave in boxes of 16 rows of 128 bytes, of which each warp has two, one that it fills and one that the
  /// copy engine reads.
  static constexpr int box_rows() { return 16; }
  static constexpr int box_bytes() { return box_rows() * 128; }
  constexpr int box_columns() const { return 128 / element_bytes(output_element); }
  static constexpr int boxes_per_warp() { return 2; }

  // Shared memory: the ring, stage by stage q and then weight; the boxes; the channels; the barriers.
  static constexpr int q_bytes() { return tile_m() * tile_k(); }
  static constexpr int stage_bytes() { return (tile_m() + tile_n()) * tile_k(); }
  static constexpr int boxes_offset() { return stages() * stage_bytes(); }
  static constexpr int channels_offset() {
    return boxes_offset() + num_consumer_warps() * boxes_per_warp() * box_bytes();
  }
  static constexpr int barriers_offset() { return channels_offset() + tile_n() * (4 + 4 + 1); }
  static constexpr int shared_bytes() { return barriers_offset() + (2 * stages() + 2) * 8; }
};

/// What all rows of a tile have in common, in shared memory.
struct QuantizedLinearChannels {
  float scale[QuantizedLinearWgmmaConfig::tile_n()];
  float bias[QuantizedLinearWgmmaConfig::tile_n()];
  unsigned char zero_point[QuantizedLinearWgmmaConfig::tile_n()];
};

struct QuantizedLinearWgmmaParams {
  TensorMap q, weight;  ///< boxes of tile_m and of tile_n / cluster rows
  TensorMap y;          ///< boxes of box_rows
  QuantizedLinearParams linear;
  // Here as constants, because the kernel has no register to spare for them.
  int tiles_m, tiles_n;  ///< of the cluster
  int num_tiles;
  int num_steps;  ///< of tile_k, at least 1

  constexpr void set_tiles(const QuantizedLinearWgmmaConfig& config) {
    const int cluster_m = config.cluster * config.tile_m();
    tiles_m = static_cast<int>((linear.m + cluster_m - 1) / cluster_m);
    tiles_n = static_cast<int>((linear.c_out + config.tile_n() - 1) / config.tile_n());
    num_tiles = tiles_m * tiles_n;
    num_steps = static_cast<int>((linear.k + config.tile_k() - 1) / config.tile_k());
  }
};

/// What the kernel for few rows on sm_90a is compiled for. Weights, which are all there is to move, are the first
/// operand of wgmma and q is the second. A block has `rows` rows and as many channels, at most `channels`, as give
/// every multiprocessor the same; blocks of a cluster may share them and divide k.
struct QuantizedLinearSwappedConfig {
  Element weight_element;  ///< I8 or U8
  Element output_element;  ///< F32, F16 or Bf16
  int channels;            ///< 128 or 256: 64 or 128 of each warpgroup
  int rows;                ///< 32, 64 or 128

  static constexpr int chunk_k() { return 128; }  ///< bytes; a row of the 128-byte swizzle
  /// Chunks that follow each other in k, in each stage of the ring: as large ones as leave room for several.
  constexpr int chunks() const { return channels == 128 ? 2 : 1; }
  constexpr int tile_k() const { return chunks() * chunk_k(); }

  /// Two warpgroups of consumers and the warp of the producer, see QuantizedLinearWgmmaConfig.
  static constexpr int num_consumer_warps() { return 8; }
  static constexpr int num_consumers() { return 32 * num_consumer_warps(); }
  static constexpr int num_threads() { return num_consumers() + 32; }

  // Shared memory: the ring, in each stage the chunks of weight and then those of q; channels; rows; barriers. After
  // the products the sums of the tile take the ring's place.
  constexpr int weight_chunk_bytes() const { return channels * chunk_k(); }
  constexpr int q_chunk_bytes() const { return rows * chunk_k(); }
  constexpr int stage_bytes() const { return chunks() * (weight_chunk_bytes() + q_chunk_bytes()); }
  constexpr int stages() const { return 220 * 1024 / stage_bytes(); }
  constexpr int channels_offset() const { return stages() * stage_bytes(); }
  constexpr int rows_offset() const { return channels_offset() + channels * (4 + 4 + 1); }
  constexpr int barriers_offset() const { return rows_offset() + rows * (4 + 4); }
  constexpr int shared_bytes() const { return barriers_offset() + 2 * stages() * 8; }
  /// Ints from row to row of the sums. With 4 more than a row has, the 32 that a warp stores at a time, of 8 channels
  /// and 4 pairs of rows, lie in 32 banks.
  constexpr int sums_pitch() const { return channels + 4; }
};

struct QuantizedLinearSwappedParams {
  TensorMap q;       ///< boxes of `rows` rows
  TensorMap weight;  ///< boxes of `channels` rows, those of these params
  QuantizedLinearParams linear;
  int channels;  ///< of a block, a multiple of 8
  int split;     ///< blocks of a cluster, each with a part of k: 1 or 2
};

}  // namespace baracuda

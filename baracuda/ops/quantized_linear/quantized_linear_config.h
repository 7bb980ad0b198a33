#pragma once

// For host and NVRTC: no standard headers.

#include "baracuda/core/activation.h"
#include "baracuda/core/element.h"

namespace baracuda {

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

}  // namespace baracuda

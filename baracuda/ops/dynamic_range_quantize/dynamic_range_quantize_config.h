#pragma once

// For host and NVRTC: no standard headers.

#include "baracuda/core/element.h"
#include "baracuda/core/fast_divmod.h"

namespace baracuda {

/// Vectors: 16-byte loads of rows that are contiguous, aligned and made of whole vectors. Elements: one by one, any
/// strides.
enum class DynamicRangeQuantizeVariant : unsigned char { Vectors, Elements };

/// What a kernel is compiled for. q's element is not in it: both kinds store the low byte.
struct DynamicRangeQuantizeConfig {
  DynamicRangeQuantizeVariant variant;
  Element element;
  bool symmetric;
  /// Neighbouring threads that have a row: 8, 16 or 32 lanes of a warp, of which a block has several, or a block of 64,
  /// 128 or 256, for rows that are too long for the registers of a warp. From 8 on a vector each is a line of memory.
  int row_threads;

  constexpr bool block_per_row() const { return row_threads > 32; }
  constexpr int num_threads() const { return block_per_row() ? row_threads : 64; }
  /// Pieces of a row, vectors or elements, that a thread keeps in registers between the two passes over it. What a row
  /// has beyond that is read a second time.
  static constexpr int pieces_per_thread() { return 8; }
  constexpr int piece_elems() const {
    return variant == DynamicRangeQuantizeVariant::Vectors ? 16 / element_bytes(element) : 1;
  }
};

/// One axis that rows are counted over. Strides in bytes.
struct DynamicRangeQuantizeAxis {
  long long extent;
  long long x_stride;
  long long q_stride;
};

struct DynamicRangeQuantizeParams {
  const char* x;
  char* q;
  void* scale;      ///< f32, f64 for f64
  int* zero_point;  ///< may be null
  long long num_rows;
  long long row_elems;
  long long x_inner_stride;  ///< bytes
  long long q_inner_stride;
  int q_min;
  int q_max;

  int num_axes;  ///< innermost first
  DynamicRangeQuantizeAxis axes[7];
  FastDivisor divisors[7];  ///< of the extents, where num_rows < 2^31
};

}  // namespace baracuda

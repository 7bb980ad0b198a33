#pragma once

#include "baracuda/device/copy/row_copy.cuh"
#include "baracuda/device/schedule/flat_index.cuh"
#include "baracuda/ops/write_slice/write_slice_config.h"

// The window is walked by one flat index, split into one index per axis, innermost first. A grid of any size does:
// each thread strides over what is left.

namespace baracuda {

struct WindowOffsets {
  long long dest;
  long long source;
};

/// Where index `n` of the window lies, from the base corner.
template <bool kWide>
inline WindowOffsets window_offsets(const WriteSliceParams& params, typename FlatIndex<kWide>::type n) {
  WindowOffsets offsets{0, 0};
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    if (k == params.num_axes) break;
    const long long index = split_index<kWide>(n, params.axes[k].extent, params.divisors[k]);
    offsets.dest += index * params.axes[k].dest_stride;
    offsets.source += index * params.axes[k].source_stride;
  }
  return offsets;
}

/// How far the positions on the device move the window, and whether it fits; one thread of the grid reports that.
/// Every thread reads the few positions itself: they come from the cache, and no barrier is needed.
template <WriteSliceConfig kConfig>
inline bool move_window(const WriteSliceParams& params, long long* offset) {
  *offset = 0;
  if constexpr (!kConfig.device_starts) return true;
  const bool fits = resolve_starts(params, offset);
  if (params.status && blockIdx.x == 0 && threadIdx.x == 0) *params.status = fits ? 0 : 1;
  return fits;
}

/// Rows: `1 << lanes_log2` neighbouring threads share a chunk of one row.
template <WriteSliceConfig kConfig>
inline void write_slice_rows(const WriteSliceParams& params) {
  long long moved;
  if (!move_window<kConfig>(params, &moved)) return;
  using Index = typename FlatIndex<kConfig.wide_index>::type;
  const unsigned lanes = 1u << params.lanes_log2;
  const unsigned lane_idx = threadIdx.x & (lanes - 1);
  const Index chunks_per_block = kConfig.num_threads() >> params.lanes_log2;
  for (Index item = blockIdx.x * chunks_per_block + (threadIdx.x >> params.lanes_log2);
       item < static_cast<Index>(params.num_items); item += gridDim.x * chunks_per_block) {
    Index row = item;
    const long long chunk = split_index<kConfig.wide_index>(row, params.chunks_per_row, params.chunk_divisor);
    const WindowOffsets offsets = window_offsets<kConfig.wide_index>(params, row);
    copy_row_vectors<kConfig.element_bytes, kConfig.unroll()>(
        params.dest + moved + offsets.dest, params.source + offsets.source, params.row_bytes,
        chunk * (kConfig.unroll() << params.lanes_log2) + lane_idx, lanes);
  }
}

/// Generic: a thread moves unroll() elements, a block's width apart.
template <WriteSliceConfig kConfig>
inline void write_slice_generic(const WriteSliceParams& params) {
  long long moved;
  if (!move_window<kConfig>(params, &moved)) return;
  using Index = typename FlatIndex<kConfig.wide_index>::type;
  using Element = OpaqueElement<kConfig.element_bytes>;
  constexpr Index kBlockElems = kConfig.num_threads() * kConfig.unroll();
  const Index num_elems = static_cast<Index>(params.num_items);
  for (Index first = blockIdx.x * kBlockElems; first < num_elems; first += gridDim.x * kBlockElems) {
    Element values[kConfig.unroll()];
    char* dest[kConfig.unroll()];
#pragma unroll
    for (int i = 0; i < kConfig.unroll(); ++i) {
      const Index n = first + i * kConfig.num_threads() + threadIdx.x;
      dest[i] = nullptr;
      if (n >= num_elems) continue;
      const WindowOffsets offsets = window_offsets<kConfig.wide_index>(params, n);
      dest[i] = params.dest + moved + offsets.dest;
      values[i] = *reinterpret_cast<const Element*>(params.source + offsets.source);
    }
#pragma unroll
    for (int i = 0; i < kConfig.unroll(); ++i)
      if (dest[i]) *reinterpret_cast<Element*>(dest[i]) = values[i];
  }
}

/// Nibbles: a thread per nibble; the owner of a byte writes it whole.
template <WriteSliceConfig kConfig>
inline void write_slice_nibbles(const WriteSliceParams& params) {
  long long moved;
  if (!move_window<kConfig>(params, &moved)) return;
  using Index = typename FlatIndex<kConfig.wide_index>::type;
  const Index stride = gridDim.x * static_cast<Index>(kConfig.num_threads());
  for (Index n = blockIdx.x * static_cast<Index>(kConfig.num_threads()) + threadIdx.x;
       n < static_cast<Index>(params.num_items); n += stride) {
    const WindowOffsets offsets = window_offsets<kConfig.wide_index>(params, n);
    write_nibble(params, params.dest_nibble + moved, offsets.dest, params.source_nibble + offsets.source);
  }
}

template <WriteSliceConfig kConfig>
inline void write_slice(const WriteSliceParams& params) {
  static_assert(kConfig.variant == WriteSliceVariant::Rows || kConfig.variant == WriteSliceVariant::Generic ||
                    kConfig.variant == WriteSliceVariant::Nibbles,
                "the other variants are copies by the driver");
  if constexpr (kConfig.variant == WriteSliceVariant::Rows) write_slice_rows<kConfig>(params);
  if constexpr (kConfig.variant == WriteSliceVariant::Generic) write_slice_generic<kConfig>(params);
  if constexpr (kConfig.variant == WriteSliceVariant::Nibbles) write_slice_nibbles<kConfig>(params);
}

}  // namespace baracuda

#pragma once

#include "baracuda/device/copy/row_copy.cuh"
#include "baracuda/device/schedule/flat_index.cuh"
#include "baracuda/ops/kv_cache_append/kv_cache_append_config.h"

namespace baracuda {

/// Moves chunk `item` of one side. Rows are numbered token by token, the heads of a token next to each other.
template <KvCacheAppendConfig kConfig>
inline void append_chunk(const KvCacheAppendParams& params, const KvCacheAppendSide& side,
                         typename FlatIndex<kConfig.wide_index>::type item, unsigned lane_idx) {
  const long long chunk = split_index<kConfig.wide_index>(item, side.chunks_per_row, side.chunk_divisor);
  const long long head = split_index<kConfig.wide_index>(item, side.num_heads, side.head_divisor);
  // Paged sources have one axis of tokens, which is their axis of positions.
  const long long token =
      kConfig.paged ? 0 : split_index<kConfig.wide_index>(item, params.num_tokens, params.token_divisor);
  const KvCachePlace place = place_of<kConfig.paged, kConfig.wide_index>(params, item);
  if (place.skipped) return;
  copy_row_vectors<kConfig.element_bytes, kConfig.unroll()>(
      side.cache + place.page * side.cache_page_stride + (place.token + token) * side.cache_token_stride +
          head * side.cache_head_stride,
      side.source + item * side.source_sequence_stride + token * side.source_token_stride +
          head * side.source_head_stride,
      side.row_bytes, chunk * (kConfig.unroll() << side.lanes_log2) + lane_idx, 1 << side.lanes_log2);
}

/// One grid for both sides: the first k_blocks blocks take keys, the rest values. Block 0 also reports whether any
/// position was invalid.
template <KvCacheAppendConfig kConfig>
inline void kv_cache_append(const KvCacheAppendParams& params) {
  if (params.status && blockIdx.x == 0) {
    bool invalid = false;
    for (long long i = threadIdx.x; i < params.num_positions; i += kConfig.num_threads())
      invalid |= place_of<kConfig.paged, kConfig.wide_index>(params, i).invalid;
    const int any = __syncthreads_or(invalid);
    if (threadIdx.x == 0) *params.status = any ? 1 : 0;
  }
  const bool is_k = blockIdx.x < params.k_blocks;
  const KvCacheAppendSide& side = is_k ? params.k : params.v;
  const long long block = is_k ? blockIdx.x : blockIdx.x - params.k_blocks;
  const long long item = block * (kConfig.num_threads() >> side.lanes_log2) + (threadIdx.x >> side.lanes_log2);
  if (item < side.num_items)
    append_chunk<kConfig>(params, side, static_cast<typename FlatIndex<kConfig.wide_index>::type>(item),
                          threadIdx.x & ((1u << side.lanes_log2) - 1));
}

}  // namespace baracuda

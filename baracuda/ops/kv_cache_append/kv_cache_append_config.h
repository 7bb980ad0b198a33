#pragma once

// For host and NVRTC: no standard headers.

#include "baracuda/core/fast_divmod.h"

namespace baracuda {

/// What a kernel is compiled for. A contiguous cache is a paged one whose pages are the sequences.
struct KvCacheAppendConfig {
  bool paged;
  int element_bytes;
  bool wide_index;  ///< more than 2^31 − 1 elements to move, or slots

  static constexpr int num_threads() { return 256; }
  /// Independent 16-byte vectors that one thread moves at a time.
  static constexpr int unroll() { return 4; }
};

/// Keys or values. Strides in bytes.
struct KvCacheAppendSide {
  char* cache;
  const char* source;
  long long cache_page_stride;  ///< Contiguous: sequence
  long long cache_token_stride;
  long long cache_head_stride;
  long long source_sequence_stride;  ///< 0 for Paged
  long long source_token_stride;
  long long source_head_stride;
  long long num_heads;  ///< 1 where the heads of a token are one run in both tensors
  long long row_bytes;  ///< head_dim, or num_kv_heads · head_dim
  // The GPU's partition:
  long long num_items;  ///< rows · chunks_per_row
  long long chunks_per_row;
  FastDivisor chunk_divisor;
  FastDivisor head_divisor;
  int lanes_log2;  ///< threads that share a chunk
};

struct KvCacheAppendParams {
  KvCacheAppendSide k;
  KvCacheAppendSide v;
  long long k_blocks;  ///< the blocks of the GPU's grid that take keys, ahead of those that take values
  const long long* positions;
  int* status;  ///< may be null
  long long num_positions;
  long long num_tokens;       ///< a position's: Contiguous num_tokens, Paged 1
  long long page_tokens;      ///< Contiguous max_seq_len, Paged page_size
  long long num_slots;        ///< Paged: num_pages · page_size
  FastDivisor token_divisor;  ///< of num_tokens; not with wide_index
  FastDivisor page_divisor;   ///< of page_tokens; not with wide_index
};

/// Where the first token of position `index` goes.
struct KvCachePlace {
  bool skipped;
  bool invalid;  ///< skipped, and not asked to be
  long long page;
  long long token;
};

template <bool kPaged, bool kWideIndex>
constexpr KvCachePlace place_of(const KvCacheAppendParams& params, long long index) {
  const long long position = params.positions[index];
  const long long most = kPaged ? params.num_slots - 1 : params.page_tokens - params.num_tokens;
  if (position < 0 || position > most) return {true, position != -1, 0, 0};
  if constexpr (!kPaged) return {false, false, index, position};
  const long long page =
      kWideIndex ? position / params.page_tokens : quotient(static_cast<unsigned>(position), params.page_divisor);
  return {false, false, page, position - page * params.page_tokens};
}

}  // namespace baracuda

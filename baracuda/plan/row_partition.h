#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace baracuda {

/// How the threads of a grid share rows that are moved by copy_row_vectors (device/copy/row_copy.cuh).
struct RowPartition {
  int lanes_log2 = 0;               ///< 1 << lanes_log2 neighbouring threads share a chunk of a row
  std::int64_t chunks_per_row = 1;  ///< of `unroll` vectors a thread
};

/// `alignment_bits`: the destination and its row strides, or-ed together. Where every row starts on a 16-byte boundary
/// none has a partial vector before it. A row gets the threads to move it in one go, at most a block of them, which
/// holds `num_threads`, a power of two.
inline RowPartition partition_rows(std::int64_t row_bytes, std::uintptr_t alignment_bits, int unroll, int num_threads) {
  constexpr std::int64_t kVectorBytes = 16;
  const std::int64_t head = alignment_bits % kVectorBytes ? kVectorBytes - 1 : 0;
  const std::int64_t vectors = (head + row_bytes + kVectorBytes - 1) / kVectorBytes;
  const std::int64_t lanes_wanted = (vectors + unroll - 1) / unroll;
  RowPartition partition;
  partition.lanes_log2 = std::min(std::countr_zero(static_cast<unsigned>(num_threads)),
                                  static_cast<int>(std::bit_width(static_cast<std::uint64_t>(lanes_wanted - 1))));
  const std::int64_t vectors_per_chunk = std::int64_t{unroll} << partition.lanes_log2;
  partition.chunks_per_row = (vectors + vectors_per_chunk - 1) / vectors_per_chunk;
  return partition;
}

}  // namespace baracuda

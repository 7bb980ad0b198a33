#pragma once

// For host and NVRTC: no standard headers.

#include "baracuda/core/fast_divmod.h"

namespace baracuda {

enum class WriteSliceVariant : unsigned char { WholeDest, ContiguousChunk, Rows, Nibbles, Generic };

/// What a kernel is compiled for. Entries say __launch_bounds__(num_threads(), 1): without the 1 the compiler spills
/// registers for the sake of one block more on a multiprocessor.
struct WriteSliceConfig {
  WriteSliceVariant variant;
  int element_bytes;  ///< alignment of pointers, strides and rows; 1 for the packed kinds
  bool wide_index;    ///< more than 2^31 − 1 elements
  bool device_starts;

  static constexpr int num_threads() { return 256; }
  /// Independent 16-byte vectors, or elements, that one thread moves at a time.
  static constexpr int unroll() { return 4; }
};

/// One axis of the window after collapsing. Strides in bytes, in nibbles for WriteSliceVariant::Nibbles.
struct WriteSliceAxis {
  long long extent;
  long long dest_stride;
  long long source_stride;
};

/// A window in as few axes as describe it. Axes come innermost first, dest strides are positive and ascend, and each
/// steps over all that is inside: the base corner has the smallest dest address.
struct WriteSliceParams {
  char* dest;               ///< base corner; Nibbles: the view's pointer
  const char* source;       ///< base corner; Nibbles: the view's pointer
  long long dest_nibble;    ///< Nibbles: base corner, counted from `dest`
  long long source_nibble;  ///< Nibbles: base corner, counted from `source`

  int num_axes;
  WriteSliceAxis axes[8];
  FastDivisor divisors[8];  ///< of the extents; not with wide_index

  long long num_items;       ///< elements; Rows: rows · chunks_per_row
  long long row_bytes;       ///< Rows: the innermost contiguous run, which is not among the axes
  long long chunks_per_row;  ///< Rows: pieces of unroll() · lanes vectors
  FastDivisor chunk_divisor;
  int lanes_log2;  ///< Rows: threads that share a chunk

  // With device_starts: dest moves by Σ starts[axis] · start_strides[axis] if every position fits.
  const long long* starts;
  int* status;  ///< may be null
  int rank;
  long long dest_shape[8];
  long long extents[8];
  long long start_strides[8];  ///< bytes or nibbles, of dest, signed
};

/// The offset that the positions move the window by. False if one does not fit.
constexpr bool resolve_starts(const WriteSliceParams& params, long long* offset) {
  *offset = 0;
  for (int axis = 0; axis < params.rank; ++axis) {
    const long long start = params.starts[axis];
    // start + extent could overflow; dest_shape − extent cannot.
    if (start < 0 || start > params.dest_shape[axis] - params.extents[axis]) return false;
    *offset += start * params.start_strides[axis];
  }
  return true;
}

/// Whether the window writes the dest nibble `at` (counted from the base corner), and from which source nibble. The
/// strides ascend and step over what is inside, so the digits of `at` are unique and found greedily.
constexpr bool find_nibble(const WriteSliceParams& params, long long at, long long* source_nibble) {
  if (at < 0) return false;
  *source_nibble = params.source_nibble;
  for (int k = params.num_axes - 1; k >= 0; --k) {
    const WriteSliceAxis& axis = params.axes[k];
    const long long digit = at / axis.dest_stride;
    if (digit >= axis.extent) return false;
    at -= digit * axis.dest_stride;
    *source_nibble += digit * axis.source_stride;
  }
  return at == 0;
}

/// Nibble `at` from `data`, 0 … 15; negative positions lie before the pointer.
constexpr unsigned load_nibble(const char* data, long long at) {
  return (static_cast<unsigned char>(data[at >> 1]) >> (4 * (at & 1))) & 0xf;
}

/// Writes the dest byte that holds the window's nibble `at` (counted from the base corner at `base_nibble`), unless
/// that byte is the neighbour's to write. Two nibbles of the window can share a byte, also across rows; the one at the
/// even position owns it then, so that no byte has two writers. A half that the window does not cover is kept.
constexpr void write_nibble(const WriteSliceParams& params, long long base_nibble, long long at,
                            long long source_nibble) {
  const long long address = base_nibble + at;
  const bool odd = address & 1;
  long long neighbour_source = 0;
  const bool shared = find_nibble(params, odd ? at - 1 : at + 1, &neighbour_source);
  if (odd && shared) return;
  char* byte = params.dest + (address >> 1);
  const unsigned value = load_nibble(params.source, source_nibble);
  const unsigned other =
      shared ? load_nibble(params.source, neighbour_source) : load_nibble(params.dest, odd ? address - 1 : address + 1);
  *byte = static_cast<char>(odd ? (value << 4) | other : (other << 4) | value);
}

}  // namespace baracuda

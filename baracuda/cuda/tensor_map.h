#pragma once

#include <cstdint>

#include "baracuda/core/result.h"
#include "baracuda/core/stream.h"
#include "baracuda/core/tensor_map.h"

namespace baracuda::cuda {

/// A matrix in device memory, row after row, and the boxes of it that the copy engine moves. A row of a box is 128
/// bytes, and in shared memory, at a multiple of 1024, 16-byte piece c of row r lies at piece c ^ (r % 8) of that row
/// (the 128-byte swizzle). What a box has outside the matrix is read as zeros and not written.
struct TensorMapMatrix {
  const void* data;
  int element_bytes;  ///< 1, 2 or 4
  std::int64_t rows, columns;
  std::int64_t row_stride_bytes;  ///< of no meaning where there is one row
  int box_rows;                   ///< at most 256

  int box_columns() const { return 128 / element_bytes; }
};

/// Whether the copy engine takes such a matrix: data and stride at multiples of 16, sizes under 2^31, not empty, a
/// stride under 2^40.
bool has_tensor_map(const void* data, std::int64_t rows, std::int64_t columns, std::int64_t row_stride_bytes);

/// Of a matrix that has one, on the stream's device, which must be of compute capability 9.0 or above. Errors: Backend.
Result<void> encode_tensor_map(const Stream& stream, const TensorMapMatrix& matrix, TensorMap* map);

}  // namespace baracuda::cuda

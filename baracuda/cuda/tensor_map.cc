#include "baracuda/cuda/tensor_map.h"

#include <cassert>
#include <cstring>
#include <limits>

#include "baracuda/core/propagate.h"
#include "baracuda/cuda/stream_access.h"

namespace baracuda::cuda {
namespace {

constexpr std::int64_t kAlignment = 16;

/// Bytes are moved as they are: the type matters for their number alone.
CUtensorMapDataType type_of(int element_bytes) {
  switch (element_bytes) {
    case 1: return CU_TENSOR_MAP_DATA_TYPE_UINT8;
    case 2: return CU_TENSOR_MAP_DATA_TYPE_UINT16;
    default: assert(element_bytes == 4); return CU_TENSOR_MAP_DATA_TYPE_UINT32;
  }
}

}  // namespace

bool has_tensor_map(const void* data, std::int64_t rows, std::int64_t columns, std::int64_t row_stride_bytes) {
  constexpr std::int64_t kMaxSize = std::numeric_limits<std::int32_t>::max();
  constexpr std::int64_t kMaxStride = (std::int64_t{1} << 40) - kAlignment;
  if (rows < 1 || rows > kMaxSize || columns < 1 || columns > kMaxSize) return false;
  if (reinterpret_cast<std::uintptr_t>(data) % static_cast<std::uintptr_t>(kAlignment) != 0) return false;
  return rows == 1 || (row_stride_bytes % kAlignment == 0 && row_stride_bytes > 0 && row_stride_bytes <= kMaxStride);
}

Result<void> encode_tensor_map(const Stream& stream, const TensorMapMatrix& matrix, TensorMap* map) {
  static_assert(sizeof(TensorMap) == sizeof(CUtensorMap) && alignof(TensorMap) == alignof(CUtensorMap),
                "kernels see the driver's encoding under a name of ours");
  assert(has_tensor_map(matrix.data, matrix.rows, matrix.columns, matrix.row_stride_bytes));
  const std::int64_t row_bytes = matrix.columns * matrix.element_bytes;
  const std::int64_t stride =
      matrix.rows > 1 ? matrix.row_stride_bytes : (row_bytes + kAlignment - 1) / kAlignment * kAlignment;
  // Columns first; the stride of the first axis is that of its elements.
  const std::uint64_t sizes[] = {static_cast<std::uint64_t>(matrix.columns), static_cast<std::uint64_t>(matrix.rows)};
  const std::uint64_t strides[] = {static_cast<std::uint64_t>(stride)};
  const std::uint32_t box[] = {static_cast<std::uint32_t>(matrix.box_columns()),
                               static_cast<std::uint32_t>(matrix.box_rows)};
  const std::uint32_t steps[] = {1, 1};
  CUtensorMap encoded;
  BARACUDA_RETURN_IF_ERROR(call(StreamAccess::device(stream), "encode_tensor_map", [&](const DriverApi& api) {
    return api.cuTensorMapEncodeTiled(&encoded, type_of(matrix.element_bytes), 2, const_cast<void*>(matrix.data), sizes,
                                      strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                      CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  }));
  std::memcpy(map, &encoded, sizeof(encoded));
  return {};
}

}  // namespace baracuda::cuda

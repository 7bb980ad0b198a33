#include "baracuda/core/view.h"

#include <bit>

namespace baracuda {
namespace {

/// The least and the greatest offset, in elements, that shape and strides reach. False on overflow.
bool offset_range(const Dims& shape, const Dims& strides, std::int64_t* least, std::int64_t* greatest) {
  *least = *greatest = 0;
  for (int axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] <= 1) continue;
    std::int64_t span;
    if (__builtin_mul_overflow(shape[axis] - 1, strides[axis], &span)) return false;
    std::int64_t* side = span < 0 ? least : greatest;
    if (__builtin_add_overflow(*side, span, side)) return false;
  }
  return true;
}

/// Adds a byte offset to an address. False where the result would leave the address space.
bool checked_address(const void* data, std::int64_t offset_bytes, std::uintptr_t* address) {
  const auto base = reinterpret_cast<std::uintptr_t>(data);
  *address = base + static_cast<std::uintptr_t>(offset_bytes);
  return offset_bytes < 0 ? *address < base : *address >= base;
}

}  // namespace

std::optional<ByteRange> reached_bytes(const void* data, Element element, const Dims& shape, const Dims& strides) {
  ByteRange reach;
  for (std::int64_t extent : shape)
    if (extent == 0) return reach;
  std::int64_t least, greatest;
  if (!offset_range(shape, strides, &least, &greatest)) return std::nullopt;
  const ElementLayout layout = find_element(element)->layout;
  // Blocks hold a power of two of elements: element i lies in block floor(i / block_elems), for negative i too.
  const int shift = std::countr_zero(static_cast<unsigned>(layout.block_elems));
  std::int64_t first_byte, last_byte;
  if (__builtin_mul_overflow(least >> shift, layout.block_bytes, &first_byte) ||
      __builtin_mul_overflow(greatest >> shift, layout.block_bytes, &last_byte) ||
      __builtin_add_overflow(last_byte, layout.block_bytes, &last_byte) ||
      !checked_address(data, first_byte, &reach.begin) || !checked_address(data, last_byte, &reach.end))
    return std::nullopt;
  return reach;
}

std::uint64_t contiguous_bytes(Element element, const Dims& shape) {
  const ElementInfo* info = find_element(element);
  if (info == nullptr) return 0;
  std::int64_t elements = 1;
  bool overflow = false;
  for (std::int64_t extent : shape) {
    if (extent <= 0) return 0;
    overflow |= __builtin_mul_overflow(elements, extent, &elements);
  }
  std::int64_t bytes;
  const std::int64_t blocks = elements / info->layout.block_elems + (elements % info->layout.block_elems != 0);
  overflow |= __builtin_mul_overflow(blocks, info->layout.block_bytes, &bytes);
  return overflow ? 0 : static_cast<std::uint64_t>(bytes);
}

}  // namespace baracuda

#include "baracuda/core/view.h"

namespace baracuda {

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

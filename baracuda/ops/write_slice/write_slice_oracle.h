#pragma once

#include <cstddef>
#include <cstdint>

#include "baracuda/core/dims.h"
#include "baracuda/core/element.h"
#include "testing/placement.h"

namespace baracuda::testing {

/// dest[start + i] = source[i] for every index of the window, one element after the other.
inline void write_slice_oracle(Element element, const Dims& start, const Dims& extents, OracleTensor<std::byte> dest,
                               OracleTensor<const std::byte> source) {
  Dims index = Dims::filled(extents.rank(), 0);
  for (std::int64_t extent : extents)
    if (extent == 0) return;
  for (;;) {
    std::int64_t to = 0, from = 0;
    for (int axis = 0; axis < index.rank(); ++axis) {
      to += (start[axis] + index[axis]) * dest.strides[axis];
      from += index[axis] * source.strides[axis];
    }
    if (element == Element::S4 || element == Element::U4) {
      const std::int64_t to_nibble = 2 * dest.origin_bytes + to, from_nibble = 2 * source.origin_bytes + from;
      const int read = std::to_integer<int>(source.bytes[static_cast<std::size_t>(from_nibble / 2)]);
      const int value = from_nibble % 2 ? read / 16 : read % 16;
      std::byte& byte = dest.bytes[static_cast<std::size_t>(to_nibble / 2)];
      const int old = std::to_integer<int>(byte);
      byte = static_cast<std::byte>(to_nibble % 2 ? old % 16 + value * 16 : old / 16 * 16 + value);
    } else {
      const std::int64_t bytes = find_element(element)->layout.block_bytes;
      for (std::int64_t i = 0; i < bytes; ++i)
        dest.bytes[static_cast<std::size_t>(dest.origin_bytes + to * bytes + i)] =
            source.bytes[static_cast<std::size_t>(source.origin_bytes + from * bytes + i)];
    }
    int axis = index.rank() - 1;
    for (; axis >= 0 && ++index[axis] == extents[axis]; --axis) index[axis] = 0;
    if (axis < 0) return;
  }
}

}  // namespace baracuda::testing

#include "testing/placement.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "testing/guarded_buffer.h"

namespace baracuda::testing {
namespace {

/// Sets origin_bytes and bytes. False where they would pass GuardedBuffer::kMaxBytes.
bool set_reach(Element element, Placement* placement) {
  std::int64_t least = 0, greatest = 0;  // elements
  for (int axis = 0; axis < placement->shape.rank(); ++axis) {
    if (placement->shape[axis] <= 1) continue;
    std::int64_t span;
    if (__builtin_mul_overflow(placement->shape[axis] - 1, placement->strides[axis], &span)) return false;
    std::int64_t& side = span < 0 ? least : greatest;
    if (__builtin_add_overflow(side, span, &side)) return false;
  }
  // Element i lies in block floor(i / block_elems), and blocks hold a power of two of elements.
  const ElementLayout layout = find_element(element)->layout;
  const int shift = std::countr_zero(static_cast<unsigned>(layout.block_elems));
  const std::int64_t first = least >> shift, last = greatest >> shift;
  const std::int64_t most = GuardedBuffer::kMaxBytes / layout.block_bytes;
  if (first <= -most || last >= most + first) return false;
  placement->origin_bytes = -first * layout.block_bytes;
  placement->bytes = (last - first + 1) * layout.block_bytes;
  return true;
}

}  // namespace

Result<Placement> place(std::string_view field, Element element, const Dims& shape, const Dims& strides,
                        int misalignment) {
  Placement placement{shape, strides.empty() ? contiguous_strides(shape) : strides, misalignment};
  if (placement.strides.rank() != shape.rank())
    return Error::invalid_problem(
        fmt::format("{}_strides has {} entries, expected {}, one per axis", field, strides.rank(), shape.rank()));
  if (misalignment < 0 || misalignment > 255 || misalignment % std::max(1, element_bytes(element)) != 0)
    return Error::invalid_problem(fmt::format("{}_misalignment is {}, expected 0 to 255 and a multiple of {}, in bytes",
                                              field, misalignment, std::max(1, element_bytes(element))));
  if (std::ranges::find(shape, 0) != shape.end()) return placement;
  if (!set_reach(element, &placement))
    return Error::invalid_problem(fmt::format(
        "{}, of shape {} and strides {}, reaches over more than {} bytes, the most that a case may have in one buffer",
        field, shape.to_string(), placement.strides.to_string(), GuardedBuffer::kMaxBytes));
  return placement;
}

Dims random_strides(const Dims& shape, Random& random, bool repeats) {
  Dims strides = shape;
  if (shape.rank() == 0) return strides;
  int order[kMaxRank];
  for (int axis = 0; axis < shape.rank(); ++axis) order[axis] = shape.rank() - 1 - axis;
  if (random.one_in(3)) std::swap(order[0], order[random.draw(0, shape.rank() - 1)]);
  std::int64_t stride = random.one_in(4) ? random.draw(2, 3) : 1;
  for (int i = 0; i < shape.rank(); ++i) {
    const int axis = order[i];
    strides[axis] = random.one_in(4) ? -stride : stride;
    stride = stride * std::max<std::int64_t>(1, shape[axis]) + (random.one_in(2) ? random.draw(1, 5) : 0);
  }
  if (repeats && random.one_in(2)) strides[static_cast<int>(random.draw(0, shape.rank() - 1))] = 0;
  return strides;
}

}  // namespace baracuda::testing

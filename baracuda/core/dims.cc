#include "baracuda/core/dims.h"

#include <limits>

namespace baracuda {

std::string Dims::to_string() const {
  if (empty()) return "scalar";
  std::string text;
  for (int axis = 0; axis < size(); ++axis) {
    if (axis > 0) text += 'x';
    text += std::to_string(values_[axis]);
  }
  if (rank_ > size()) text += "x… (rank " + std::to_string(rank_) + ")";
  return text;
}

Dims contiguous_strides(const Dims& shape) {
  Dims strides = shape;
  std::int64_t stride = 1;
  for (int axis = shape.size() - 1; axis >= 0; --axis) {
    strides[axis] = stride;
    if (shape[axis] > 1 && __builtin_mul_overflow(stride, shape[axis], &stride))
      stride = std::numeric_limits<std::int64_t>::max();
  }
  return strides;
}

}  // namespace baracuda

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace baracuda {

/// One axis that several operands walk together. Strides in any unit; the first operand's is the one that is sorted by.
template <std::size_t kNumOperands>
struct StridedAxis {
  std::int64_t extent = 1;
  std::array<std::int64_t, kNumOperands> strides{};
};

/// Drops axes of extent 1, flips those that run backwards in the first operand, sorts by its strides, smallest first,
/// and merges what every operand runs through without a gap. Returns how many axes are left, at the front of `axes`;
/// what the flips move the operands' base corners by is added to `offsets`. The extents are positive and every reach
/// proven.
template <std::size_t kNumOperands>
int collapse_axes(StridedAxis<kNumOperands>* axes, int num_axes, std::array<std::int64_t, kNumOperands>* offsets) {
  using Axis = StridedAxis<kNumOperands>;
  int count = 0;
  for (int from = 0; from < num_axes; ++from) {
    Axis next = axes[from];
    if (next.extent == 1) continue;
    if (next.strides[0] < 0)
      for (std::size_t k = 0; k < kNumOperands; ++k) {
        (*offsets)[k] += (next.extent - 1) * next.strides[k];
        next.strides[k] = -next.strides[k];
      }
    int place = count++;
    for (; place > 0 && axes[place - 1].strides[0] > next.strides[0]; --place) axes[place] = axes[place - 1];
    axes[place] = next;
  }
  if (count == 0) return 0;

  int kept = 0;
  for (int from = 1; from < count; ++from) {
    Axis& inner = axes[kept];
    bool dense = true;
    for (std::size_t k = 0; k < kNumOperands; ++k) dense &= axes[from].strides[k] == inner.extent * inner.strides[k];
    if (dense)
      inner.extent *= axes[from].extent;
    else
      axes[++kept] = axes[from];
  }
  return kept + 1;
}

}  // namespace baracuda

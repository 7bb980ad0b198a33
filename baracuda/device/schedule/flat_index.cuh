#pragma once

#include "baracuda/core/fast_divmod.h"

namespace baracuda {

/// A flat index over all items of a grid. kWide: more than 2^31 − 1 of them.
template <bool kWide>
struct FlatIndex {
  using type = unsigned;
};
template <>
struct FlatIndex<true> {
  using type = unsigned long long;
};

/// Divides `n` by `extent`: the quotient stays in `n`, the remainder is returned. `divisor` is the extent's; kWide
/// ignores it and divides, at some fifty instructions.
template <bool kWide>
inline long long split_index(typename FlatIndex<kWide>::type& n, long long extent, const FastDivisor& divisor) {
  if constexpr (kWide) {
    const unsigned long long index = n;
    n = index / static_cast<unsigned long long>(extent);
    return static_cast<long long>(index - n * static_cast<unsigned long long>(extent));
  } else {
    const unsigned index = n;
    n = quotient(index, divisor);
    return index - n * divisor.divisor;
  }
}

}  // namespace baracuda

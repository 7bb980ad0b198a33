#pragma once

namespace baracuda {

/// Where a tile lies among tiles.
template <class Int>
struct TilePosition {
  Int m, n;
};

/// The tile of number `index`, 0 … tiles_m · tiles_n − 1. Tiles are taken in groups of `group` rows of tiles, column
/// after column, so that blocks that run together share the operands of both sides in the L2 cache.
template <class Int>
constexpr TilePosition<Int> grouped_tile(Int index, Int tiles_m, Int tiles_n, Int group) {
  const Int first = index / (group * tiles_n) * group;
  const Int in_group = index % (group * tiles_n);
  const Int rows = tiles_m - first < group ? tiles_m - first : group;
  return {first + in_group % rows, in_group / rows};
}

}  // namespace baracuda

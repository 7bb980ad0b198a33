// The schedules of kernels that are plain C++.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <utility>

#include "baracuda/device/schedule/grouped_tiles.cuh"
#include "baracuda/device/schedule/ring_position.cuh"

namespace baracuda {
namespace {

TEST(GroupedTiles, TakeEveryTileOnceGroupAfterGroup) {
  for (const int tiles_m : {1, 2, 7, 8, 9, 31, 40})
    for (const int tiles_n : {1, 3, 16})
      for (const int group : {1, 8, 16}) {
        std::set<std::pair<int, int>> seen;
        for (int index = 0; index < tiles_m * tiles_n; ++index) {
          const auto [m, n] = grouped_tile(index, tiles_m, tiles_n, group);
          ASSERT_TRUE(m >= 0 && m < tiles_m && n >= 0 && n < tiles_n);
          ASSERT_TRUE(seen.insert({m, n}).second) << index;
          // Whole groups of rows come before the next, and their columns one after the other.
          EXPECT_EQ(m / group, index / (group * tiles_n));
          const int rows = std::min(group, tiles_m - m / group * group);
          EXPECT_EQ(n, index % (group * tiles_n) / rows);
        }
      }
  const auto [m, n] = grouped_tile(1ll << 40, 1ll << 30, 1ll << 20, 8ll);
  EXPECT_EQ(m, (1ll << 40) >> 20);
  EXPECT_EQ(n, 0);
}

TEST(RingPosition, TurnsItsParityWithEveryRound) {
  RingPosition<3> at;
  for (int step = 0; step < 20; ++step, at.advance()) {
    EXPECT_EQ(at.stage, step % 3);
    EXPECT_EQ(at.parity, static_cast<unsigned>(step / 3 % 2));
  }
}

}  // namespace
}  // namespace baracuda

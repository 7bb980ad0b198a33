#include "baracuda/plan/row_partition.h"

#include <gtest/gtest.h>

#include "testing/property.h"

namespace baracuda {
namespace {

using testing::draw;
using testing::property;

TEST(RowPartition, ChunksHoldTheRowAndNoneIsForNothing) {
  property(
      "chunks cover the vectors of a row",
      [] {
        const std::int64_t row_bytes = draw(1, std::int64_t{1} << draw(0, 50, "log2(row_bytes)"), "row_bytes");
        const auto alignment_bits = static_cast<std::uintptr_t>(draw(0, 255, "alignment_bits"));
        const auto unroll = static_cast<int>(draw(1, 8, "unroll")), num_threads = 1 << draw(0, 10, "log2(num_threads)");
        const RowPartition partition = partition_rows(row_bytes, alignment_bits, unroll, num_threads);

        // The worst start of a row: just past a boundary, unless all rows start at one.
        const std::int64_t worst_start = alignment_bits % 16 == 0 ? 0 : 15;
        const std::int64_t vectors = (worst_start + row_bytes - 1) / 16 + 1;
        const std::int64_t lanes = std::int64_t{1} << partition.lanes_log2, per_chunk = unroll * lanes;
        EXPECT_LE(lanes, num_threads);
        EXPECT_GE(partition.chunks_per_row * per_chunk, vectors);
        EXPECT_LT((partition.chunks_per_row - 1) * per_chunk, vectors);
        // Half the lanes would not move the row in one go; more than one chunk only where the lanes are all there are.
        if (lanes > 1) {
          EXPECT_LT(per_chunk / 2, vectors);
        }
        if (partition.chunks_per_row > 1) {
          EXPECT_EQ(lanes, num_threads);
        }
      },
      500);
}

}  // namespace
}  // namespace baracuda

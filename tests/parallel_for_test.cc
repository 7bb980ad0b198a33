#include "baracuda/cpu/parallel_for.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "testing/property.h"

namespace baracuda::cpu {
namespace {

using baracuda::testing::draw;
using baracuda::testing::property;

/// The pieces that a call was cut into, and who ran them.
struct Pieces {
  std::mutex mutex;
  std::vector<std::pair<std::int64_t, std::int64_t>> ranges;
  std::set<std::thread::id> threads;

  void operator()(std::int64_t begin, std::int64_t end) {
    const std::lock_guard lock(mutex);
    ranges.emplace_back(begin, end);
    threads.insert(std::this_thread::get_id());
  }
  /// Whether they are [0, count), each index once, each piece at a multiple of `grain` and not below it.
  void expect_tiling(std::int64_t count, std::int64_t grain) {
    std::sort(ranges.begin(), ranges.end());
    std::int64_t at = 0;
    for (const auto& [begin, end] : ranges) {
      EXPECT_EQ(begin, at);
      EXPECT_EQ(begin % grain, 0);
      EXPECT_GE(end - begin, std::min(grain, count));
      at = end;
    }
    EXPECT_EQ(at, std::max<std::int64_t>(0, count));
  }
};

TEST(ParallelFor, CoversEveryIndexOnceInWholeGrains) {
  property(
      "pieces tile [0, count)",
      [] {
        const auto count = draw(-1, 5000, "count"), grain = draw(1, 200, "grain");
        const auto num_threads = static_cast<int>(draw(-1, 8, "num_threads"));
        Pieces pieces;
        parallel_for(num_threads, count, grain, pieces);
        pieces.expect_tiling(count, grain);
        EXPECT_LE(pieces.threads.size(), static_cast<std::size_t>(std::max(1, num_threads)));
      },
      500);
}

TEST(ParallelFor, WorkOfOneGrainRunsOnTheCaller) {
  struct Row {
    int num_threads;
    std::int64_t count, grain;
  };
  for (const Row& row : {Row{8, 1, 1}, {8, 100, 100}, {8, 100, 1000}, {8, 199, 100}, {1, 1000, 1}, {0, 1000, 1}}) {
    Pieces pieces;
    parallel_for(row.num_threads, row.count, row.grain, pieces);
    EXPECT_EQ(pieces.ranges, (std::vector<std::pair<std::int64_t, std::int64_t>>{{0, row.count}}));
    EXPECT_EQ(pieces.threads, std::set{std::this_thread::get_id()});
  }
}

TEST(ParallelFor, NoWorkIsNoCall) {
  for (std::int64_t count : {std::int64_t{0}, std::int64_t{-1}, std::numeric_limits<std::int64_t>::min() + 1}) {
    Pieces pieces;
    parallel_for(4, count, 1, pieces);
    EXPECT_TRUE(pieces.ranges.empty());
  }
}

TEST(ParallelFor, CountsPast32Bits) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  for (std::int64_t grain : {kMost, kMost / 2 + 1, kMost / 2, kMost / 7, std::int64_t{1} << 52}) {
    Pieces pieces;
    parallel_for(3, kMost, grain, pieces);
    pieces.expect_tiling(kMost, grain);
  }
}

TEST(ParallelFor, MoreThreadsThanArenasAreKeptFor) {
  Pieces pieces;
  parallel_for(100'000, 1000, 1, pieces);
  pieces.expect_tiling(1000, 1);
}

TEST(ParallelFor, TakesAnyCallable) {
  std::atomic<std::int64_t> sum = 0;
  const auto add = [&](std::int64_t begin, std::int64_t end) { sum += end - begin; };
  parallel_for(2, 1000, 10, add);  // const
  parallel_for(2, 1000, 10, [&, calls = 0](std::int64_t b, std::int64_t e) mutable { sum += e - b + 0 * calls; });
  EXPECT_EQ(sum, 2000);
}

TEST(ParallelFor, Nests) {
  for (int inner_threads : {1, 2, 4}) {
    std::atomic<std::int64_t> sum = 0;
    parallel_for(4, 32, 1, [&](std::int64_t outer, std::int64_t outer_end) {
      for (; outer < outer_end; ++outer)
        parallel_for(inner_threads, 1000, 10, [&](std::int64_t begin, std::int64_t end) { sum += end - begin; });
    });
    EXPECT_EQ(sum, 32 * 1000) << inner_threads;
  }
}

TEST(ParallelFor, SeveralThreadsCallAtOnce) {
  std::atomic<std::int64_t> sum = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i)
        parallel_for(2 + t % 3, 1000, 10, [&](std::int64_t begin, std::int64_t end) { sum += end - begin; });
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sum, 8 * 200 * 1000);
}

}  // namespace
}  // namespace baracuda::cpu

#include "baracuda/core/dims.h"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>
#include <vector>

#include "baracuda/core/hash.h"

namespace baracuda {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

TEST(Dims, HoldsWhatItWasGiven) {
  const Dims dims = {4, 0, -7};
  EXPECT_EQ(dims.rank(), 3);
  EXPECT_EQ(dims.size(), 3);
  EXPECT_FALSE(dims.empty());
  EXPECT_EQ(std::vector(dims.begin(), dims.end()), (std::vector<std::int64_t>{4, 0, -7}));
  EXPECT_EQ(dims[2], -7);
  EXPECT_TRUE(Dims().empty());
  EXPECT_EQ(Dims::filled(3, 5), (Dims{5, 5, 5}));
  EXPECT_EQ(Dims::filled(0, 5), Dims());
}

TEST(Dims, TooHighARankIsRememberedAndTheRestDropped) {
  std::vector<std::int64_t> many(11);
  std::iota(many.begin(), many.end(), 1);
  const Dims dims(many);
  EXPECT_EQ(dims.rank(), 11);
  EXPECT_EQ(dims.size(), 8);
  EXPECT_EQ(dims.end() - dims.begin(), 8);
  EXPECT_EQ(dims[7], 8);
  EXPECT_EQ(dims.to_string(), "1x2x3x4x5x6x7x8x… (rank 11)");
  EXPECT_NE(dims, Dims(std::span(many).first(8)));
  EXPECT_EQ(Dims::filled(9, 2), (Dims{2, 2, 2, 2, 2, 2, 2, 2, 2}));
}

TEST(Dims, RankAndEveryNumberCount) {
  const std::vector<Dims> different = {
      {}, {0}, {1}, {0, 0}, {1, 0}, {0, 1}, {-1, 0}, Dims::filled(8, 0), Dims::filled(9, 0)};
  for (std::size_t i = 0; i < different.size(); ++i) {
    for (std::size_t j = 0; j < different.size(); ++j) {
      EXPECT_EQ(different[i] == different[j], i == j) << different[i].to_string() << " " << different[j].to_string();
      EXPECT_EQ(hash_of(different[i]) == hash_of(different[j]), i == j);
    }
  }
}

TEST(Dims, WhatIsPastTheRankDoesNotCount) {
  Dims dims = {1, 2};
  dims[5] = 9;
  EXPECT_EQ(dims, (Dims{1, 2}));
  EXPECT_EQ(hash_of(dims), hash_of(Dims{1, 2}));
}

TEST(Dims, ToString) {
  EXPECT_EQ(Dims().to_string(), "scalar");
  EXPECT_EQ((Dims{4}).to_string(), "4");
  EXPECT_EQ((Dims{4, 1024, -1}).to_string(), "4x1024x-1");
}

TEST(ContiguousStrides, AreRowMajor) {
  EXPECT_EQ(contiguous_strides({}), Dims());
  EXPECT_EQ(contiguous_strides({7}), (Dims{1}));
  EXPECT_EQ(contiguous_strides({2, 3, 4}), (Dims{12, 4, 1}));
  EXPECT_EQ(contiguous_strides({2, 1, 4}), (Dims{4, 4, 1}));
  EXPECT_EQ(contiguous_strides({std::int64_t{1} << 20, std::int64_t{1} << 21, 2}), (Dims{std::int64_t{1} << 22, 2, 1}));
}

TEST(ContiguousStrides, StayAtTheGreatestWhereTheProductOverflows) {
  EXPECT_EQ(contiguous_strides({2, 2, kMax}), (Dims{kMax, kMax, 1}));
  EXPECT_EQ(contiguous_strides({5, std::int64_t{1} << 32, std::int64_t{1} << 31}),
            (Dims{kMax, std::int64_t{1} << 31, 1}));
}

TEST(ContiguousStrides, OfAnEmptyTensorAreAsIfItHadOne) { EXPECT_EQ(contiguous_strides({3, 0, 2}), (Dims{2, 2, 1})); }

}  // namespace
}  // namespace baracuda

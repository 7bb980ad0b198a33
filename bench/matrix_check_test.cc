// The check that a matrix kernel must pass before its rate counts: it takes right products and no others.

#include "bench/matrix_check.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>

namespace baracuda::bench {
namespace {

constexpr MatrixShape kShape{.rows = 4, .columns = 6, .row_bytes = 8, .stages = 2, .num_a = 2};
constexpr int kIterations = 3;

double element(MatrixKind kind, const std::vector<std::byte>& matrix, int at) {
  if (kind == MatrixKind::S8) return static_cast<std::int8_t>(matrix[static_cast<std::size_t>(at)]);
  std::uint16_t bits;
  std::memcpy(&bits, &matrix[static_cast<std::size_t>(2 * at)], 2);
  _Float16 value;
  std::memcpy(&value, &bits, 2);
  return static_cast<double>(value);
}

/// Four tiles: both rows of a, twice.
std::vector<std::uint32_t> products(MatrixKind kind, const MatrixOperands& operands) {
  const int k = kShape.row_bytes / (kind == MatrixKind::S8 ? 1 : 2);
  std::vector<std::uint32_t> d;
  for (int tile = 0; tile < 4; ++tile)
    for (int row = 0; row < kShape.rows; ++row)
      for (int column = 0; column < kShape.columns; ++column) {
        double sum = 0;
        for (int stage = 0; stage < kShape.stages; ++stage)
          for (int p = 0; p < k; ++p)
            sum += element(kind, operands.a, (tile % 2 * kShape.rows + row) * k + p) *
                   element(kind, operands.b, (column * kShape.stages + stage) * k + p);
        sum *= kIterations;
        d.push_back(kind == MatrixKind::S8 ? static_cast<std::uint32_t>(static_cast<std::int32_t>(sum))
                                           : std::bit_cast<std::uint32_t>(static_cast<float>(sum)));
      }
  return d;
}

TEST(MatrixCheck, TakesRightProductsAlone) {
  testing::Random random(1);
  for (MatrixKind kind : {MatrixKind::S8, MatrixKind::F16}) {
    const MatrixOperands operands = random_operands(kind, kShape, random);
    std::vector<std::uint32_t> d = products(kind, operands);
    EXPECT_EQ(compare_products(kind, kShape, operands, kIterations, d), "");
    EXPECT_NE(compare_products(kind, kShape, operands, kIterations + 1, d), "");
    EXPECT_NE(compare_products(kind, kShape, operands, kIterations, std::vector<std::uint32_t>(d.size())), "");
    EXPECT_NE(compare_products(kind, kShape, operands, kIterations, std::vector<std::uint32_t>(d.size(), 0xffffffff)),
              "");
    std::swap(d[7], d[8]);
    EXPECT_NE(compare_products(kind, kShape, operands, kIterations, d), "");
  }
}

TEST(MatrixCheck, HalvesAreNormalAndNeitherTooSmallNorTooLarge) {
  testing::Random random(1);
  const MatrixOperands operands = random_operands(MatrixKind::F16, kShape, random);
  for (int i = 0; i < static_cast<int>(operands.a.size()) / 2; ++i) {
    const double size = std::abs(element(MatrixKind::F16, operands.a, i));
    EXPECT_TRUE(size >= 1.0 / 128 && size < 1.0 / 8) << size;
  }
}

TEST(MatrixCheck, CountsOperations) {
  EXPECT_EQ(kShape.ops(MatrixKind::S8), 2 * 4 * 6 * 16);
  EXPECT_EQ(kShape.ops(MatrixKind::F16), 2 * 4 * 6 * 8);
}

}  // namespace
}  // namespace baracuda::bench

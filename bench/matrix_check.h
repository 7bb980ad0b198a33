#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bench/ceilings/ceilings_config.h"
#include "testing/random.h"

namespace baracuda::bench {

/// The problem of a kernel that multiplies matrices, MatrixParams: a tile is d[rows, columns] = Σ a · b_stageᵀ, and
/// tiles i and i + num_a have the same rows of a.
struct MatrixShape {
  int rows = 0, columns = 0;
  int row_bytes = 0;  ///< of a
  int stages = 1;     ///< a row of b has so many times row_bytes
  int num_a = 1;

  std::int64_t tile_elems() const { return std::int64_t{rows} * columns; }
  /// Of one tile and one iteration: a multiplication and an addition each.
  double ops(MatrixKind kind) const;
};

struct MatrixOperands {
  std::vector<std::byte> a, b;
};
/// Random bits; for f16 of a size between 2^-7 and 2^-3.
MatrixOperands random_operands(MatrixKind kind, const MatrixShape& shape, testing::Random& random);

/// What is wrong with the tiles in `d`, whose 32-bit elements are s32 or f32; empty where nothing is. Integers must be
/// exact, modulo 2^32; f32 is held against f64 by ‖d − reference‖ / ‖reference‖.
std::string compare_products(MatrixKind kind, const MatrixShape& shape, const MatrixOperands& operands, int iterations,
                             std::span<const std::uint32_t> d);

}  // namespace baracuda::bench

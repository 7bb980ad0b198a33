#include "bench/matrix_check.h"

#include <fmt/core.h>

#include <bit>
#include <cmath>
#include <cstring>

namespace baracuda::bench {
namespace {

int element_bytes(MatrixKind kind) { return kind == MatrixKind::S8 ? 1 : 2; }

double load(MatrixKind kind, const std::byte* from) {
  if (kind == MatrixKind::S8) return static_cast<std::int8_t>(*from);
  std::uint16_t bits;
  std::memcpy(&bits, from, sizeof(bits));
  const int exponent = bits >> 10 & 0x1f, fraction = bits & 0x3ff;  // normal numbers alone
  const double size = std::ldexp(1024 + fraction, exponent - 25);
  return bits & 0x8000 ? -size : size;
}

/// All tiles that differ, one after the other. Exact for s8: sums stay far below 2^53.
std::vector<double> reference(MatrixKind kind, const MatrixShape& shape, const MatrixOperands& operands) {
  const int step = element_bytes(kind), b_row_bytes = shape.stages * shape.row_bytes;
  std::vector<double> tiles;
  for (int row = 0; row < shape.num_a * shape.rows; ++row)
    for (int column = 0; column < shape.columns; ++column) {
      double sum = 0;
      for (int at = 0; at < b_row_bytes; at += step)
        sum += load(kind, &operands.a[static_cast<std::size_t>(row * shape.row_bytes + at % shape.row_bytes)]) *
               load(kind, &operands.b[static_cast<std::size_t>(column * b_row_bytes + at)]);
      tiles.push_back(sum);
    }
  return tiles;
}

}  // namespace

double MatrixShape::ops(MatrixKind kind) const {
  return 2.0 * static_cast<double>(tile_elems()) * stages * row_bytes / element_bytes(kind);
}

MatrixOperands random_operands(MatrixKind kind, const MatrixShape& shape, testing::Random& random) {
  MatrixOperands operands;
  operands.a.resize(static_cast<std::size_t>(shape.num_a * shape.rows * shape.row_bytes));
  operands.b.resize(static_cast<std::size_t>(shape.columns * shape.stages * shape.row_bytes));
  for (std::vector<std::byte>* matrix : {&operands.a, &operands.b}) {
    random.fill_bytes(*matrix);
    if (kind == MatrixKind::S8) continue;
    // The high byte: sign, five bits of exponent of which the upper three become 010, two of the fraction.
    for (std::size_t i = 1; i < matrix->size(); i += 2)
      (*matrix)[i] = ((*matrix)[i] & std::byte{0x8f}) | std::byte{0x20};
  }
  return operands;
}

std::string compare_products(MatrixKind kind, const MatrixShape& shape, const MatrixOperands& operands, int iterations,
                             std::span<const std::uint32_t> d) {
  const std::vector<double> tiles = reference(kind, shape, operands);
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < d.size(); ++i) {
    const double expected = iterations * tiles[i % tiles.size()];
    if (kind == MatrixKind::S8) {
      const auto exact = static_cast<std::uint32_t>(static_cast<std::int64_t>(expected));
      if (d[i] != exact)
        return fmt::format("element {} is {}, expected {}", i, static_cast<std::int32_t>(d[i]),
                           static_cast<std::int32_t>(exact));
    } else {
      const double error = std::bit_cast<float>(d[i]) - expected;
      difference += error * error;
      norm += expected * expected;
    }
  }
  // Far above the rounding of a few hundred additions in f32, far below what one wrong tile makes.
  constexpr double kTolerance = 1e-4;
  if (const double error = std::sqrt(difference / norm); kind == MatrixKind::F16 && !(error <= kTolerance))
    return fmt::format("the relative error is {:.1e}, expected at most {:.0e}", error, kTolerance);
  return {};
}

}  // namespace baracuda::bench

#pragma once

#include "baracuda/device/copy/row_copy.cuh"
#include "baracuda/device/numeric/divisor.cuh"
#include "baracuda/device/numeric/element.cuh"
#include "baracuda/device/numeric/quantize.cuh"
#include "baracuda/device/ptx/griddepcontrol.cuh"
#include "baracuda/device/ptx/max_x2.cuh"
#include "baracuda/device/ptx/min_max.cuh"
#include "baracuda/device/schedule/flat_index.cuh"
#include "baracuda/device/vector/codes.cuh"
#include "baracuda/device/vector/floats.cuh"
#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize_config.h"

// A group of threads, some lanes of a warp or a whole block, has a row. It reads the row once, keeps it in registers,
// finds the extremes, and quantizes what it kept; only what is longer than its registers is read a second time.

namespace baracuda {

inline double min_or_nan(double a, double b) { return b < a || b != b ? b : a; }
inline double max_or_nan(double a, double b) { return b > a || b != b ? b : a; }

/// The extremes of a part of a row. NaN, once there, stays.
template <bool kSymmetric, class Value>
struct PartRange;

template <class Value>
struct PartRange<true, Value> {
  Value magnitude;

  void add(Value x) { magnitude = max_or_nan(magnitude, abs(x)); }
  void merge(const PartRange& other) { magnitude = max_or_nan(magnitude, other.magnitude); }
  PartRange of_neighbour(int mask) const { return {__shfl_xor_sync(0xffffffff, magnitude, mask)}; }
  /// Of all lanes. Magnitudes of f32 are in the order of their bits, NaN the greatest.
  PartRange of_warp() const
    requires(sizeof(Value) == 4)
  {
    return {__uint_as_float(__reduce_max_sync(0xffffffff, __float_as_uint(magnitude)))};
  }
  RowRange<Value> row() const { return {magnitude, 0, 0}; }
};

template <class Value>
struct PartRange<false, Value> {
  Value least, greatest;

  void add(Value x) { merge({x, x}); }
  void merge(const PartRange& other) {
    least = min_or_nan(least, other.least);
    greatest = max_or_nan(greatest, other.greatest);
  }
  PartRange of_neighbour(int mask) const {
    return {__shfl_xor_sync(0xffffffff, least, mask), __shfl_xor_sync(0xffffffff, greatest, mask)};
  }
  RowRange<Value> row() const { return {max_or_nan(-least, greatest), least, greatest}; }
};

/// Makes the codes of a row.
template <Element kElement>
struct RowQuantizer {
  using Value = ComputeOf<kElement>;
  RowQuantization<Value> row;
  Divisor<Value> scale;
  int q_min, q_max;
  bool regular;  ///< code() is right

  RowQuantizer(const RowQuantization<Value>& row, int q_min, int q_max)
      : row(row), scale(row.scale), q_min(q_min), q_max(q_max), regular(row.finite() && scale.regular()) {}

  /// Where nothing is to be added or clamped, only the low byte is right.
  template <bool kClamps>
  int code(Value x) const {
    // Of a regular row no quotient is beyond 255 (f64 with a subnormal scale: 383), so that the sum has the integer in
    // its low bits.
    Value quotient;
    if constexpr (kElement == Element::F16 || kElement == Element::Bf16)
      quotient = scale.narrow_quotient(x);
    else
      quotient = scale.quotient(x);
    const auto shifted = bits(quotient + kRounder<Value>);
    if constexpr (!kClamps) return static_cast<int>(shifted);
    return clamp_code(static_cast<int>(shifted - bits(kRounder<Value>)) + row.zero_point, q_min, q_max);
  }
  /// Of any row.
  int code_by_definition(Value x) const {
    const int whole = row.finite() ? static_cast<int>(round_half_even(x / row.scale)) : 0;
    return clamp_code(whole + row.zero_point, q_min, q_max);
  }
};

/// What a thread takes of a row at a time.
template <DynamicRangeQuantizeConfig kConfig, bool kVectors = kConfig.variant == DynamicRangeQuantizeVariant::Vectors>
struct RowPiece {
  Vector16 data;
  void unpack_to(ComputeOf<kConfig.element> (&values)[kConfig.piece_elems()]) const {
    unpack<kConfig.element>(data, values);
  }
};
template <DynamicRangeQuantizeConfig kConfig>
struct RowPiece<kConfig, false> {
  StorageOf<kConfig.element> data;
  void unpack_to(ComputeOf<kConfig.element> (&values)[1]) const { values[0] = to_value<kConfig.element>(data); }
};

/// The range of a thread's pieces.
template <DynamicRangeQuantizeConfig kConfig>
struct PiecesRange {
  static constexpr bool kInPairs = kConfig.variant == DynamicRangeQuantizeVariant::Vectors && kConfig.symmetric &&
                                   element_bytes(kConfig.element) == 2;
  PartRange<kConfig.symmetric, ComputeOf<kConfig.element>> range{};
  Vector16 magnitudes{};  ///< in the first word, where there are pairs

  void add(const RowPiece<kConfig>& piece) {
    if constexpr (kInPairs) {
#pragma unroll
      for (unsigned word : piece.data.word) {
        const unsigned pair = word & 0x7fff7fffu;  // without signs
        magnitudes.word[0] = kConfig.element == Element::F16 ? ptx::max_or_nan_f16x2(magnitudes.word[0], pair)
                                                             : ptx::max_or_nan_bf16x2(magnitudes.word[0], pair);
      }
    } else {
      add_values(piece);
    }
  }
  PartRange<kConfig.symmetric, ComputeOf<kConfig.element>> of_thread() {
    if constexpr (kInPairs) add_values({magnitudes});
    return range;
  }

 private:
  void add_values(const RowPiece<kConfig>& piece) {
    ComputeOf<kConfig.element> values[kConfig.piece_elems()];
    piece.unpack_to(values);
#pragma unroll
    for (auto value : values) range.add(value);
  }
};

/// The range of a row from those of its threads, the same for all of them. Every thread of the block calls it.
template <DynamicRangeQuantizeConfig kConfig, class Range>
inline Range reduce_range(Range range, int parity) {
  constexpr int kWarps = kConfig.num_threads() / 32, kLanes = kConfig.row_threads < 32 ? kConfig.row_threads : 32;
  if constexpr (kLanes == 32 && requires { range.of_warp(); }) {
    range = range.of_warp();
  } else {
#pragma unroll
    for (int mask = kLanes / 2; mask > 0; mask /= 2) range.merge(range.of_neighbour(mask));
  }
  if constexpr (kConfig.block_per_row()) {
    // Two sets, taken in turn: the barrier of one row also tells that the row before it has been read.
    __shared__ Range of_warps[2][kWarps];
    if (threadIdx.x % 32 == 0) of_warps[parity][threadIdx.x / 32] = range;
    __syncthreads();
    range = of_warps[parity][0];
#pragma unroll
    for (int warp = 1; warp < kWarps; ++warp) range.merge(of_warps[parity][warp]);
  }
  return range;
}

template <DynamicRangeQuantizeConfig kConfig>
inline void dynamic_range_quantize(const DynamicRangeQuantizeParams& params) {
  using Value = ComputeOf<kConfig.element>;
  using Storage = StorageOf<kConfig.element>;
  constexpr bool kVectors = kConfig.variant == DynamicRangeQuantizeVariant::Vectors;
  constexpr int kElems = kConfig.piece_elems(), kKept = kConfig.pieces_per_thread();
  using Piece = RowPiece<kConfig>;
  constexpr int kLanes = kConfig.row_threads;
  const int lane_idx = static_cast<int>(threadIdx.x) & (kLanes - 1);
  constexpr long long kRowsPerBlock = kConfig.num_threads() / kLanes;
  const long long num_pieces = params.row_elems / kElems;
  const int num_kept = num_pieces < kKept * kLanes ? static_cast<int>(num_pieces) : kKept * kLanes;
  const bool wide = params.num_rows > 0x7fffffff;
  // Symmetric codes of regular rows are within ±q_max by themselves.
  const bool clamps = !kConfig.symmetric || kConfig.element == Element::F64 || params.q_min > -params.q_max;

  // The kernel ahead has ended. The next one may come now: what it does before its own wait may rely on that.
  ptx::griddepcontrol_wait();
  ptx::griddepcontrol_launch_dependents();
  int parity = 0;
  // All threads take part in every reduction, those without a row too.
  for (long long first = blockIdx.x * kRowsPerBlock; first < params.num_rows;
       first += gridDim.x * kRowsPerBlock, parity ^= 1) {
    const long long row = first + static_cast<int>(threadIdx.x) / kLanes;
    const bool has_row = row < params.num_rows;
    const long long pieces = has_row ? num_pieces : 0;
    const char* x = params.x;
    char* q = params.q;
    unsigned long long rest = static_cast<unsigned long long>(has_row ? row : 0);
#pragma unroll 1
    for (int k = 0; k < params.num_axes; ++k) {
      const DynamicRangeQuantizeAxis& axis = params.axes[k];
      long long index;
      if (k + 1 == params.num_axes) {
        index = static_cast<long long>(rest);
      } else if (wide) {
        index = split_index<true>(rest, axis.extent, params.divisors[k]);
      } else {
        unsigned narrow = static_cast<unsigned>(rest);
        index = split_index<false>(narrow, axis.extent, params.divisors[k]);
        rest = narrow;
      }
      x += index * axis.x_stride;
      q += index * axis.q_stride;
    }

    const auto load = [&](long long piece) {
      const char* from = kVectors ? x + piece * kVectorBytes : x + piece * params.x_inner_stride;
      return *reinterpret_cast<const Piece*>(from);
    };
    // Uniform for the threads, which the compiler can see: those that have less keep zeros, which are in every range.
    const auto is_kept = [&](int i) { return i * kLanes < num_kept; };
    const auto has_piece = [&](int i) { return has_row && lane_idx + i * kLanes < num_kept; };
    Piece kept[kKept];
#pragma unroll
    for (int i = 0; i < kKept && is_kept(i); ++i) kept[i] = has_piece(i) ? load(lane_idx + i * kLanes) : Piece{};
    PiecesRange<kConfig> of_pieces;
#pragma unroll
    for (int i = 0; i < kKept && is_kept(i); ++i) of_pieces.add(kept[i]);
#pragma unroll 4
    for (long long piece = kKept * kLanes + lane_idx; piece < pieces; piece += kLanes) of_pieces.add(load(piece));
    const PartRange<kConfig.symmetric, Value> range = reduce_range<kConfig>(of_pieces.of_thread(), parity);
    if (!has_row) continue;

    const RowQuantizer<kConfig.element> quantizer(
        quantization_of<kConfig.symmetric>(range.row(), params.q_min, params.q_max), params.q_min, params.q_max);
    const auto codes_of = [&](const Piece& piece) {
      Value values[kElems];
      piece.unpack_to(values);
      int codes[kElems];
      if (clamps) {
#pragma unroll
        for (int e = 0; e < kElems; ++e) codes[e] = quantizer.template code<true>(values[e]);
      } else {
#pragma unroll
        for (int e = 0; e < kElems; ++e) codes[e] = quantizer.template code<false>(values[e]);
      }
      return pack_codes<8>(codes);
    };
    const auto store = [&](const Codes<kElems>& codes, long long piece) {
      store_codes(q + piece * (kVectors ? kElems : params.q_inner_stride), codes);
    };
    if (quantizer.regular) {
#pragma unroll
      for (int i = 0; i < kKept && is_kept(i); ++i) {
        const Codes<kElems> codes = codes_of(kept[i]);
        if (has_piece(i)) store(codes, lane_idx + i * kLanes);
      }
#pragma unroll 1
      for (long long piece = kKept * kLanes + lane_idx; piece < pieces; piece += kLanes)
        store(codes_of(load(piece)), piece);
    } else {
      // Such rows are rare: they are read again, one by one.
#pragma unroll 1
      for (long long i = lane_idx; i < params.row_elems; i += kLanes) {
        const auto* from = reinterpret_cast<const Storage*>(x + i * params.x_inner_stride);
        q[i * params.q_inner_stride] =
            static_cast<char>(quantizer.code_by_definition(to_value<kConfig.element>(*from)));
      }
    }
    if (lane_idx == 0) {
      static_cast<Value*>(params.scale)[row] = quantizer.row.scale;
      if (params.zero_point) params.zero_point[row] = quantizer.row.zero_point;
    }
  }
}

}  // namespace baracuda

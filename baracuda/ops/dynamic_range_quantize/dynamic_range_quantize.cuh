#pragma once

#include "baracuda/device/copy/row_copy.cuh"
#include "baracuda/device/numeric/element.cuh"
#include "baracuda/device/numeric/quantize.cuh"
#include "baracuda/device/ptx/half.cuh"
#include "baracuda/device/schedule/flat_index.cuh"
#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize_config.h"

// A group of threads, some lanes of a warp or a whole block, has a row. It reads the row once, keeps it in registers,
// finds the extremes, and quantizes what it kept; only what is longer than its registers is read a second time.
//
// Division. q needs round(fl(x / scale)), where fl rounds to the format of the scale. t = x · fl(1 / scale) costs one
// multiplication and is off by at most 2^-22 · |t|: it gives the same integer unless t lies that close to a half. Rows
// are scaled so that |t| < 2^9, hence a distance of 2^-13 from every half is enough; the few others are divided. (f64
// has more bits than that argument needs.) It asks that 1 / scale be a normal number: other rows are divided
// throughout.

namespace baracuda {

/// Unsigned integers order as the magnitudes of floats do, infinity above all numbers and NaN above that.
template <class Value>
struct FloatBits;
template <>
struct FloatBits<float> {
  using type = unsigned;
  static constexpr float kLeastDivisor = 0x1p-120f, kGreatestDivisor = 0x1p120f;
  static constexpr float kRound = 0x1.8p23f;  ///< added and subtracted, rounds to a whole number, half to even
};
template <>
struct FloatBits<double> {
  using type = unsigned long long;
  static constexpr double kLeastDivisor = 0x1p-1000, kGreatestDivisor = 0x1p1000;
  static constexpr double kRound = 0x1.8p52;
};

/// The extremes of a part of a row, where the magnitude is kept as bits: one maximum finds NaN and infinity too.
template <class Value>
struct PartRange {
  using Bits = typename FloatBits<Value>::type;
  // All zero at first, but not by themselves: shared memory takes no constructors.
  Bits magnitude;
  Value least, greatest;

  template <bool kSymmetric>
  void add(Value x) {
    merge<kSymmetric>({__builtin_bit_cast(Bits, x) & (~Bits(0) >> 1), x, x});
  }
  /// Comparisons that NaN fails leave the range as it is.
  template <bool kSymmetric>
  void merge(const PartRange& other) {
    magnitude = other.magnitude > magnitude ? other.magnitude : magnitude;
    if constexpr (!kSymmetric) {
      least = other.least < least ? other.least : least;
      greatest = other.greatest > greatest ? other.greatest : greatest;
    }
  }
  /// That of the lane whose number differs in the bits of `mask`.
  PartRange of_neighbour(int mask) const {
    constexpr unsigned kAllLanes = 0xffffffff;
    return {__shfl_xor_sync(kAllLanes, magnitude, mask), __shfl_xor_sync(kAllLanes, least, mask),
            __shfl_xor_sync(kAllLanes, greatest, mask)};
  }
};

/// Makes the codes of a row.
template <class Value>
struct RowQuantizer {
  RowQuantization<Value> row;
  Value reciprocal;  ///< of the scale
  bool always_divide;
  int q_min, q_max;

  RowQuantizer(const RowQuantization<Value>& row, int q_min, int q_max)
      : row(row), reciprocal(Value(1) / row.scale), q_min(q_min), q_max(q_max) {
    using Limits = FloatBits<Value>;
    always_divide = !(row.scale >= Limits::kLeastDivisor && row.scale <= Limits::kGreatestDivisor);
  }

  template <int kCount>
  void codes(const Value (&x)[kCount], int (&code)[kCount]) const {
    constexpr Value kRound = FloatBits<Value>::kRound;
    constexpr Value kFarFromHalf = Value(0.5) - Value(0x1p-13);
    bool doubtful = always_divide;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const Value t = x[i] * reciprocal;
      const Value whole = (t + kRound) - kRound;
      doubtful |= !(t - whole <= kFarFromHalf && whole - t <= kFarFromHalf);
      code[i] = static_cast<int>(whole);
    }
    if (doubtful)
#pragma unroll
      for (int i = 0; i < kCount; ++i) code[i] = row.finite() ? static_cast<int>(round_half_even(x[i] / row.scale)) : 0;
#pragma unroll
    for (int i = 0; i < kCount; ++i) code[i] = clamp_code(code[i] + row.zero_point, q_min, q_max);
  }
};

/// to_value, which for f16 is one instruction here.
template <Element kElement>
inline ComputeOf<kElement> widened(StorageOf<kElement> x) {
  if constexpr (kElement == Element::F16)
    return f32_of_f16(x);
  else
    return to_value<kElement>(x);
}

/// The range of a row from those of its threads, the same for all of them. Every thread of the block calls it.
template <DynamicRangeQuantizeConfig kConfig, class Value>
inline PartRange<Value> reduce_range(PartRange<Value> range, int lanes_log2, int parity) {
  constexpr int kWarps = kConfig.num_threads() / 32;
  for (int lane_bit = (kConfig.block_per_row ? 5 : lanes_log2) - 1; lane_bit >= 0; --lane_bit)
    range.template merge<kConfig.symmetric>(range.of_neighbour(1 << lane_bit));
  if constexpr (kConfig.block_per_row) {
    // Two sets, taken in turn: the barrier of one row also tells that the row before it has been read.
    __shared__ PartRange<Value> of_warps[2][kWarps];
    if (threadIdx.x % 32 == 0) of_warps[parity][threadIdx.x / 32] = range;
    __syncthreads();
    range = of_warps[parity][0];
#pragma unroll
    for (int warp = 1; warp < kWarps; ++warp) range.template merge<kConfig.symmetric>(of_warps[parity][warp]);
  }
  return range;
}

template <DynamicRangeQuantizeConfig kConfig>
inline void dynamic_range_quantize(const DynamicRangeQuantizeParams& params) {
  using Value = ComputeOf<kConfig.element>;
  using Storage = StorageOf<kConfig.element>;
  constexpr bool kVectors = kConfig.variant == DynamicRangeQuantizeVariant::Vectors;
  constexpr int kElems = kConfig.piece_elems(), kKept = kConfig.pieces_per_thread();
  // Neither an array of elements nor one of codes is ever stored to memory one by one.
  struct alignas(kElems * sizeof(Storage)) Piece {
    Storage elem[kElems];
  };
  struct alignas(kElems) Codes {
    unsigned char code[kElems];
  };
  const int lanes = kConfig.block_per_row ? kConfig.num_threads() : 1 << params.lanes_log2;
  const int lane_idx = static_cast<int>(threadIdx.x) & (lanes - 1);
  const long long rows_per_block = kConfig.num_threads() / lanes;
  const long long num_pieces = params.row_elems / kElems;
  const bool wide = params.num_rows > 0x7fffffff;

  int parity = 0;
  // All threads take part in every reduction, those without a row too.
  for (long long first = blockIdx.x * rows_per_block; first < params.num_rows;
       first += gridDim.x * rows_per_block, parity ^= 1) {
    const long long row = first + static_cast<int>(threadIdx.x) / lanes;
    const bool has_row = row < params.num_rows;
    const long long pieces = has_row ? num_pieces : 0;
    const char* x = params.x;
    char* q = params.q;
    unsigned long long rest = static_cast<unsigned long long>(has_row ? row : 0);
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
    Piece kept[kKept];
#pragma unroll
    for (int i = 0; i < kKept; ++i) {
      const long long piece = lane_idx + i * static_cast<long long>(lanes);
      if (piece < pieces) kept[i] = load(piece);
    }
    PartRange<Value> range{};
    const auto add = [&](const Piece& piece) {
#pragma unroll
      for (int e = 0; e < kElems; ++e) range.template add<kConfig.symmetric>(widened<kConfig.element>(piece.elem[e]));
    };
#pragma unroll
    for (int i = 0; i < kKept; ++i)
      if (lane_idx + i * static_cast<long long>(lanes) < pieces) add(kept[i]);
    for (long long piece = lane_idx + kKept * static_cast<long long>(lanes); piece < pieces; piece += lanes)
      add(load(piece));
    range = reduce_range<kConfig>(range, params.lanes_log2, parity);
    if (!has_row) continue;

    const RowRange<Value> extremes{__builtin_bit_cast(Value, range.magnitude), range.least, range.greatest};
    const RowQuantizer<Value> quantizer(quantization_of<kConfig.symmetric>(extremes, params.q_min, params.q_max),
                                        params.q_min, params.q_max);
    const auto store = [&](const Piece& piece, long long at) {
      Value values[kElems];
      int codes[kElems];
#pragma unroll
      for (int e = 0; e < kElems; ++e) values[e] = widened<kConfig.element>(piece.elem[e]);
      quantizer.codes(values, codes);
      Codes out;
#pragma unroll
      for (int e = 0; e < kElems; ++e) out.code[e] = static_cast<unsigned char>(codes[e]);
      *reinterpret_cast<Codes*>(q + at * (kVectors ? kElems : params.q_inner_stride)) = out;
    };
#pragma unroll
    for (int i = 0; i < kKept; ++i) {
      const long long piece = lane_idx + i * static_cast<long long>(lanes);
      if (piece < pieces) store(kept[i], piece);
    }
    for (long long piece = lane_idx + kKept * static_cast<long long>(lanes); piece < pieces; piece += lanes)
      store(load(piece), piece);
    if (lane_idx == 0) {
      static_cast<Value*>(params.scale)[row] = quantizer.row.scale;
      if (params.zero_point) params.zero_point[row] = quantizer.row.zero_point;
    }
  }
}

}  // namespace baracuda

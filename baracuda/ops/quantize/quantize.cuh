#pragma once

#include "baracuda/device/copy/row_copy.cuh"
#include "baracuda/device/numeric/divisor.cuh"
#include "baracuda/device/numeric/element.cuh"
#include "baracuda/device/ptx/min_max.cuh"
#include "baracuda/device/schedule/flat_index.cuh"
#include "baracuda/device/vector/codes.cuh"
#include "baracuda/device/vector/floats.cuh"
#include "baracuda/ops/quantize/quantize_config.h"

// Contiguous and Columns move vectors: 16 bytes of x, and the bytes of q that belong to them. A thread has its loads of
// unroll() vectors in flight before it computes. f32 arithmetic is arranged for few instructions; a vector that it does
// not hold for (NaN, scales and zero points far outside the usual) goes by the definition, one element at a time, and
// so do Generic and what is left over at the end of a contiguous tensor. The definition stands in a loop of its own: in
// line it would be most of the code. A grid of any size does: each thread strides over what is left.

namespace baracuda {

// ---- elements -------------------------------------------------------------------------------------------------------

template <QuantizeConfig kConfig>
inline ComputeOf<kConfig.element> load_float(const char* at) {
  return to_value<kConfig.element>(*reinterpret_cast<const StorageOf<kConfig.element>*>(at));
}

template <QuantizeConfig kConfig>
inline void store_float(char* at, ComputeOf<kConfig.element> value) {
  *reinterpret_cast<StorageOf<kConfig.element>*>(at) = from_value<kConfig.element>(value);
}

template <class F>
inline F scale_at(const QuantizeParams& params, long long i) {
  return static_cast<const F*>(params.scale)[i];
}

/// Computes and writes the element at `offsets`.
template <QuantizeConfig kConfig>
inline void quantize_element(const QuantizeParams& params, const long long (&offsets)[kQuantizeOperands]) {
  using F = ComputeOf<kConfig.element>;
  const long long i = offsets[kQuantizeScale];
  if constexpr (kConfig.op == QuantizeOp::Dequantize) {
    const long long at = offsets[kQuantizeInput];
    const unsigned bits = kConfig.q_bits == 4 ? load_nibble(params.input, params.input_nibble + at)
                                              : static_cast<unsigned char>(params.input[at]);
    store_float<kConfig>(
        params.output + offsets[kQuantizeOutput],
        dequantize_value(q_of_bits(bits, params.q_sign), scale_at<F>(params, i), zero_point_at(params, i)));
  } else if constexpr (kConfig.op == QuantizeOp::Quantize) {
    const auto value_at = [&](const long long(&at)[kQuantizeOperands]) {
      return quantize_value(load_float<kConfig>(params.input + at[kQuantizeInput]),
                            scale_at<F>(params, at[kQuantizeScale]), zero_point_at(params, at[kQuantizeScale]),
                            params.q_min, params.q_max);
    };
    if constexpr (kConfig.q_bits == 4) {
      store_nibble(params, offsets, value_at);
    } else {
      params.output[offsets[kQuantizeOutput]] = static_cast<char>(value_at(offsets));
    }
  } else {
    const F x = load_float<kConfig>(params.input + offsets[kQuantizeInput]), scale = scale_at<F>(params, i);
    const int zero_point = zero_point_at(params, i);
    char* const output = params.output + offsets[kQuantizeOutput];
    if constexpr (kConfig.op == QuantizeOp::FakeQuantize) {
      const int q = quantize_value(x, scale, zero_point, params.q_min, params.q_max);
      store_float<kConfig>(output, dequantize_value(q, scale, zero_point));
    } else {
      using Bits = OpaqueElement<element_bytes(kConfig.element)>;
      Bits gradient{};
      if (in_range(x, scale, zero_point, params.q_min, params.q_max))
        gradient = *reinterpret_cast<const Bits*>(params.gradient + offsets[kQuantizeGradient]);
      *reinterpret_cast<Bits*>(output) = gradient;
    }
  }
}

/// Computes and writes element `at` of an output without gaps, in the order of its offsets.
template <QuantizeConfig kConfig>
inline void quantize_dense_element(const QuantizeParams& params, long long at) {
  long long offsets[kQuantizeOperands];
  find_offsets(params, at * params.axes[0].strides[kQuantizeOutput], offsets);
  quantize_element<kConfig>(params, offsets);
}

// ---- vectors --------------------------------------------------------------------------------------------------------

/// A scale with what can be computed of it once.
template <Element kElement>
struct PreparedScale {
  using F = ComputeOf<kElement>;
  static constexpr bool kNarrow = kElement == Element::F16 || kElement == Element::Bf16;
  static constexpr int kMaxNarrow = 255;  // what Divisor::narrow_quotient is for

  Divisor<F> scale;
  int zero_point;
  F low, high;        ///< the range less the zero point, exactly
  F least, greatest;  ///< x is clamped to: low · scale and high · scale, whose quotients still round to low and high
  bool exact_zero_point;  ///< q − zero_point is exact in F, and so are low and high
  bool regular;           ///< quotient() is right

  PreparedScale() = default;
  PreparedScale(const QuantizeParams& params, F scale, int zero_point)
      : scale(scale),
        zero_point(zero_point),
        low(F(params.q_min) - F(zero_point)),
        high(F(params.q_max) - F(zero_point)),
        least(low * scale),
        greatest(high * scale) {
    exact_zero_point = sizeof(F) == 8 || (zero_point >= -kMaxZeroPointInF32 && zero_point <= kMaxZeroPointInF32);
    const bool exact = kNarrow ? low >= -kMaxNarrow && high <= kMaxNarrow : exact_zero_point;
    regular = exact && this->scale.regular() && scale <= F(0x1p100);  // least and greatest are finite
  }

  /// Rounds to round_half_even(x / scale).
  F quotient(F x) const {
    if constexpr (kNarrow)
      return scale.narrow_quotient(x);
    else
      return scale.quotient(x);
  }
};

template <QuantizeConfig kConfig>
using CodesOf = Codes<kConfig.q_vector_bytes()>;

/// Scales of one vector: one for all its elements, or one each.
template <Element kElement, int kCount>
struct VectorScales {
  PreparedScale<kElement> each[kCount];
  const PreparedScale<kElement>& of(int i) const { return each[kCount == 1 ? 0 : i]; }
  bool regular() const {
    bool all = true;
    for (const auto& scale : each) all &= scale.regular;
    return all;
  }
  bool exact_zero_points() const {
    bool all = true;
    for (const auto& scale : each) all &= scale.exact_zero_point;
    return all;
  }
};

/// round_half_even(x / scale), clamped to low … high, plus kRounder: the integer in the low bits. NaN stays NaN.
template <Element kElement>
inline float shifted_quotient(float x, const PreparedScale<kElement>& scale) {
  return scale.quotient(min_or_nan(max_or_nan(x, scale.least), scale.greatest)) + kRounder<float>;
}

/// Whether none of the numbers, which are kRounder and up to 2^22 more or less, is NaN.
template <int kCount>
inline bool none_is_nan(const float (&shifted)[kCount]) {
  unsigned any = 0;
  for (int i = 0; i < kCount; ++i) any |= __float_as_uint(shifted[i]);
  return !(any & ~__float_as_uint(kRounder<float>) & 0x7f800000u);
}

// The functions of vectors return whether their result is right. Where it is not, the definition has to be taken.

template <QuantizeConfig kConfig, int kCount>
inline bool quantize_vector(const QuantizeParams& params, const Vector16& input,
                            const VectorScales<kConfig.element, kCount>& scales, CodesOf<kConfig>* result) {
  constexpr int kElems = kConfig.vector_elems();
  ComputeOf<kConfig.element> x[kElems];
  unpack<kConfig.element>(input, x);
  int q[kElems];
  bool right = true;
  if constexpr (kConfig.element == Element::F64) {
    for (int i = 0; i < kElems; ++i)
      q[i] = quantize_value(x[i], scales.of(i).scale.value, scales.of(i).zero_point, params.q_min, params.q_max);
  } else {
    for (int i = 0; i < kElems; ++i) {
      x[i] = shifted_quotient(x[i], scales.of(i));
      q[i] = __float_as_int(x[i]) + (scales.of(i).zero_point - __float_as_int(kRounder<float>));
    }
    right = scales.regular() && none_is_nan(x);
  }
  *result = pack_codes<kConfig.q_bits>(q);
  return right;
}

template <QuantizeConfig kConfig, int kCount>
inline bool dequantize_vector(const QuantizeParams& params, const CodesOf<kConfig>& input,
                              const VectorScales<kConfig.element, kCount>& scales, Vector16* result) {
  constexpr int kElems = kConfig.vector_elems();
  constexpr int kPerWord = 32 / kConfig.q_bits;
  constexpr unsigned kMask = (1u << kConfig.q_bits) - 1;
  ComputeOf<kConfig.element> x[kElems];
  for (int i = 0; i < kElems; ++i) {
    const auto& scale = scales.of(i);
    const unsigned bits = (input.word[i / kPerWord] >> (kConfig.q_bits * (i % kPerWord))) & kMask;
    if constexpr (kConfig.element == Element::F64) {
      x[i] = dequantize_value(q_of_bits(bits, params.q_sign), scale.scale.value, scale.zero_point);
    } else {
      // The bits, made unsigned, are the last ones of a float from 2^23 on: converted by one subtraction.
      const float shifted = __uint_as_float((bits ^ params.q_sign) | __float_as_uint(0x1p23f));
      x[i] = (shifted - (0x1p23f + static_cast<float>(static_cast<int>(params.q_sign) + scale.zero_point))) *
             scale.scale.value;
    }
  }
  *result = pack<kConfig.element>(x);
  return scales.exact_zero_points();
}

template <QuantizeConfig kConfig, int kCount>
inline bool fake_quantize_vector(const QuantizeParams& params, const Vector16& input,
                                 const VectorScales<kConfig.element, kCount>& scales, Vector16* result) {
  constexpr int kElems = kConfig.vector_elems();
  ComputeOf<kConfig.element> x[kElems], y[kElems];
  unpack<kConfig.element>(input, x);
  bool right = true;
  if constexpr (kConfig.element == Element::F64) {
    for (int i = 0; i < kElems; ++i) {
      const double scale = scales.of(i).scale.value;
      const int zero_point = scales.of(i).zero_point;
      y[i] = dequantize_value(quantize_value(x[i], scale, zero_point, params.q_min, params.q_max), scale, zero_point);
    }
  } else {
    for (int i = 0; i < kElems; ++i) {
      x[i] = shifted_quotient(x[i], scales.of(i));
      const float rounded = x[i] - kRounder<float>;
      y[i] = rounded * scales.of(i).scale.value;
    }
    right = scales.regular() && none_is_nan(x);
  }
  *result = pack<kConfig.element>(y);
  return right;
}

template <QuantizeConfig kConfig, int kCount>
inline bool mask_gradient_vector(const QuantizeParams& params, const Vector16& input, const Vector16& gradient,
                                 const VectorScales<kConfig.element, kCount>& scales, Vector16* result) {
  constexpr int kElems = kConfig.vector_elems();
  constexpr int kElemBytes = element_bytes(kConfig.element);
  ComputeOf<kConfig.element> x[kElems];
  unpack<kConfig.element>(input, x);
  *result = gradient;
  for (int i = 0; i < kElems; ++i) {
    const auto& scale = scales.of(i);
    bool inside;
    if constexpr (kConfig.element == Element::F64) {
      inside = in_range(x[i], scale.scale.value, scale.zero_point, params.q_min, params.q_max);
    } else {
      const float rounded = rintf(scale.quotient(x[i]));
      inside = rounded >= scale.low && rounded <= scale.high;
    }
    if (kElemBytes == 2) {
      result->word[i / 2] &= inside ? ~0u : i % 2 ? 0xffffu : 0xffff0000u;
    } else {
      for (int word = 0; word < kElemBytes / 4; ++word) result->word[i * kElemBytes / 4 + word] &= inside ? ~0u : 0u;
    }
  }
  return kConfig.element == Element::F64 || scales.regular();
}

/// One vector on its way: loads are issued for several, then each is computed and stored.
template <QuantizeConfig kConfig>
struct VectorTask {
  static constexpr bool kReadsQ = kConfig.op == QuantizeOp::Dequantize;
  static constexpr bool kHasGradient = kConfig.op == QuantizeOp::FakeQuantizeBackward;

  Vector16 x, gradient;
  CodesOf<kConfig> q;

  void load(const QuantizeParams& params, long long vector) {
    if constexpr (kReadsQ) {
      q = load_codes<kConfig.q_vector_bytes()>(params.input + vector * kConfig.q_vector_bytes());
    } else {
      x = *reinterpret_cast<const Vector16*>(params.input + vector * kVectorBytes);
    }
    if constexpr (kHasGradient) gradient = *reinterpret_cast<const Vector16*>(params.gradient + vector * kVectorBytes);
  }

  /// False, and nothing is stored, where the definition has to be taken.
  template <int kCount>
  bool store(const QuantizeParams& params, long long vector,
             const VectorScales<kConfig.element, kCount>& scales) const {
    bool right;
    if constexpr (kConfig.op == QuantizeOp::Quantize) {
      CodesOf<kConfig> codes;
      right = quantize_vector<kConfig>(params, x, scales, &codes);
      if (right) store_codes(params.output + vector * kConfig.q_vector_bytes(), codes);
    } else {
      Vector16 result;
      if constexpr (kReadsQ) right = dequantize_vector<kConfig>(params, q, scales, &result);
      if constexpr (kConfig.op == QuantizeOp::FakeQuantize)
        right = fake_quantize_vector<kConfig>(params, x, scales, &result);
      if constexpr (kHasGradient) right = mask_gradient_vector<kConfig>(params, x, gradient, scales, &result);
      if (right) *reinterpret_cast<Vector16*>(params.output + vector * kVectorBytes) = result;
    }
    return right;
  }
};

/// The vectors first + i · step whose bit i is set, by the definition.
template <QuantizeConfig kConfig>
inline void quantize_vectors_by_elements(const QuantizeParams& params, long long first, long long step,
                                         unsigned which) {
#pragma unroll 1
  for (; which != 0; which &= which - 1) {
    const long long vector = first + (__ffs(static_cast<int>(which)) - 1) * step;
#pragma unroll 1
    for (int i = 0; i < kConfig.vector_elems(); ++i)
      quantize_dense_element<kConfig>(params, vector * kConfig.vector_elems() + i);
  }
}

// ---- kernels --------------------------------------------------------------------------------------------------------

/// The scale of a vector: ⌊vector / vectors_per_scale⌋ mod num_scales.
inline unsigned long long scale_of_vector(const QuantizeParams& params, unsigned long long vector) {
  return vector / static_cast<unsigned long long>(params.vectors_per_scale) %
         static_cast<unsigned long long>(params.num_scales);
}
inline unsigned scale_of_vector(const QuantizeParams& params, unsigned vector) {
  const unsigned index = quotient(vector, params.vectors_per_scale_divisor);
  return index - quotient(index, params.num_scales_divisor) * params.num_scales_divisor.divisor;
}

/// zero_point_at for several, which asks once what they are.
template <class Index, int kCount>
inline void load_zero_points(const QuantizeParams& params, const Index (&at)[kCount], int (&zero_points)[kCount]) {
  const auto load = [&](auto* data) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) zero_points[i] = data[at[i]];
  };
#pragma unroll
  for (int& zero_point : zero_points) zero_point = 0;
  if (!params.zero_point) return;
  switch (params.zero_point_element) {
    case Element::I8: return load(static_cast<const signed char*>(params.zero_point));
    case Element::U8: return load(static_cast<const unsigned char*>(params.zero_point));
    default: return load(static_cast<const int*>(params.zero_point));
  }
}

/// Contiguous: a thread takes unroll() vectors, a block's width apart. They mostly have one scale, prepared once.
template <QuantizeConfig kConfig>
inline void quantize_contiguous(const QuantizeParams& params) {
  using F = ComputeOf<kConfig.element>;
  using Index = typename FlatIndex<kConfig.wide_index>::type;
  constexpr int kUnroll = kConfig.unroll();
  constexpr Index kStep = kConfig.num_threads(), kBlockVectors = kStep * kUnroll;
  const auto num_vectors = static_cast<Index>(params.num_elems / kConfig.vector_elems());
  for (Index first = blockIdx.x * kBlockVectors + threadIdx.x; first < num_vectors;
       first += gridDim.x * kBlockVectors) {
    VectorTask<kConfig> tasks[kUnroll];
#pragma unroll
    for (int i = 0; i < kUnroll; ++i)
      if (first + i * kStep < num_vectors) tasks[i].load(params, first + i * kStep);
    Index scale_index[kUnroll];
    F scale_value[kUnroll];
    int zero_point[kUnroll];
#pragma unroll
    for (int i = 0; i < kUnroll; ++i) {
      const Index vector = first + i * kStep;
      scale_index[i] = scale_of_vector(params, vector < num_vectors ? vector : first);
      scale_value[i] = scale_at<F>(params, scale_index[i]);
    }
    load_zero_points(params, scale_index, zero_point);

    unsigned left = 0;
    VectorScales<kConfig.element, 1> scales;
#pragma unroll
    for (int i = 0; i < kUnroll; ++i) {
      const Index vector = first + i * kStep;
      if (i == 0 || scale_index[i] != scale_index[i - 1]) scales.each[0] = {params, scale_value[i], zero_point[i]};
      if (vector < num_vectors && !tasks[i].store(params, vector, scales)) left |= 1u << i;
    }
    quantize_vectors_by_elements<kConfig>(params, first, kStep, left);
  }
  const long long left = params.num_elems / kConfig.vector_elems() * kConfig.vector_elems() + threadIdx.x;
  if (blockIdx.x == 0 && left < params.num_elems) quantize_dense_element<kConfig>(params, left);
}

/// Columns: a thread keeps the scales of one vector's columns for rows_per_thread() rows; neighbours have neighbouring
/// columns.
template <QuantizeConfig kConfig>
inline void quantize_columns(const QuantizeParams& params) {
  using F = ComputeOf<kConfig.element>;
  constexpr int kElems = kConfig.vector_elems(), kUnroll = kConfig.unroll();
  const long long vectors_per_row = params.num_scales / kElems;
  const long long num_items =
      (params.num_rows + kConfig.rows_per_thread() - 1) / kConfig.rows_per_thread() * vectors_per_row;
  const long long stride = static_cast<long long>(gridDim.x) * kConfig.num_threads();
  for (long long item = static_cast<long long>(blockIdx.x) * kConfig.num_threads() + threadIdx.x; item < num_items;
       item += stride) {
    const long long band = item / vectors_per_row, column = item - band * vectors_per_row;
    long long scale_index[kElems];
    int zero_point[kElems];
    VectorScales<kConfig.element, kElems> scales;
#pragma unroll
    for (int i = 0; i < kElems; ++i) scale_index[i] = column * kElems + i;
    load_zero_points(params, scale_index, zero_point);
#pragma unroll
    for (int i = 0; i < kElems; ++i) scales.each[i] = {params, scale_at<F>(params, scale_index[i]), zero_point[i]};

    const long long first_row = band * kConfig.rows_per_thread();
    const long long last_row = first_row + kConfig.rows_per_thread() < params.num_rows
                                   ? first_row + kConfig.rows_per_thread()
                                   : params.num_rows;
    // The next vectors are under way while these are computed.
    VectorTask<kConfig> tasks[kUnroll], next[kUnroll];
    const auto load = [&](VectorTask<kConfig>(&to)[kUnroll], long long row) {
#pragma unroll
      for (int i = 0; i < kUnroll; ++i)
        if (row + i < last_row) to[i].load(params, (row + i) * vectors_per_row + column);
    };
    load(tasks, first_row);
#pragma unroll 1
    for (long long row = first_row; row < last_row; row += kUnroll) {
      load(next, row + kUnroll);
      const long long first = row * vectors_per_row + column;
      unsigned left = 0;
#pragma unroll
      for (int i = 0; i < kUnroll; ++i)
        if (row + i < last_row && !tasks[i].store(params, first + i * vectors_per_row, scales)) left |= 1u << i;
      quantize_vectors_by_elements<kConfig>(params, first, vectors_per_row, left);
#pragma unroll
      for (int i = 0; i < kUnroll; ++i) tasks[i] = next[i];
    }
  }
}

template <bool kWide>
inline void find_operands(const QuantizeParams& params, long long n, long long (&offsets)[kQuantizeOperands]) {
  auto rest = static_cast<typename FlatIndex<kWide>::type>(n);
  for (long long& offset : offsets) offset = 0;
#pragma unroll
  for (int k = 0; k < kMaxQuantizeAxes; ++k) {
    if (k == params.num_axes) break;
    const long long index = split_index<kWide>(rest, params.axes[k].extent, params.divisors[k]);
    for (int i = 0; i < kQuantizeOperands; ++i) offsets[i] += index * params.axes[k].strides[i];
  }
}

template <QuantizeConfig kConfig>
inline void quantize_generic(const QuantizeParams& params) {
  const long long stride = static_cast<long long>(gridDim.x) * kConfig.num_threads();
  for (long long n = static_cast<long long>(blockIdx.x) * kConfig.num_threads() + threadIdx.x; n < params.num_elems;
       n += stride) {
    long long offsets[kQuantizeOperands];
    find_operands<kConfig.wide_index>(params, n, offsets);
    quantize_element<kConfig>(params, offsets);
  }
}

template <QuantizeConfig kConfig>
inline void quantize(const QuantizeParams& params) {
  if constexpr (kConfig.variant == QuantizeVariant::Contiguous) quantize_contiguous<kConfig>(params);
  if constexpr (kConfig.variant == QuantizeVariant::Columns) quantize_columns<kConfig>(params);
  if constexpr (kConfig.variant == QuantizeVariant::Generic) quantize_generic<kConfig>(params);
}

}  // namespace baracuda

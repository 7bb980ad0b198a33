#pragma once

#include "baracuda/device/copy/row_copy.cuh"
#include "baracuda/device/ptx/half.cuh"
#include "baracuda/device/schedule/flat_index.cuh"
#include "baracuda/ops/quantize/quantize_config.h"

// Contiguous and Columns move vectors: 16 bytes of x, and the bytes of q that belong to them. A thread has its loads of
// unroll() vectors in flight before it computes. Generic, and what is left over at the end of a contiguous tensor, goes
// one element at a time. A grid of any size does: each thread strides over what is left.

namespace baracuda {

// ---- elements -------------------------------------------------------------------------------------------------------

/// What x is computed in.
template <Element kElement>
struct ComputeType {
  using type = float;
};
template <>
struct ComputeType<Element::F64> {
  using type = double;
};
template <QuantizeConfig kConfig>
using ComputeTypeOf = typename ComputeType<kConfig.element>::type;

template <Element kElement>
inline typename ComputeType<kElement>::type load_float(const char* at) {
  if constexpr (kElement == Element::F64) {
    return *reinterpret_cast<const double*>(at);
  } else if constexpr (kElement == Element::F32) {
    return *reinterpret_cast<const float*>(at);
  } else if constexpr (kElement == Element::F16) {
    return f32_of_f16(*reinterpret_cast<const unsigned short*>(at));
  } else {
    return __uint_as_float(static_cast<unsigned>(*reinterpret_cast<const unsigned short*>(at)) << 16);
  }
}

template <Element kElement, class F>
inline void store_float(char* at, F value) {
  if constexpr (kElement == Element::F64 || kElement == Element::F32) {
    *reinterpret_cast<F*>(at) = value;
  } else if constexpr (kElement == Element::F16) {
    *reinterpret_cast<unsigned short*>(at) = static_cast<unsigned short>(f16x2_of_f32(value, 0));
  } else {
    *reinterpret_cast<unsigned short*>(at) = static_cast<unsigned short>(bf16x2_of_f32(value, 0));
  }
}

template <class F>
inline F scale_at(const QuantizeParams& params, long long i) {
  return static_cast<const F*>(params.scale)[i];
}

/// Computes and writes the element at `offsets`.
template <QuantizeConfig kConfig>
inline void quantize_element(const QuantizeParams& params, const long long (&offsets)[kQuantizeOperands]) {
  using F = ComputeTypeOf<kConfig>;
  const long long i = offsets[kQuantizeScale];
  if constexpr (kConfig.op == QuantizeOp::Dequantize) {
    const long long at = offsets[kQuantizeInput];
    const unsigned bits = kConfig.q_bits == 4 ? load_nibble(params.input, params.input_nibble + at)
                                              : static_cast<unsigned char>(params.input[at]);
    store_float<kConfig.element>(
        params.output + offsets[kQuantizeOutput],
        dequantize_value(q_of_bits(bits, params.q_sign), scale_at<F>(params, i), zero_point_at(params, i)));
  } else if constexpr (kConfig.op == QuantizeOp::Quantize) {
    const auto value_at = [&](const long long(&at)[kQuantizeOperands]) {
      return quantize_value(load_float<kConfig.element>(params.input + at[kQuantizeInput]),
                            scale_at<F>(params, at[kQuantizeScale]), zero_point_at(params, at[kQuantizeScale]),
                            params.q_min, params.q_max);
    };
    if constexpr (kConfig.q_bits == 4) {
      store_nibble(params, offsets, value_at);
    } else {
      params.output[offsets[kQuantizeOutput]] = static_cast<char>(value_at(offsets));
    }
  } else {
    const F x = load_float<kConfig.element>(params.input + offsets[kQuantizeInput]), scale = scale_at<F>(params, i);
    const int zero_point = zero_point_at(params, i);
    char* const output = params.output + offsets[kQuantizeOutput];
    if constexpr (kConfig.op == QuantizeOp::FakeQuantize) {
      const int q = quantize_value(x, scale, zero_point, params.q_min, params.q_max);
      store_float<kConfig.element>(output, dequantize_value(q, scale, zero_point));
    } else {
      using Bits = OpaqueElement<element_bytes(kConfig.element)>;
      Bits gradient{};
      if (in_range(x, scale, zero_point, params.q_min, params.q_max))
        gradient = *reinterpret_cast<const Bits*>(params.gradient + offsets[kQuantizeGradient]);
      *reinterpret_cast<Bits*>(output) = gradient;
    }
  }
}

// ---- vectors --------------------------------------------------------------------------------------------------------

/// A scale with what can be computed of it once. F is float or double; double goes by the definition.
template <class F>
struct PreparedScale {
  F scale;
  int zero_point;
};

/// regular: x / scale can be had from the reciprocal, and q − zero_point is exact in f32. Then low … high, the range
/// less the zero point, is what the quotient is clamped to.
template <>
struct PreparedScale<float> {
  float scale;
  int zero_point;
  float reciprocal, low, high;
  bool exact_zero_point, regular;
};

template <class F>
inline PreparedScale<F> prepare_scale(const QuantizeParams& params, F scale, int zero_point) {
  PreparedScale<F> prepared;
  prepared.scale = scale;
  prepared.zero_point = zero_point;
  if constexpr (sizeof(F) == 4) {
    prepared.reciprocal = 1.0f / prepared.scale;
    prepared.low = static_cast<float>(params.q_min) - static_cast<float>(zero_point);
    prepared.high = static_cast<float>(params.q_max) - static_cast<float>(zero_point);
    prepared.exact_zero_point = zero_point >= -kMaxZeroPointInF32 && zero_point <= kMaxZeroPointInF32;
    prepared.regular = prepared.exact_zero_point && scale >= 0x1p-100f && scale <= 0x1p100f;
  }
  return prepared;
}

/// x / scale, correctly rounded wherever that matters: where the quotient is at least 1/4 and `*ordinary` stays true. A
/// smaller one comes out below 1/2. A true division takes twice as many instructions, which f16 has no time for.
///
/// The reciprocal y is rounded to nearest. The first product is within 1.5 units in the last place of x / scale, one
/// step brings it within one, and from there a step with y gives the correctly rounded quotient if its remainder is
/// exact (Markstein, IBM J. Res. Dev. 34, 1990). It is: with scale ≥ 2^-100 and a quotient ≥ 2^-2 its last bit is
/// 2^-149 or more. Past 2^33, far outside all ranges, the steps may overflow: not ordinary; nor is NaN.
inline float divide(float x, const PreparedScale<float>& scale, bool* ordinary) {
  const float product = x * scale.reciprocal;
  *ordinary &= fabsf(product) < 0x1p33f;
  const float closer = fmaf(fmaf(-product, scale.scale, x), scale.reciprocal, product);
  return fmaf(fmaf(-closer, scale.scale, x), scale.reciprocal, closer);
}

/// What is added to a float of magnitude up to 2^22 to round it to an integer, half to even: then it is the low bits.
inline constexpr float kRoundingShift = 0x1.8p23f;

/// The 16 bytes of x, as numbers.
template <Element kElement>
inline void unpack(const Vector16& vector,
                   typename ComputeType<kElement>::type (&values)[16 / element_bytes(kElement)]) {
  if constexpr (kElement == Element::F64) {
    for (int i = 0; i < 2; ++i)
      values[i] = __hiloint2double(static_cast<int>(vector.word[2 * i + 1]), static_cast<int>(vector.word[2 * i]));
  } else if constexpr (kElement == Element::F32) {
    for (int i = 0; i < 4; ++i) values[i] = __uint_as_float(vector.word[i]);
  } else if constexpr (kElement == Element::F16) {
    for (int i = 0; i < 8; ++i)
      values[i] = f32_of_f16(static_cast<unsigned short>(vector.word[i / 2] >> (16 * (i % 2))));
  } else {
    for (int i = 0; i < 8; ++i)
      values[i] = __uint_as_float(i % 2 ? vector.word[i / 2] & 0xffff0000u : vector.word[i / 2] << 16);
  }
}

template <Element kElement, class F>
inline Vector16 pack(const F (&values)[16 / element_bytes(kElement)]) {
  Vector16 vector;
  if constexpr (kElement == Element::F64) {
    for (int i = 0; i < 2; ++i) {
      vector.word[2 * i] = static_cast<unsigned>(__double2loint(values[i]));
      vector.word[2 * i + 1] = static_cast<unsigned>(__double2hiint(values[i]));
    }
  } else if constexpr (kElement == Element::F32) {
    for (int i = 0; i < 4; ++i) vector.word[i] = __float_as_uint(values[i]);
  } else {
    for (int i = 0; i < 4; ++i)
      vector.word[i] = kElement == Element::F16 ? f16x2_of_f32(values[2 * i], values[2 * i + 1])
                                                : bf16x2_of_f32(values[2 * i], values[2 * i + 1]);
  }
  return vector;
}

/// The bytes of q that belong to a vector of x.
template <int kBytes>
struct QVector {
  unsigned word[(kBytes + 3) / 4];
};

template <QuantizeConfig kConfig>
using QVectorOf = QVector<kConfig.q_vector_bytes()>;

template <int kBytes>
inline QVector<kBytes> load_q(const char* at) {
  QVector<kBytes> vector;
  if constexpr (kBytes == 8) {
    const auto bits = *reinterpret_cast<const unsigned long long*>(at);
    vector.word[0] = static_cast<unsigned>(bits);
    vector.word[1] = static_cast<unsigned>(bits >> 32);
  } else if constexpr (kBytes == 4) {
    vector.word[0] = *reinterpret_cast<const unsigned*>(at);
  } else if constexpr (kBytes == 2) {
    vector.word[0] = *reinterpret_cast<const unsigned short*>(at);
  } else {
    vector.word[0] = *reinterpret_cast<const unsigned char*>(at);
  }
  return vector;
}

template <int kBytes>
inline void store_q(char* at, const QVector<kBytes>& vector) {
  if constexpr (kBytes == 8) {
    *reinterpret_cast<unsigned long long*>(at) = vector.word[0] | static_cast<unsigned long long>(vector.word[1]) << 32;
  } else if constexpr (kBytes == 4) {
    *reinterpret_cast<unsigned*>(at) = vector.word[0];
  } else if constexpr (kBytes == 2) {
    *reinterpret_cast<unsigned short*>(at) = static_cast<unsigned short>(vector.word[0]);
  } else {
    *reinterpret_cast<unsigned char*>(at) = static_cast<unsigned char>(vector.word[0]);
  }
}

/// The low bytes of four integers.
inline unsigned pack_bytes(int a, int b, int c, int d) {
  const unsigned low = __byte_perm(static_cast<unsigned>(a), static_cast<unsigned>(b), 0x0040);
  const unsigned high = __byte_perm(static_cast<unsigned>(c), static_cast<unsigned>(d), 0x0040);
  return __byte_perm(low, high, 0x5410);
}

/// The low bits of as many integers as a vector has. Of 8, where instructions are scarce, with few.
template <int kQBits, int kElems>
inline QVector<kElems * kQBits / 8> pack_q(const int (&q)[kElems]) {
  QVector<kElems * kQBits / 8> result{};
  if constexpr (kQBits == 8 && kElems % 4 == 0) {
    for (int i = 0; i < kElems; i += 4) result.word[i / 4] = pack_bytes(q[i], q[i + 1], q[i + 2], q[i + 3]);
  } else if constexpr (kQBits == 4 && kElems == 8) {
    const unsigned even = pack_bytes(q[0], q[2], q[4], q[6]), odd = pack_bytes(q[1], q[3], q[5], q[7]);
    result.word[0] = (even & 0x0f0f0f0fu) | (odd << 4 & 0xf0f0f0f0u);
  } else {
    constexpr unsigned kMask = (1u << kQBits) - 1;
    for (int i = 0; i < kElems; ++i) result.word[0] |= (static_cast<unsigned>(q[i]) & kMask) << (kQBits * i);
  }
  return result;
}

/// Scales of one vector: one for all its elements, or one each.
template <class F, int kCount>
struct VectorScales {
  PreparedScale<F> each[kCount];
  const PreparedScale<F>& of(int i) const { return each[kCount == 1 ? 0 : i]; }
};

template <QuantizeConfig kConfig, int kCount>
inline QVectorOf<kConfig> quantize_vector(const QuantizeParams& params, const Vector16& input,
                                          const VectorScales<ComputeTypeOf<kConfig>, kCount>& scales) {
  constexpr int kElems = kConfig.vector_elems();
  using F = ComputeTypeOf<kConfig>;
  F x[kElems];
  unpack<kConfig.element>(input, x);
  int q[kElems];
  bool ordinary = sizeof(F) == 4;
  if constexpr (sizeof(F) == 4) {
    for (int i = 0; i < kElems; ++i) {
      const PreparedScale<float>& scale = scales.of(i);
      ordinary &= scale.regular;
      const float clamped = fminf(fmaxf(divide(x[i], scale, &ordinary), scale.low), scale.high);
      q[i] = __float_as_int(clamped + kRoundingShift) + (scale.zero_point - __float_as_int(kRoundingShift));
    }
  }
  if (!ordinary)
    for (int i = 0; i < kElems; ++i)
      q[i] = quantize_value(x[i], scales.of(i).scale, scales.of(i).zero_point, params.q_min, params.q_max);
  return pack_q<kConfig.q_bits>(q);
}

template <QuantizeConfig kConfig, int kCount>
inline Vector16 dequantize_vector(const QuantizeParams& params, const QVectorOf<kConfig>& input,
                                  const VectorScales<ComputeTypeOf<kConfig>, kCount>& scales) {
  constexpr int kElems = kConfig.vector_elems();
  constexpr int kPerWord = 32 / kConfig.q_bits;
  constexpr unsigned kMask = (1u << kConfig.q_bits) - 1;
  using F = ComputeTypeOf<kConfig>;
  F x[kElems];
  for (int i = 0; i < kElems; ++i) {
    const PreparedScale<F>& scale = scales.of(i);
    const unsigned bits = (input.word[i / kPerWord] >> (kConfig.q_bits * (i % kPerWord))) & kMask;
    bool exact = false;
    if constexpr (sizeof(F) == 4) {
      exact = scale.exact_zero_point;
      if (exact) {
        // The bits, made unsigned, are the last ones of a float from 2^23 on: converted by one subtraction.
        const float shifted = __uint_as_float((bits ^ params.q_sign) | __float_as_uint(0x1p23f));
        x[i] = (shifted - (0x1p23f + static_cast<float>(static_cast<int>(params.q_sign) + scale.zero_point))) *
               scale.scale;
      }
    }
    if (!exact) x[i] = dequantize_value(q_of_bits(bits, params.q_sign), scale.scale, scale.zero_point);
  }
  return pack<kConfig.element>(x);
}

template <QuantizeConfig kConfig, int kCount>
inline Vector16 fake_quantize_vector(const QuantizeParams& params, const Vector16& input,
                                     const VectorScales<ComputeTypeOf<kConfig>, kCount>& scales) {
  constexpr int kElems = kConfig.vector_elems();
  using F = ComputeTypeOf<kConfig>;
  F x[kElems], y[kElems];
  unpack<kConfig.element>(input, x);
  bool ordinary = sizeof(F) == 4;
  if constexpr (sizeof(F) == 4) {
    for (int i = 0; i < kElems; ++i) {
      const PreparedScale<float>& scale = scales.of(i);
      ordinary &= scale.regular;
      const float clamped = fminf(fmaxf(divide(x[i], scale, &ordinary), scale.low), scale.high);
      y[i] = ((clamped + kRoundingShift) - kRoundingShift) * scale.scale;
    }
  }
  if (!ordinary)
    for (int i = 0; i < kElems; ++i) {
      const PreparedScale<F>& scale = scales.of(i);
      const int q = quantize_value(x[i], scale.scale, scale.zero_point, params.q_min, params.q_max);
      y[i] = dequantize_value(q, scale.scale, scale.zero_point);
    }
  return pack<kConfig.element>(y);
}

template <QuantizeConfig kConfig, int kCount>
inline Vector16 mask_gradient_vector(const QuantizeParams& params, const Vector16& input, Vector16 gradient,
                                     const VectorScales<ComputeTypeOf<kConfig>, kCount>& scales) {
  constexpr int kElems = kConfig.vector_elems();
  constexpr int kElemBytes = element_bytes(kConfig.element);
  using F = ComputeTypeOf<kConfig>;
  F x[kElems];
  unpack<kConfig.element>(input, x);
  for (int i = 0; i < kElems; ++i) {
    const PreparedScale<F>& scale = scales.of(i);
    bool inside;
    bool regular = false;
    if constexpr (sizeof(F) == 4) {
      regular = scale.regular;
      if (regular) {
        bool ordinary = true;
        const float rounded = rintf(divide(x[i], scale, &ordinary));
        inside = ordinary && rounded >= scale.low && rounded <= scale.high;
      }
    }
    if (!regular) inside = in_range(x[i], scale.scale, scale.zero_point, params.q_min, params.q_max);
    if (kElemBytes == 2) {
      gradient.word[i / 2] &= inside ? ~0u : i % 2 ? 0xffffu : 0xffff0000u;
    } else {
      for (int word = 0; word < kElemBytes / 4; ++word) gradient.word[i * kElemBytes / 4 + word] &= inside ? ~0u : 0u;
    }
  }
  return gradient;
}

/// One vector on its way: loads are issued for several, then each is computed and stored.
template <QuantizeConfig kConfig>
struct VectorTask {
  static constexpr bool kReadsQ = kConfig.op == QuantizeOp::Dequantize;
  static constexpr bool kWritesQ = kConfig.op == QuantizeOp::Quantize;
  static constexpr bool kHasGradient = kConfig.op == QuantizeOp::FakeQuantizeBackward;

  Vector16 x, gradient;
  QVectorOf<kConfig> q;

  void load(const QuantizeParams& params, long long vector) {
    if constexpr (kReadsQ) {
      q = load_q<kConfig.q_vector_bytes()>(params.input + vector * kConfig.q_vector_bytes());
    } else {
      x = *reinterpret_cast<const Vector16*>(params.input + vector * kVectorBytes);
    }
    if constexpr (kHasGradient) gradient = *reinterpret_cast<const Vector16*>(params.gradient + vector * kVectorBytes);
  }

  template <int kCount>
  void store(const QuantizeParams& params, long long vector,
             const VectorScales<ComputeTypeOf<kConfig>, kCount>& scales) const {
    if constexpr (kWritesQ) {
      store_q(params.output + vector * kConfig.q_vector_bytes(), quantize_vector<kConfig>(params, x, scales));
    } else {
      Vector16 result;
      if constexpr (kReadsQ) result = dequantize_vector<kConfig>(params, q, scales);
      if constexpr (kConfig.op == QuantizeOp::FakeQuantize) result = fake_quantize_vector<kConfig>(params, x, scales);
      if constexpr (kHasGradient) result = mask_gradient_vector<kConfig>(params, x, gradient, scales);
      *reinterpret_cast<Vector16*>(params.output + vector * kVectorBytes) = result;
    }
  }
};

// ---- kernels --------------------------------------------------------------------------------------------------------

/// The scale of a vector: ⌊vector / vectors_per_scale⌋ mod num_scales.
inline long long scale_of_vector(const QuantizeParams& params, long long vector) {
  if (is_wide(params)) return vector / params.vectors_per_scale % params.num_scales;
  const unsigned index = quotient(static_cast<unsigned>(vector), params.vectors_per_scale_divisor);
  return index - quotient(index, params.num_scales_divisor) * params.num_scales_divisor.divisor;
}

/// Contiguous: a thread takes unroll() vectors, a block's width apart.
template <QuantizeConfig kConfig>
inline void quantize_contiguous(const QuantizeParams& params) {
  using F = ComputeTypeOf<kConfig>;
  constexpr long long kBlockVectors = kConfig.num_threads() * kConfig.unroll();
  const long long num_vectors = params.num_elems / kConfig.vector_elems();
  VectorScales<F, 1> scales{{prepare_scale(params, scale_at<F>(params, 0), zero_point_at(params, 0))}};
  for (long long first = blockIdx.x * kBlockVectors + threadIdx.x; first < num_vectors;
       first += gridDim.x * kBlockVectors) {
    VectorTask<kConfig> tasks[kConfig.unroll()];
    F scale[kConfig.unroll()];
    int zero_point[kConfig.unroll()];
#pragma unroll
    for (int i = 0; i < kConfig.unroll(); ++i) {
      const long long vector = first + i * kConfig.num_threads();
      if (vector >= num_vectors) break;
      tasks[i].load(params, vector);
      if (params.num_scales == 1) continue;
      const long long scale_index = scale_of_vector(params, vector);
      scale[i] = scale_at<F>(params, scale_index);
      zero_point[i] = zero_point_at(params, scale_index);
    }
#pragma unroll
    for (int i = 0; i < kConfig.unroll(); ++i) {
      const long long vector = first + i * kConfig.num_threads();
      if (vector >= num_vectors) break;
      if (params.num_scales > 1) scales.each[0] = prepare_scale(params, scale[i], zero_point[i]);
      tasks[i].store(params, vector, scales);
    }
  }
  // What no vector holds has the only scale there is, else the scales would divide the elements into whole vectors.
  const long long left = num_vectors * kConfig.vector_elems() + threadIdx.x;
  if (blockIdx.x == 0 && left < params.num_elems) {
    long long offsets[kQuantizeOperands];
    for (int i = 0; i < kQuantizeOperands; ++i) offsets[i] = left * params.axes[0].strides[i];
    quantize_element<kConfig>(params, offsets);
  }
}

/// Columns: a thread keeps the scales of one vector's columns for rows_per_thread() rows; neighbours have neighbouring
/// columns.
template <QuantizeConfig kConfig>
inline void quantize_columns(const QuantizeParams& params) {
  using F = ComputeTypeOf<kConfig>;
  constexpr int kElems = kConfig.vector_elems();
  const long long vectors_per_row = params.num_scales / kElems;
  const long long num_items =
      (params.num_rows + kConfig.rows_per_thread() - 1) / kConfig.rows_per_thread() * vectors_per_row;
  const long long stride = static_cast<long long>(gridDim.x) * kConfig.num_threads();
  for (long long item = static_cast<long long>(blockIdx.x) * kConfig.num_threads() + threadIdx.x; item < num_items;
       item += stride) {
    const long long band = item / vectors_per_row, column = item - band * vectors_per_row;
    VectorScales<F, kElems> scales;
#pragma unroll
    for (int i = 0; i < kElems; ++i)
      scales.each[i] =
          prepare_scale(params, scale_at<F>(params, column * kElems + i), zero_point_at(params, column * kElems + i));
    const long long first_row = band * kConfig.rows_per_thread();
    const long long last_row = first_row + kConfig.rows_per_thread() < params.num_rows
                                   ? first_row + kConfig.rows_per_thread()
                                   : params.num_rows;
#pragma unroll 1
    for (long long row = first_row; row < last_row; row += kConfig.unroll()) {
      VectorTask<kConfig> tasks[kConfig.unroll()];
#pragma unroll
      for (int i = 0; i < kConfig.unroll(); ++i)
        if (row + i < last_row) tasks[i].load(params, (row + i) * vectors_per_row + column);
#pragma unroll
      for (int i = 0; i < kConfig.unroll(); ++i)
        if (row + i < last_row) tasks[i].store(params, (row + i) * vectors_per_row + column, scales);
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
    if (is_wide(params)) {
      find_operands<true>(params, n, offsets);
    } else {
      find_operands<false>(params, n, offsets);
    }
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

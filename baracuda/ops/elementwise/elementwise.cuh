#pragma once

#include "baracuda/device/schedule/flat_index.cuh"
#include "baracuda/ops/elementwise/elementwise_compute.cuh"
#include "baracuda/ops/elementwise/elementwise_config.h"

// Every thread reads what it needs of an element before it writes there, and no other thread touches it: so an input
// that is the output itself is safe.

namespace baracuda {

template <class T, int kElems>
struct alignas(sizeof(T) * kElems) Vector {
  T values[kElems];
};

/// A vector in registers, in words where it has some: narrow elements stay together until they are computed with, and
/// one instruction loads or stores them.
template <int kBytes>
struct alignas(kBytes) Words {
  unsigned values[kBytes / 4];
};
template <>
struct Words<2> {
  unsigned short values[1];
};
template <>
struct Words<1> {
  unsigned char values[1];
};
template <class T, int kElems>
using WordsOf = Words<sizeof(Vector<T, kElems>)>;

/// What the first input is taken as: as the others, unless it is a condition.
template <bool kIsCondition, class Kind>
struct FirstKindOf {
  using type = Kind;
};
template <class Kind>
struct FirstKindOf<true, Kind> {
  using type = KindOf<Element::Bool>;
};

/// The types and steps of one kernel.
template <ElementwiseConfig kConfig>
struct ElementwiseKernel {
  static constexpr int kNumInputs = traits_of(kConfig.op).num_inputs;
  static constexpr bool kHasCondition = kConfig.op == ElementwiseOp::Where;
  static constexpr int kVectorElems = kConfig.vector_elems();
  static constexpr int kUnroll = kConfig.unroll();

  using Kind = OperandKind<kConfig.op, kConfig.element>;
  using OutputKind = OperandKind<kConfig.op, kConfig.output>;
  using Stored = typename Kind::Stored;
  using Value = typename Kind::Value;
  using OutputStored = typename OutputKind::Stored;
  /// Of the first input.
  using FirstKind = typename FirstKindOf<kHasCondition, Kind>::type;
  using FirstStored = typename FirstKind::Stored;

  /// What one element's inputs are in memory.
  struct Inputs {
    FirstStored x;
    Stored y, z;
  };

  struct InputVectors {
    WordsOf<FirstStored, kVectorElems> x;
    WordsOf<Stored, kVectorElems> y, z;
  };
  using OutputVector = WordsOf<OutputStored, kVectorElems>;

  Value s0, s1;

  explicit ElementwiseKernel(const ElementwiseParams& params)
      : s0(scalar_value<Value>(params.scalars[0])), s1(scalar_value<Value>(params.scalars[1])) {}

  /// As OutputKind::store takes it.
  auto value(FirstStored x, Stored y, Stored z) const {
    if constexpr (kConfig.op == ElementwiseOp::Cast) {
      return cast_value<OutputKind>(Kind::load(x));
    } else {
      return apply_row<kConfig.op, Kind::kIsNarrow>(FirstKind::load(x), Kind::load(y), Kind::load(z), s0, s1);
    }
  }
  OutputStored compute(FirstStored x, Stored y, Stored z) const { return OutputKind::store(value(x, y, z)); }

  OutputVector compute(const InputVectors& inputs) const {
    const auto x = __builtin_bit_cast(Vector<FirstStored, kVectorElems>, inputs.x);
    const auto y = __builtin_bit_cast(Vector<Stored, kVectorElems>, inputs.y);
    const auto z = __builtin_bit_cast(Vector<Stored, kVectorElems>, inputs.z);
    constexpr bool kIsHalf = kConfig.output == Element::F16 || kConfig.output == Element::Bf16;
    using Result = decltype(value(x.values[0], y.values[0], z.values[0]));
    if constexpr (kIsHalf && OutputKind::kIsNarrow && kVectorElems % 2 == 0 && sizeof(Result) == sizeof(float)) {
      OutputVector words;  // one instruction converts two
#pragma unroll
      for (int i = 0; i < kVectorElems; i += 2) {
        const float low = value(x.values[i], y.values[i], z.values[i]);
        const float high = value(x.values[i + 1], y.values[i + 1], z.values[i + 1]);
        words.values[i / 2] = kConfig.output == Element::F16 ? f16x2_of_f32(low, high) : bf16x2_of_f32(low, high);
      }
      return words;
    } else {
      Vector<OutputStored, kVectorElems> results;
#pragma unroll
      for (int i = 0; i < kVectorElems; ++i) results.values[i] = compute(x.values[i], y.values[i], z.values[i]);
      return __builtin_bit_cast(OutputVector, results);
    }
  }
};

/// One input's part of a row: from `data` on, dense or one element again and again.
struct ElementwiseInputRow {
  const char* data;
  bool constant;
};

template <class T, int kElems>
inline WordsOf<T, kElems> load_vector(const ElementwiseInputRow& row, long long begin) {
  const T* data = reinterpret_cast<const T*>(row.data);
  if (!row.constant) return *reinterpret_cast<const WordsOf<T, kElems>*>(data + begin);
  Vector<T, kElems> vector;
  const T value = *data;
#pragma unroll
  for (int i = 0; i < kElems; ++i) vector.values[i] = value;
  return __builtin_bit_cast(WordsOf<T, kElems>, vector);
}

template <class T>
inline T load_element(const ElementwiseInputRow& row, long long at) {
  return reinterpret_cast<const T*>(row.data)[row.constant ? 0 : at];
}

/// Vectors `first`, `first + step`, … of a row of `row_elems`, kUnroll of them, counted from the last multiple of a
/// vector's size at or before the output's begin: every vector of the output is aligned, and the first and the last may
/// be partial. A partial one, and all where an input lies otherwise, go element by element, neighbouring threads from
/// the same lines.
template <ElementwiseConfig kConfig>
inline void elementwise_row(const ElementwiseKernel<kConfig>& kernel, char* output,
                            const ElementwiseInputRow (&rows)[3], long long row_elems, long long first,
                            long long step) {
  using Kernel = ElementwiseKernel<kConfig>;
  using Stored = typename Kernel::Stored;
  using FirstStored = typename Kernel::FirstStored;
  using OutputStored = typename Kernel::OutputStored;
  constexpr int kElems = Kernel::kVectorElems;
  constexpr int kUnroll = Kernel::kUnroll;
  auto* out = reinterpret_cast<OutputStored*>(output);
  const int head = static_cast<int>(reinterpret_cast<unsigned long long>(output) / sizeof(OutputStored) % kElems);
  const long long begin = first * kElems - head, stride = step * kElems;
  bool aligned = true;
#pragma unroll
  for (int k = 0; k < Kernel::kNumInputs; ++k) {
    const unsigned long long bytes = k == 0 ? sizeof(FirstStored) : sizeof(Stored);
    const unsigned long long origin = reinterpret_cast<unsigned long long>(rows[k].data) - head * bytes;
    aligned &= rows[k].constant || origin % (bytes * kElems) == 0;
  }
  const auto load = [&](long long at) {
    typename Kernel::InputVectors inputs;
    inputs.x = load_vector<FirstStored, kElems>(rows[0], at);
    if constexpr (Kernel::kNumInputs > 1) inputs.y = load_vector<Stored, kElems>(rows[1], at);
    if constexpr (Kernel::kNumInputs > 2) inputs.z = load_vector<Stored, kElems>(rows[2], at);
    return inputs;
  };
  const auto store = [&](const typename Kernel::InputVectors& inputs, long long at) {
    *reinterpret_cast<typename Kernel::OutputVector*>(out + at) = kernel.compute(inputs);
  };

  if (aligned && begin >= 0 && begin + (kUnroll - 1) * stride + kElems <= row_elems) {
    typename Kernel::InputVectors inputs[kUnroll];
#pragma unroll
    for (int i = 0; i < kUnroll; ++i) inputs[i] = load(begin + i * stride);
#pragma unroll
    for (int i = 0; i < kUnroll; ++i) store(inputs[i], begin + i * stride);
    return;
  }
#pragma unroll 1
  for (int i = 0; i < kUnroll; ++i) {
    const long long from = begin + i * stride, to = from + kElems < row_elems ? from + kElems : row_elems;
    if (aligned && from >= 0 && to - from == kElems) {
      store(load(from), from);
      continue;
    }
#pragma unroll 1
    for (long long at = from < 0 ? 0 : from; at < to; ++at) {
      typename Kernel::Inputs input{};
      input.x = load_element<FirstStored>(rows[0], at);
      if constexpr (Kernel::kNumInputs > 1) input.y = load_element<Stored>(rows[1], at);
      if constexpr (Kernel::kNumInputs > 2) input.z = load_element<Stored>(rows[2], at);
      out[at] = kernel.compute(input.x, input.y, input.z);
    }
  }
}

template <ElementwiseConfig kConfig>
inline void elementwise_rows(const ElementwiseParams& params) {
  using Kernel = ElementwiseKernel<kConfig>;
  // One row alone is counted in 64 bits, since nothing is divided.
  constexpr bool kOneRow = kConfig.variant == ElementwiseVariant::Contiguous;
  using Index = typename FlatIndex<kOneRow || kConfig.wide_index>::type;
  const Kernel kernel(params);
  const unsigned lanes = 1u << params.lanes_log2;
  const unsigned lane_idx = threadIdx.x & (lanes - 1);
  const Index chunks_per_block = kConfig.num_threads() >> params.lanes_log2;
  for (Index item = blockIdx.x * chunks_per_block + (threadIdx.x >> params.lanes_log2);
       item < static_cast<Index>(params.num_items); item += gridDim.x * chunks_per_block) {
    char* output = params.output;
    ElementwiseInputRow rows[3];
#pragma unroll
    for (int k = 0; k < Kernel::kNumInputs; ++k) rows[k] = {params.inputs[k], params.axes[0].input_strides[k] == 0};
    long long chunk;
    if constexpr (kOneRow) {
      chunk = static_cast<long long>(item);
    } else {
      Index row = item;
      chunk = split_index<kConfig.wide_index>(row, params.chunks_per_row, params.chunk_divisor);
#pragma unroll
      for (int axis = 1; axis < 8; ++axis) {
        if (axis == params.num_axes) break;
        const long long index = split_index<kConfig.wide_index>(row, params.axes[axis].extent, params.divisors[axis]);
        output += index * params.axes[axis].output_stride;
#pragma unroll
        for (int k = 0; k < Kernel::kNumInputs; ++k) rows[k].data += index * params.axes[axis].input_strides[k];
      }
    }
    elementwise_row<kConfig>(kernel, output, rows, params.axes[0].extent,
                             chunk * (kConfig.unroll() << params.lanes_log2) + lane_idx, lanes);
  }
}

/// Strided: a thread takes unroll() elements, a block's width apart.
template <ElementwiseConfig kConfig>
inline void elementwise_strided(const ElementwiseParams& params) {
  using Kernel = ElementwiseKernel<kConfig>;
  using Stored = typename Kernel::Stored;
  using FirstStored = typename Kernel::FirstStored;
  using OutputStored = typename Kernel::OutputStored;
  using Index = typename FlatIndex<kConfig.wide_index>::type;
  constexpr Index kBlockElems = kConfig.num_threads() * kConfig.unroll();
  const Kernel kernel(params);
  const Index num_elems = static_cast<Index>(params.num_items);
  for (Index first = blockIdx.x * kBlockElems; first < num_elems; first += gridDim.x * kBlockElems) {
    typename Kernel::Inputs inputs[kConfig.unroll()];
    char* outputs[kConfig.unroll()];
#pragma unroll
    for (int i = 0; i < kConfig.unroll(); ++i) {
      Index n = first + i * kConfig.num_threads() + threadIdx.x;
      outputs[i] = nullptr;
      if (n >= num_elems) continue;
      outputs[i] = params.output;
      const char* data[3] = {params.inputs[0], params.inputs[1], params.inputs[2]};
#pragma unroll
      for (int axis = 0; axis < 8; ++axis) {
        if (axis == params.num_axes) break;
        const long long index = split_index<kConfig.wide_index>(n, params.axes[axis].extent, params.divisors[axis]);
        outputs[i] += index * params.axes[axis].output_stride;
#pragma unroll
        for (int k = 0; k < Kernel::kNumInputs; ++k) data[k] += index * params.axes[axis].input_strides[k];
      }
      inputs[i].x = *reinterpret_cast<const FirstStored*>(data[0]);
      if constexpr (Kernel::kNumInputs > 1) inputs[i].y = *reinterpret_cast<const Stored*>(data[1]);
      if constexpr (Kernel::kNumInputs > 2) inputs[i].z = *reinterpret_cast<const Stored*>(data[2]);
    }
#pragma unroll
    for (int i = 0; i < kConfig.unroll(); ++i)
      if (outputs[i])
        *reinterpret_cast<OutputStored*>(outputs[i]) = kernel.compute(inputs[i].x, inputs[i].y, inputs[i].z);
  }
}

template <ElementwiseConfig kConfig>
inline void elementwise_kernel(const ElementwiseParams& params) {
  static_assert(traits_of(kConfig.op).elements.contains(kConfig.element), "the row does not list this element");
  if constexpr (kConfig.variant == ElementwiseVariant::Strided)
    elementwise_strided<kConfig>(params);
  else
    elementwise_rows<kConfig>(params);
}

}  // namespace baracuda

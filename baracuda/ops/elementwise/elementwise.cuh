#pragma once

#include "baracuda/device/schedule/flat_index.cuh"
#include "baracuda/ops/elementwise/elementwise_compute.cuh"
#include "baracuda/ops/elementwise/elementwise_config.h"

// Every thread reads what it needs of an element before it writes there, and no other thread touches it: so an input
// that is the output itself is safe.

namespace baracuda {

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
  using FirstKind = KindOf<kHasCondition ? Element::Bool : kConfig.element>;
  using FirstStored = typename FirstKind::Stored;

  /// What one element's inputs are in memory.
  struct Inputs {
    FirstStored x;
    Stored y, z;
  };

  template <class T>
  struct alignas(sizeof(T) * kVectorElems) Vector {
    T values[kVectorElems];
  };
  struct InputVectors {
    Vector<FirstStored> x;
    Vector<Stored> y, z;
  };

  Value s0, s1;

  explicit ElementwiseKernel(const ElementwiseParams& params)
      : s0(scalar_value<Value>(params.scalars[0])), s1(scalar_value<Value>(params.scalars[1])) {}

  OutputStored compute(FirstStored x, Stored y, Stored z) const {
    if constexpr (kConfig.op == ElementwiseOp::Cast) {
      return OutputKind::store(cast_value<OutputKind>(Kind::load(x)));
    } else {
      return OutputKind::store(apply_row<kConfig.op>(FirstKind::load(x), Kind::load(y), Kind::load(z), s0, s1));
    }
  }
};

/// One input's part of a row: from `data` on, `stride` is the size of an element, or 0.
struct ElementwiseInputRow {
  const char* data;
  bool constant;
  bool aligned;  ///< its vectors start on multiples of their size
};

template <class T, class Vector>
inline void load_vector(const ElementwiseInputRow& row, long long begin, Vector* vector) {
  constexpr int kElems = sizeof(Vector) / sizeof(T);
  const T* data = reinterpret_cast<const T*>(row.data);
  if (row.constant) {
    const T value = *data;
#pragma unroll
    for (int i = 0; i < kElems; ++i) vector->values[i] = value;
  } else if (row.aligned) {
    *vector = *reinterpret_cast<const Vector*>(data + begin);
  } else {
#pragma unroll
    for (int i = 0; i < kElems; ++i) vector->values[i] = data[begin + i];
  }
}

template <class T>
inline T load_element(const ElementwiseInputRow& row, long long at) {
  return reinterpret_cast<const T*>(row.data)[row.constant ? 0 : at];
}

/// Vectors `first`, `first + step`, … of a row of `row_elems`, kUnroll of them, counted from the last multiple of a
/// vector's size at or before the output's begin: every vector of the output is aligned, and the first and the last may
/// be partial. An input that lies otherwise is read element by element, neighbouring threads from the same lines.
template <ElementwiseConfig kConfig>
inline void elementwise_row(const ElementwiseKernel<kConfig>& kernel, char* output, ElementwiseInputRow (&rows)[3],
                            long long row_elems, long long first, long long step) {
  using Kernel = ElementwiseKernel<kConfig>;
  using Stored = typename Kernel::Stored;
  using FirstStored = typename Kernel::FirstStored;
  using OutputStored = typename Kernel::OutputStored;
  constexpr int kElems = Kernel::kVectorElems;
  auto* out = reinterpret_cast<OutputStored*>(output);
  const int head = static_cast<int>(reinterpret_cast<unsigned long long>(output) / sizeof(OutputStored) % kElems);
#pragma unroll
  for (int k = 0; k < Kernel::kNumInputs; ++k) {
    const unsigned long long bytes = k == 0 ? sizeof(FirstStored) : sizeof(Stored);
    const unsigned long long origin = reinterpret_cast<unsigned long long>(rows[k].data) - head * bytes;
    rows[k].aligned = origin % (bytes * kElems) == 0;
  }

  typename Kernel::InputVectors inputs[Kernel::kUnroll];
  bool whole[Kernel::kUnroll];
#pragma unroll
  for (int i = 0; i < Kernel::kUnroll; ++i) {
    const long long begin = (first + i * step) * kElems - head;
    whole[i] = begin >= 0 && begin + kElems <= row_elems;
    if (!whole[i]) continue;
    load_vector<FirstStored>(rows[0], begin, &inputs[i].x);
    if constexpr (Kernel::kNumInputs > 1) load_vector<Stored>(rows[1], begin, &inputs[i].y);
    if constexpr (Kernel::kNumInputs > 2) load_vector<Stored>(rows[2], begin, &inputs[i].z);
  }
#pragma unroll
  for (int i = 0; i < Kernel::kUnroll; ++i) {
    const long long begin = (first + i * step) * kElems - head;
    if (whole[i]) {
      typename Kernel::template Vector<OutputStored> results;
#pragma unroll
      for (int j = 0; j < kElems; ++j)
        results.values[j] = kernel.compute(inputs[i].x.values[j], inputs[i].y.values[j], inputs[i].z.values[j]);
      *reinterpret_cast<decltype(results)*>(out + begin) = results;
      continue;
    }
    const long long from = begin < 0 ? 0 : begin;
    const long long to = begin + kElems < row_elems ? begin + kElems : row_elems;
#pragma unroll 1
    for (long long at = from; at < to; ++at) {
      typename Kernel::Inputs input{};
      input.x = load_element<FirstStored>(rows[0], at);
      if constexpr (Kernel::kNumInputs > 1) input.y = load_element<Stored>(rows[1], at);
      if constexpr (Kernel::kNumInputs > 2) input.z = load_element<Stored>(rows[2], at);
      out[at] = kernel.compute(input.x, input.y, input.z);
    }
  }
}

/// Rows, and Contiguous, which is one row: `1 << lanes_log2` neighbouring threads share a chunk of one.
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
    for (int k = 0; k < Kernel::kNumInputs; ++k)
      rows[k] = {params.inputs[k], params.axes[0].input_strides[k] == 0, false};
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
  static_assert(traits_of(kConfig.op).elements.contains(kConfig.element),
                "the row does not list this element");
  if constexpr (kConfig.variant == ElementwiseVariant::Strided)
    elementwise_strided<kConfig>(params);
  else
    elementwise_rows<kConfig>(params);
}

}  // namespace baracuda

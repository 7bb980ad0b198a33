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

/// What a vector's elements are computed with.
template <class Kind, int kElems>
inline Vector<typename Kind::Value, kElems> values_of(const WordsOf<typename Kind::Stored, kElems>& words) {
  Vector<typename Kind::Value, kElems> values;
  if constexpr (__is_base_of(KindOf<Element::Bf16>, Kind) && kElems % 2 == 0) {
#pragma unroll
    for (int i = 0; i < kElems; ++i)  // in one instruction each
      values.values[i] = __uint_as_float(i % 2 == 0 ? words.values[i / 2] << 16 : words.values[i / 2] & 0xffff0000u);
  } else {
    const auto stored = __builtin_bit_cast(Vector<typename Kind::Stored, kElems>, words);
#pragma unroll
    for (int i = 0; i < kElems; ++i) values.values[i] = Kind::load(stored.values[i]);
  }
  return values;
}

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
  auto value(typename FirstKind::Value x, Value y, Value z) const {
    if constexpr (kConfig.op == ElementwiseOp::Cast)
      return cast_value<OutputKind>(x);
    else
      return apply_row<kConfig.op, Kind::kIsNarrow>(x, y, z, s0, s1);
  }
  OutputStored compute(const Inputs& inputs) const {
    return OutputKind::store(value(FirstKind::load(inputs.x), Kind::load(inputs.y), Kind::load(inputs.z)));
  }

  OutputVector compute(const InputVectors& inputs) const {
    const auto x = values_of<FirstKind, kVectorElems>(inputs.x);
    const auto y = values_of<Kind, kVectorElems>(inputs.y);
    const auto z = values_of<Kind, kVectorElems>(inputs.z);
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
      for (int i = 0; i < kVectorElems; ++i)
        results.values[i] = OutputKind::store(value(x.values[i], y.values[i], z.values[i]));
      return __builtin_bit_cast(OutputVector, results);
    }
  }
};

/// One input's part of a row: from `data` on, dense or one element again and again.
struct ElementwiseInputRow {
  const char* data;
  bool constant;

  template <class T>
  T element(long long at) const {
    return reinterpret_cast<const T*>(data)[constant ? 0 : at];
  }
  /// `data` may lie so that the vector at `at` is read at once.
  template <class T, int kElems>
  void load_vector(long long at, WordsOf<T, kElems>* vector) const {
    *vector = *reinterpret_cast<const WordsOf<T, kElems>*>(reinterpret_cast<const T*>(data) + at);
  }
  template <class T, int kElems>
  void fill_vector(WordsOf<T, kElems>* vector) const {
    Vector<T, kElems> elements;
    const T value = element<T>(0);
#pragma unroll
    for (int i = 0; i < kElems; ++i) elements.values[i] = value;
    *vector = __builtin_bit_cast(WordsOf<T, kElems>, elements);
  }
};

/// A row of an operator's inputs.
template <ElementwiseConfig kConfig>
struct ElementwiseInputRows {
  using Kernel = ElementwiseKernel<kConfig>;
  using FirstStored = typename Kernel::FirstStored;
  using Stored = typename Kernel::Stored;
  static constexpr int kNumInputs = Kernel::kNumInputs, kElems = Kernel::kVectorElems;

  ElementwiseInputRow rows[3];

  /// Whether what is dense lies so that vectors are read at once, counted from `head` elements before the row on.
  bool aligned(int head) const {
    bool result = true;
#pragma unroll
    for (int k = 0; k < kNumInputs; ++k) {
      const unsigned long long bytes = k == 0 ? sizeof(FirstStored) : sizeof(Stored);
      const unsigned long long origin = reinterpret_cast<unsigned long long>(rows[k].data) - head * bytes;
      result &= rows[k].constant || origin % (bytes * kElems) == 0;
    }
    return result;
  }
  bool all_constant() const {
    bool result = true;
#pragma unroll
    for (int k = 0; k < kNumInputs; ++k) result &= rows[k].constant;
    return result;
  }

  /// What of the vectors is the same all along the row.
  typename Kernel::InputVectors constants() const {
    typename Kernel::InputVectors inputs;
    if (rows[0].constant) rows[0].template fill_vector<FirstStored, kElems>(&inputs.x);
    if (kNumInputs > 1 && rows[1].constant) rows[1].template fill_vector<Stored, kElems>(&inputs.y);
    if (kNumInputs > 2 && rows[2].constant) rows[2].template fill_vector<Stored, kElems>(&inputs.z);
    return inputs;
  }
  /// The rest of them. Not all are constant.
  void load(long long at, typename Kernel::InputVectors* inputs) const {
    if (kNumInputs == 1 || !rows[0].constant) rows[0].template load_vector<FirstStored, kElems>(at, &inputs->x);
    if (kNumInputs > 1 && !rows[1].constant) rows[1].template load_vector<Stored, kElems>(at, &inputs->y);
    if (kNumInputs > 2 && !rows[2].constant) rows[2].template load_vector<Stored, kElems>(at, &inputs->z);
  }
  typename Kernel::Inputs elements(long long at) const {
    typename Kernel::Inputs inputs{};
    inputs.x = rows[0].template element<FirstStored>(at);
    if constexpr (kNumInputs > 1) inputs.y = rows[1].template element<Stored>(at);
    if constexpr (kNumInputs > 2) inputs.z = rows[2].template element<Stored>(at);
    return inputs;
  }
};

/// `count` vectors of a row of `row_elems`, from number `first` on, `step` apart. They are counted from the last
/// multiple of a vector's size at or before the output's begin: every vector of the output is aligned, and the first
/// and the last may be partial. A partial one, and all where an input lies otherwise, go element by element,
/// neighbouring threads from the same lines.
template <ElementwiseConfig kConfig>
inline void elementwise_row(const ElementwiseKernel<kConfig>& kernel, char* output,
                            const ElementwiseInputRows<kConfig>& rows, long long row_elems, long long first, int step,
                            int count) {
  using Kernel = ElementwiseKernel<kConfig>;
  using OutputStored = typename Kernel::OutputStored;
  using InputVectors = typename Kernel::InputVectors;
  constexpr int kElems = Kernel::kVectorElems;
  constexpr int kUnroll = Kernel::kUnroll;
  auto* out = reinterpret_cast<OutputStored*>(output);
  const int head = static_cast<int>(reinterpret_cast<unsigned long long>(output) / sizeof(OutputStored) % kElems);
  const bool aligned = rows.aligned(head);
  const int stride = step * kElems;
  long long at = first * kElems - head;
  const auto store = [&](const InputVectors& inputs, long long to) {
    *reinterpret_cast<typename Kernel::OutputVector*>(out + to) = kernel.compute(inputs);
  };

  // Groups of kUnroll whole vectors; each is read while the one before it is computed.
  const long long group_stride = static_cast<long long>(kUnroll) * stride;
  const long long last_group = row_elems - (group_stride - stride) - kElems;
  if (aligned && at >= 0 && at <= last_group && !rows.all_constant()) {
    struct Group {
      InputVectors inputs[kUnroll];
    };
    const InputVectors constants = rows.constants();
    const auto load_group = [&](long long from) {
      Group group;
#pragma unroll
      for (int i = 0; i < kUnroll; ++i) {
        group.inputs[i] = constants;
        rows.load(from + i * stride, &group.inputs[i]);
      }
      return group;
    };
    Group group = load_group(at);
    bool more = true;
#pragma unroll 1
    while (more) {
      count -= kUnroll;
      more = count > 0 && at + group_stride <= last_group;
      // The last group is read twice: behind a branch the compiler would read after the computation.
      const Group next = load_group(more ? at + group_stride : at);
#pragma unroll
      for (int i = 0; i < kUnroll; ++i) store(group.inputs[i], at + i * stride);
      at += group_stride;
      group = next;
    }
  }
#pragma unroll 1
  for (; count > 0 && at < row_elems; --count, at += stride) {
    if (aligned && at >= 0 && at + kElems <= row_elems) {
      InputVectors inputs = rows.constants();
      if (!rows.all_constant()) rows.load(at, &inputs);
      store(inputs, at);
      continue;
    }
    const long long end = at + kElems < row_elems ? at + kElems : row_elems;
#pragma unroll 1
    for (long long i = at < 0 ? 0 : at; i < end; ++i) out[i] = kernel.compute(rows.elements(i));
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
    ElementwiseInputRows<kConfig> inputs;
#pragma unroll
    for (int k = 0; k < Kernel::kNumInputs; ++k)
      inputs.rows[k] = {params.inputs[k], params.axes[0].input_strides[k] == 0};
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
        for (int k = 0; k < Kernel::kNumInputs; ++k) inputs.rows[k].data += index * params.axes[axis].input_strides[k];
      }
    }
    const int count = kConfig.unroll() * (kConfig.max_groups() == 1 ? 1 : params.num_groups);
    const long long first = chunk * (static_cast<long long>(count) << params.lanes_log2) + lane_idx;
    elementwise_row<kConfig>(kernel, output, inputs, params.axes[0].extent, first, static_cast<int>(lanes), count);
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
      if (outputs[i]) *reinterpret_cast<OutputStored*>(outputs[i]) = kernel.compute(inputs[i]);
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

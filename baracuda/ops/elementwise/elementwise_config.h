#pragma once

// For host and NVRTC: no standard headers.

#include "baracuda/core/fast_divmod.h"
#include "baracuda/ops/elementwise/elementwise_op.h"

namespace baracuda {

enum class ElementwiseVariant : unsigned char { Contiguous, Rows, Strided };

/// What a kernel is compiled for.
struct ElementwiseConfig {
  ElementwiseOp op;
  Element element;  ///< of the inputs; of the second and third, where the first is a condition
  Element output;
  ElementwiseVariant variant;
  bool wide_index;  ///< more than 2^31 − 1 elements; Contiguous: false, its kernel counts in 64 bits

  static constexpr int num_threads() { return 256; }
  /// A formula of many instructions, whose every copy costs registers and time to compile.
  constexpr bool is_long() const { return traits_of(op).ulps != 0; }
  /// Independent vectors, or elements, that one thread takes at a time.
  constexpr int unroll() const {
    if (variant == ElementwiseVariant::Strided) return 4;
    const int wanted = (is_long() ? 8 : 32) / vector_elems();
    return wanted > 4 ? 4 : wanted < 1 ? 1 : wanted;
  }
  /// How often it does so before it is done, at most.
  constexpr int max_groups() const { return is_long() && variant != ElementwiseVariant::Strided ? 8 : 1; }
  /// Blocks that a multiprocessor shall hold at least, for the compiler, which gives each the registers that leaves.
  /// Long formulas: asked for fewer it mixes those of all of a thread's elements, and too few threads are left to have
  /// reads under way. Else, and where four would not do without spilling, 1: nothing said, it spills for the sake of
  /// one block more.
  constexpr int min_blocks() const {
    return is_long() && traits_of(op).num_inputs == 1 && element != Element::F64 ? 4 : 1;
  }
  /// Elements that one 16-byte access of the widest operand holds.
  constexpr int vector_elems() const {
    const int input_bytes = element_bytes(element), output_bytes = element_bytes(output);
    return 16 / (input_bytes > output_bytes ? input_bytes : output_bytes);
  }
};

/// One axis after collapsing. Strides in bytes.
struct ElementwiseAxis {
  long long extent;
  long long output_stride;
  long long input_strides[3];
};

/// The index space in as few axes as describe it, innermost first. The output's strides are positive and ascend.
struct ElementwiseParams {
  char* output;           ///< where all axes are at their base corner
  const char* inputs[3];  ///< likewise

  /// Contiguous and Rows: axis 0 is dense in the output and dense or constant in each input. Contiguous has no other.
  int num_axes;
  ElementwiseAxis axes[8];
  FastDivisor divisors[8];  ///< of the extents; Strided and Rows without wide_index

  long long num_items;       ///< Strided: elements; else vectors of threads: rows · chunks_per_row
  int num_groups;            ///< Rows, Contiguous: times a thread takes unroll() vectors
  long long chunks_per_row;  ///< Rows, Contiguous: pieces of num_groups · unroll() · lanes vectors
  FastDivisor chunk_divisor;
  int lanes_log2;  ///< Rows, Contiguous: threads that share a chunk

  unsigned long long scalars[2];  ///< the bits of values of the type that is computed in
};

/// The value whose bits are the low ones of a scalar of the params.
template <class V>
inline V scalar_value(unsigned long long bits) {
  if constexpr (sizeof(V) == 8)
    return __builtin_bit_cast(V, bits);
  else if constexpr (sizeof(V) == 4)
    return __builtin_bit_cast(V, static_cast<unsigned>(bits));
  else if constexpr (sizeof(V) == 2)
    return __builtin_bit_cast(V, static_cast<unsigned short>(bits));
  else
    return __builtin_bit_cast(V, static_cast<unsigned char>(bits));
}

}  // namespace baracuda

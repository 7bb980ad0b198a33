#pragma once

// For host and NVRTC: no standard headers.

#include "baracuda/core/element.h"
#include "baracuda/core/fast_divmod.h"

namespace baracuda {

enum class QuantizeOp : unsigned char { Quantize, Dequantize, FakeQuantize, FakeQuantizeBackward };

/// Contiguous: a scale per vector. Columns: the last axis is that of the scales. Generic: elements one by one.
enum class QuantizeVariant : unsigned char { Contiguous, Columns, Generic };

/// What a kernel is compiled for. Entries say __launch_bounds__(num_threads(), 1): without the 1 the compiler spills
/// registers for the sake of one block more on a multiprocessor.
struct QuantizeConfig {
  QuantizeOp op;
  Element element;  ///< x's
  int q_bits;       ///< 8 or 4; 8 for the fake ops, which store no q. Its sign is in the params
  QuantizeVariant variant;
  bool wide_index;  ///< more than 2^31 − 1 elements; Columns: false, its kernel counts in 64 bits

  static constexpr int num_threads() { return 256; }
  /// Independent vectors of one input, or elements, that one thread takes at a time. Columns loads as many in advance.
  constexpr int unroll() const {
    return variant == QuantizeVariant::Columns && op == QuantizeOp::FakeQuantizeBackward ? 2 : 4;
  }
  /// Columns: rows that a thread prepares its scales for.
  static constexpr int rows_per_thread() { return 16; }
  /// Elements of x in a 16-byte vector.
  constexpr int vector_elems() const { return 16 / element_bytes(element); }
  /// Bytes of as many elements of q.
  constexpr int q_vector_bytes() const { return vector_elems() * q_bits / 8; }
};

/// The operands of an index space, in the order of an axis's strides. Strides are in bytes, in nibbles where the
/// operand is packed; those of the scales are indices.
inline constexpr int kQuantizeOutput = 0;
inline constexpr int kQuantizeInput = 1;
inline constexpr int kQuantizeScale = 2;
inline constexpr int kQuantizeGradient = 3;
inline constexpr int kQuantizeOperands = 4;

/// Groups split the last axis, so there may be nine.
inline constexpr int kMaxQuantizeAxes = 9;

/// One axis of the index space.
struct QuantizeAxis {
  long long extent;
  long long strides[kQuantizeOperands];
};

struct QuantizeParams {
  char* output;                           ///< base corner; where packed, the view's pointer
  const char* input;                      ///< likewise; x, or the q of Dequantize
  const char* gradient;                   ///< base corner of dy
  long long output_nibble, input_nibble;  ///< where packed: base corner, counted from the pointer
  const void* scale;                      ///< f32, f64 for f64
  const void* zero_point;                 ///< may be null
  Element zero_point_element;
  int q_min, q_max;
  unsigned q_sign;  ///< the bit that is q's sign, 0 where q is unsigned

  /// Collapsed (plan/collapse_axes.h), innermost first: the output's strides are positive, ascend, and each steps over
  /// what is inside.
  int num_axes;  ///< at least 1
  QuantizeAxis axes[kMaxQuantizeAxes];

  long long num_elems;

  // The GPU's. Divisors hold without wide_index.
  FastDivisor divisors[kMaxQuantizeAxes];  ///< Generic: of the extents
  long long num_scales;                    ///< Contiguous, Columns
  long long vectors_per_scale;             ///< Contiguous
  long long num_rows;                      ///< Columns
  FastDivisor vectors_per_scale_divisor, num_scales_divisor;
};

constexpr int zero_point_at(const QuantizeParams& params, long long i) {
  if (!params.zero_point) return 0;
  switch (params.zero_point_element) {
    case Element::I8: return static_cast<const signed char*>(params.zero_point)[i];
    case Element::U8: return static_cast<const unsigned char*>(params.zero_point)[i];
    default: return static_cast<const int*>(params.zero_point)[i];
  }
}

/// The integer that q's bits, the low 8 or 4, stand for.
constexpr int q_of_bits(unsigned bits, unsigned sign) { return static_cast<int>(bits ^ sign) - static_cast<int>(sign); }

// One element at a time: the definition, on both devices. F is float, or double for f64.

/// Past this a zero point needs more than f32 arithmetic: up to it, q − zero_point + 2^23 is exact for all 8-bit q.
inline constexpr int kMaxZeroPointInF32 = (1 << 22) - 512;

inline double round_to_even(double value) {
#ifdef __CUDACC__
  return rint(value);
#else
  return __builtin_rint(value);
#endif
}

/// round_half_even(quotient) + zero_point. A quotient of less than 2^52 gives the exact sum; that of a greater one is
/// so far from any range that its rounding does not matter.
inline double shifted_quotient(double quotient, int zero_point) { return round_to_even(quotient) + zero_point; }

template <class F>
inline int quantize_value(F x, F scale, int zero_point, int q_min, int q_max) {
  const F quotient = x / scale;
  const bool defined =
      quotient == quotient && scale > 0 && scale <= (sizeof(F) == 4 ? F(0x1.fffffep127) : F(0x1.fffffffffffffp1023));
  const double shifted = shifted_quotient(defined ? quotient : F(0), zero_point);
  return shifted <= q_min ? q_min : shifted >= q_max ? q_max : static_cast<int>(shifted);
}

template <class F>
inline F dequantize_value(int q, F scale, int zero_point) {
  return static_cast<F>(static_cast<long long>(q) - zero_point) * scale;
}

/// Whether x was not clamped.
template <class F>
inline bool in_range(F x, F scale, int zero_point, int q_min, int q_max) {
  const double shifted = shifted_quotient(x / scale, zero_point);
  return shifted >= q_min && shifted <= q_max;
}

/// Nibble `at` from `data`, 0 … 15; negative positions lie before the pointer.
constexpr unsigned load_nibble(const char* data, long long at) {
  return (static_cast<unsigned char>(data[at >> 1]) >> (4 * (at & 1))) & 0xf;
}

/// The offsets of the index where the output has offset `at`; false where none has. The output's strides make the
/// digits of `at` unique, and they are found greedily.
constexpr bool find_offsets(const QuantizeParams& params, long long at, long long (&offsets)[kQuantizeOperands]) {
  if (at < 0) return false;
  for (long long& offset : offsets) offset = 0;
  offsets[kQuantizeOutput] = at;
  for (int k = params.num_axes - 1; k >= 0; --k) {
    const QuantizeAxis& axis = params.axes[k];
    const long long digit = at / axis.strides[kQuantizeOutput];
    if (digit >= axis.extent) return false;
    at -= digit * axis.strides[kQuantizeOutput];
    for (int i = 1; i < kQuantizeOperands; ++i) offsets[i] += digit * axis.strides[i];
  }
  return at == 0;
}

/// Writes the byte of q that holds the element at `offsets`, unless that byte is a neighbour's to write. Two elements
/// can share a byte, also across rows; the one at the even position owns it then, so that no byte has two writers. A
/// half that q does not cover is kept. `value_at(offsets)` computes an element.
template <class ValueAt>
inline void store_nibble(const QuantizeParams& params, const long long (&offsets)[kQuantizeOperands],
                         const ValueAt& value_at) {
  const long long at = offsets[kQuantizeOutput];
  const long long address = params.output_nibble + at;
  const bool odd = address & 1;
  long long neighbour[kQuantizeOperands];
  const bool shared = find_offsets(params, odd ? at - 1 : at + 1, neighbour);
  if (odd && shared) return;
  const unsigned value = static_cast<unsigned>(value_at(offsets)) & 0xf;
  const unsigned other = shared ? static_cast<unsigned>(value_at(neighbour)) & 0xf
                                : load_nibble(params.output, odd ? address - 1 : address + 1);
  params.output[address >> 1] = static_cast<char>(odd ? (value << 4) | other : (other << 4) | value);
}

}  // namespace baracuda

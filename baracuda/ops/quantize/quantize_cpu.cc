#include "baracuda/ops/quantize/quantize_cpu.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "baracuda/cpu/parallel_for.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "baracuda/ops/quantize/quantize_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "baracuda/cpu/convert-inl.h"

HWY_BEFORE_NAMESPACE();
namespace baracuda {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// ---- numbers --------------------------------------------------------------------------------------------------------

struct F16 {
  std::uint16_t bits;
};
struct Bf16 {
  std::uint16_t bits;
};

/// What x is computed in.
template <class T>
struct ComputeTypeOf {
  using type = float;
};
template <>
struct ComputeTypeOf<double> {
  using type = double;
};
template <class T>
using ComputeType = typename ComputeTypeOf<T>::type;

inline float ToCompute(float x) { return x; }
inline double ToCompute(double x) { return x; }
inline float ToCompute(F16 x) { return decode<Element::F16, float>(x.bits); }
inline float ToCompute(Bf16 x) { return decode<Element::Bf16, float>(x.bits); }

template <class T>
T FromCompute(ComputeType<T> value) {
  return value;
}
template <>
inline F16 FromCompute<F16>(float value) {
  return {static_cast<std::uint16_t>(encode<Element::F16>(value))};
}
template <>
inline Bf16 FromCompute<Bf16>(float value) {
  return {static_cast<std::uint16_t>(encode<Element::Bf16>(value))};
}

/// Lanes of x in what it is computed in; D is a tag of that.
template <class D, class T>
hn::Vec<D> LoadX(D d, const T* x) {
  return hn::LoadU(d, x);
}
template <Element kElement>
auto LoadNarrow(const std::uint16_t* x) {
#if HWY_TARGET == HWY_SCALAR
  return hn::Set(hn::ScalableTag<float>(), load_narrow<kElement>(x));
#else
  return load_narrow<kElement>(x).raw;
#endif
}
template <class D>
hn::Vec<D> LoadX(D, const F16* x) {
  return LoadNarrow<Element::F16>(&x->bits);
}
template <class D>
hn::Vec<D> LoadX(D, const Bf16* x) {
  return LoadNarrow<Element::Bf16>(&x->bits);
}

template <class D, class T>
void StoreX(D d, hn::Vec<D> value, T* x) {
  hn::StoreU(value, d, x);
}
template <Element kElement, class V>
void StoreNarrow(V value, std::uint16_t* x) {
#if HWY_TARGET == HWY_SCALAR
  store_narrow<kElement>(hn::GetLane(value), x);
#else
  store_narrow<kElement>(Vec<float>(value), x);
#endif
}
template <class D>
void StoreX(D, hn::Vec<D> value, F16* x) {
  StoreNarrow<Element::F16>(value, &x->bits);
}
template <class D>
void StoreX(D, hn::Vec<D> value, Bf16* x) {
  StoreNarrow<Element::Bf16>(value, &x->bits);
}

/// dy where the mask holds, 0 elsewhere: moved, whatever its bits are.
template <class D, class T>
void StoreMasked(D d, hn::Mask<D> mask, const T* dy, T* dx) {
  if constexpr (sizeof(T) == 2) {
    const hn::Rebind<std::int16_t, D> d16;
    const auto lanes = hn::BitCast(hn::Rebind<std::int32_t, D>(), hn::VecFromMask(d, mask));
    const auto kept = hn::DemoteTo(d16, lanes);  // 0 or −1, which saturate to themselves
    hn::StoreU(hn::And(kept, hn::LoadU(d16, reinterpret_cast<const std::int16_t*>(dy))), d16,
               reinterpret_cast<std::int16_t*>(dx));
  } else {
    hn::StoreU(hn::IfThenElseZero(mask, hn::LoadU(d, dy)), d, dx);
  }
}

template <class D, class VI>
hn::Vec<D> FromInt(D d, VI value) {
  if constexpr (sizeof(hn::TFromD<D>) == 4) {
    return hn::ConvertTo(d, value);
  } else {
    return hn::PromoteTo(d, value);
  }
}

// ---- blocks ---------------------------------------------------------------------------------------------------------

/// The scales of a block of neighbouring elements: one for all, or, kEach, one for each.
template <class F>
struct BlockScales {
  const F* scale;
  const std::int32_t* zero_point;
  bool each;
  bool exact;  ///< q − zero_point is exact in F for all zero points

  F scale_of(std::int64_t i) const { return scale[each ? i : 0]; }
  std::int32_t zero_point_of(std::int64_t i) const { return zero_point[each ? i : 0]; }
};

/// Lanes of scales and zero points, and the range less these. All of it is exact.
template <bool kEach, class D>
struct ScaleLanes {
  using F = hn::TFromD<D>;
  hn::Vec<D> q_min, q_max;
  hn::Vec<D> scale, zero_point, low, high;
  hn::Mask<D> usable;  ///< where the scale is positive and finite

  ScaleLanes(D d, const QuantizeParams& params, const BlockScales<F>& scales)
      : q_min(hn::Set(d, static_cast<F>(params.q_min))), q_max(hn::Set(d, static_cast<F>(params.q_max))) {
    if (!kEach) Set(d, hn::Set(d, *scales.scale), hn::Set(hn::Rebind<std::int32_t, D>(), *scales.zero_point));
  }

  /// Those of the elements from i on.
  void Load(D d, const BlockScales<F>& scales, std::int64_t i) {
    const hn::Rebind<std::int32_t, D> d32;
    if (kEach) Set(d, hn::LoadU(d, scales.scale + i), hn::LoadU(d32, scales.zero_point + i));
  }

  void Set(D d, hn::Vec<D> scales, hn::Vec<hn::Rebind<std::int32_t, D>> zero_points) {
    scale = scales;
    zero_point = FromInt(d, zero_points);
    low = hn::Sub(q_min, zero_point);
    high = hn::Sub(q_max, zero_point);
    usable = hn::And(hn::Gt(scale, hn::Zero(d)), hn::Le(scale, hn::Set(d, std::numeric_limits<F>::max())));
  }

  /// The quotient, clamped as it would be once rounded, since low and high are integers; 0 where it is NaN or the scale
  /// is not usable.
  hn::Vec<D> Quotient(hn::Vec<D> x) const {
    const auto quotient = hn::Div(x, scale);
    const auto defined = hn::And(usable, hn::Eq(quotient, quotient));
    return hn::Min(hn::Max(hn::IfThenElseZero(defined, quotient), low), high);
  }
};

// One function for each op: the elements of a block as far as they fill vectors; returns how far that is.

template <bool kEach, class D, class T>
std::int64_t QuantizeLanes(D d, const QuantizeParams& params, const BlockScales<hn::TFromD<D>>& scales, const T* x,
                           std::uint8_t* q, std::int64_t count) {
  using F = hn::TFromD<D>;
  const hn::RebindToUnsigned<D> d_bits;
  const hn::Rebind<std::uint8_t, D> d8;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  ScaleLanes<kEach, D> lane_scales(d, params, scales);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    lane_scales.Load(d, scales, i);
    // Added, kRounder rounds to even, and leaves the integer in the low bits. A byte of q is the low byte of the sum,
    // signed or not.
    const auto rounded = hn::Add(lane_scales.Quotient(LoadX(d, x + i)), hn::Set(d, kRounder<F>));
    const auto shifted = hn::Add(rounded, lane_scales.zero_point);
    hn::StoreU(hn::TruncateTo(d8, hn::BitCast(d_bits, shifted)), d8, q + i);
  }
  return i;
}

template <bool kEach, class D, class T>
std::int64_t DequantizeLanes(D d, const QuantizeParams& params, const BlockScales<hn::TFromD<D>>& scales,
                             const std::uint8_t* q, T* x, std::int64_t count) {
  const hn::Rebind<std::int32_t, D> d32;
  const hn::Rebind<std::uint8_t, D> d8;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto sign = static_cast<std::uint8_t>(params.q_sign);
  ScaleLanes<kEach, D> lane_scales(d, params, scales);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    lane_scales.Load(d, scales, i);
    const auto bits = hn::Xor(hn::LoadU(d8, q + i), hn::Set(d8, sign));
    const auto integers = hn::Sub(hn::PromoteTo(d32, bits), hn::Set(d32, sign));
    const auto difference = hn::Sub(FromInt(d, integers), lane_scales.zero_point);
    StoreX(d, hn::Mul(difference, lane_scales.scale), x + i);
  }
  return i;
}

template <bool kEach, class D, class T>
std::int64_t FakeQuantizeLanes(D d, const QuantizeParams& params, const BlockScales<hn::TFromD<D>>& scales, const T* x,
                               T* y, std::int64_t count) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  ScaleLanes<kEach, D> lane_scales(d, params, scales);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    lane_scales.Load(d, scales, i);
    // An integer has no −0.
    const auto difference = hn::Add(hn::Round(lane_scales.Quotient(LoadX(d, x + i))), hn::Zero(d));
    StoreX(d, hn::Mul(difference, lane_scales.scale), y + i);
  }
  return i;
}

template <bool kEach, class D, class T>
std::int64_t MaskGradientLanes(D d, const QuantizeParams& params, const BlockScales<hn::TFromD<D>>& scales, const T* x,
                               const T* dy, T* dx, std::int64_t count) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  ScaleLanes<kEach, D> lane_scales(d, params, scales);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    lane_scales.Load(d, scales, i);
    const auto rounded = hn::Round(hn::Div(LoadX(d, x + i), lane_scales.scale));
    const auto inside = hn::And(hn::Ge(rounded, lane_scales.low), hn::Le(rounded, lane_scales.high));
    StoreMasked(d, inside, dy + i, dx + i);
  }
  return i;
}

/// Calls lanes(tag, each), if lanes can do it.
template <class F, class Lanes>
std::int64_t InLanes(const BlockScales<F>& scales, const Lanes& lanes) {
  const hn::ScalableTag<F> d;
  if (!scales.exact) return 0;
  return scales.each ? lanes(d, std::true_type()) : lanes(d, std::false_type());
}

// The four ops on a block: by lanes, and what these leave over by the definition.

template <class T>
void QuantizeBlock(const QuantizeParams& params, const BlockScales<ComputeType<T>>& scales, const T* x, std::uint8_t* q,
                   std::int64_t count) {
  std::int64_t i =
      InLanes(scales, [&](auto d, auto each) { return QuantizeLanes<each.value>(d, params, scales, x, q, count); });
  for (; i < count; ++i)
    q[i] = static_cast<std::uint8_t>(
        quantize_value(ToCompute(x[i]), scales.scale_of(i), scales.zero_point_of(i), params.q_min, params.q_max));
}

template <class T>
void DequantizeBlock(const QuantizeParams& params, const BlockScales<ComputeType<T>>& scales, const std::uint8_t* q,
                     T* x, std::int64_t count) {
  std::int64_t i =
      InLanes(scales, [&](auto d, auto each) { return DequantizeLanes<each.value>(d, params, scales, q, x, count); });
  for (; i < count; ++i)
    x[i] =
        FromCompute<T>(dequantize_value(q_of_bits(q[i], params.q_sign), scales.scale_of(i), scales.zero_point_of(i)));
}

template <class T>
void FakeQuantizeBlock(const QuantizeParams& params, const BlockScales<ComputeType<T>>& scales, const T* x, T* y,
                       std::int64_t count) {
  std::int64_t i =
      InLanes(scales, [&](auto d, auto each) { return FakeQuantizeLanes<each.value>(d, params, scales, x, y, count); });
  for (; i < count; ++i) {
    const ComputeType<T> scale = scales.scale_of(i);
    const int zero_point = scales.zero_point_of(i);
    const int q = quantize_value(ToCompute(x[i]), scale, zero_point, params.q_min, params.q_max);
    y[i] = FromCompute<T>(dequantize_value(q, scale, zero_point));
  }
}

template <class T>
void MaskGradientBlock(const QuantizeParams& params, const BlockScales<ComputeType<T>>& scales, const T* x, const T* dy,
                       T* dx, std::int64_t count) {
  std::int64_t i = InLanes(
      scales, [&](auto d, auto each) { return MaskGradientLanes<each.value>(d, params, scales, x, dy, dx, count); });
  for (; i < count; ++i) {
    const bool inside =
        in_range(ToCompute(x[i]), scales.scale_of(i), scales.zero_point_of(i), params.q_min, params.q_max);
    dx[i] = inside ? dy[i] : T{};
  }
}

// ---- memory ---------------------------------------------------------------------------------------------------------

/// Elements that are brought together, computed and sent off at a time; in the first-level cache. Even, so that a block
/// of nibbles begins where its first one does in a byte.
constexpr std::int64_t kBlockElems = 1024;
/// Of an axis that is cut for several threads; a multiple of blocks.
constexpr std::int64_t kPieceElems = 32 * kBlockElems;

template <class T>
const T* Gather(const char* from, long long stride, std::int64_t count, T* buffer) {
  if (stride == sizeof(T)) return reinterpret_cast<const T*>(from);
  for (std::int64_t i = 0; i < count; ++i) buffer[i] = *reinterpret_cast<const T*>(from + i * stride);
  return buffer;
}

/// Where to compute a block that goes to `to`.
template <class T>
T* Target(char* to, long long stride, T* buffer) {
  return stride == sizeof(T) ? reinterpret_cast<T*>(to) : buffer;
}
template <class T>
void Scatter(const T* computed, char* to, long long stride, std::int64_t count) {
  if (stride == sizeof(T)) return;
  for (std::int64_t i = 0; i < count; ++i) *reinterpret_cast<T*>(to + i * stride) = computed[i];
}

/// Nibbles from `at` on, one in each byte.
void UnpackNibbles(const char* data, long long at, long long stride, std::int64_t count, std::uint8_t* nibbles) {
  std::int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  if (stride == 1 && at % 2 == 0) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(data) + (at >> 1);
    const hn::ScalableTag<std::uint16_t> d16;
    const hn::Repartition<std::uint8_t, decltype(d16)> d8;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d8));
    for (; i + lanes <= count; i += lanes) {
      const auto pairs = hn::PromoteTo(d16, hn::LoadU(hn::Rebind<std::uint8_t, decltype(d16)>(), bytes + i / 2));
      const auto apart =
          hn::Or(hn::And(pairs, hn::Set(d16, 0xf)), hn::ShiftLeft<4>(hn::And(pairs, hn::Set(d16, 0xf0))));
      hn::StoreU(hn::BitCast(d8, apart), d8, nibbles + i);
    }
  }
#endif
  for (; i < count; ++i) nibbles[i] = static_cast<std::uint8_t>(load_nibble(data, at + i * stride));
}

/// The inverse, to whole bytes; of a last one that is half covered the other half is kept.
void PackNibbles(const std::uint8_t* nibbles, std::int64_t count, std::uint8_t* bytes) {
  std::int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::ScalableTag<std::uint16_t> d16;
  const hn::Repartition<std::uint8_t, decltype(d16)> d8;
  const hn::Rebind<std::uint8_t, decltype(d16)> packed;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d8));
  for (; i + lanes <= count; i += lanes) {
    const auto apart = hn::BitCast(d16, hn::LoadU(d8, nibbles + i));
    const auto pairs = hn::Or(hn::And(apart, hn::Set(d16, 0xf)), hn::And(hn::ShiftRight<4>(apart), hn::Set(d16, 0xf0)));
    hn::StoreU(hn::DemoteTo(packed, hn::BitCast(hn::RebindToSigned<decltype(d16)>(), pairs)), packed, bytes + i / 2);
  }
#endif
  for (; i + 2 <= count; i += 2) bytes[i / 2] = static_cast<std::uint8_t>((nibbles[i] & 0xf) | nibbles[i + 1] << 4);
  if (i < count) bytes[i / 2] = static_cast<std::uint8_t>((bytes[i / 2] & 0xf0) | (nibbles[i] & 0xf));
}

/// Whether q − zero_point is exact in F for all of them.
template <class F>
bool AreExact(const std::int32_t* zero_points, std::int64_t count) {
  if (sizeof(F) == 8) return true;
  const hn::ScalableTag<std::int32_t> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto outside = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto lane_points = hn::LoadU(d, zero_points + i);
    const auto beyond = hn::Or(hn::Gt(lane_points, hn::Set(d, kMaxZeroPointInF32)),
                               hn::Lt(lane_points, hn::Set(d, -kMaxZeroPointInF32)));
    outside = hn::Or(outside, hn::VecFromMask(d, beyond));
  }
  bool exact = hn::AllTrue(d, hn::Eq(outside, hn::Zero(d)));
  for (; i < count; ++i) exact &= zero_points[i] <= kMaxZeroPointInF32 && zero_points[i] >= -kMaxZeroPointInF32;
  return exact;
}

/// A thread's own.
template <class T>
struct Buffers {
  ComputeType<T> scales[kBlockElems];
  std::int32_t zero_points[kBlockElems] = {};
  T input[kBlockElems], gradient[kBlockElems], output[kBlockElems];
  std::uint8_t q[kBlockElems];
};

/// The ops over memory. kQBits = 4: two elements of q share a byte.
template <QuantizeOp kOp, class T, int kQBits>
struct Walk {
  using F = ComputeType<T>;
  const QuantizeParams& params;

  template <class ZeroPoint>
  void WidenZeroPoints(long long first, std::int64_t count, std::int32_t* zero_points) const {
    const auto* const from = static_cast<const ZeroPoint*>(params.zero_point) + first;
    const long long stride = params.axes[0].strides[kQuantizeScale];
    if (stride == 1)  // which the compiler makes vector code of
      for (std::int64_t i = 0; i < count; ++i) zero_points[i] = from[i];
    else
      for (std::int64_t i = 0; i < count; ++i) zero_points[i] = from[i * stride];
  }

  /// A block of neighbours along axis 0, of which the first has these offsets.
  void Block(const long long (&offsets)[kQuantizeOperands], std::int64_t count, Buffers<T>& buffers) const {
    const long long* strides = params.axes[0].strides;
    const long long scale_stride = strides[kQuantizeScale], first_scale = offsets[kQuantizeScale];
    BlockScales<F> scales{static_cast<const F*>(params.scale) + first_scale, buffers.zero_points, scale_stride != 0,
                          true};
    if (scales.each)
      scales.scale = Gather(reinterpret_cast<const char*>(scales.scale),
                            scale_stride * static_cast<long long>(sizeof(F)), count, buffers.scales);
    if (params.zero_point) {
      const std::int64_t num_scales = scales.each ? count : 1;
      if (params.zero_point_element == Element::I32) {
        scales.zero_point = Gather(static_cast<const char*>(params.zero_point) + 4 * first_scale, 4 * scale_stride,
                                   num_scales, buffers.zero_points);
        scales.exact = AreExact<F>(scales.zero_point, num_scales);
      } else if (params.zero_point_element == Element::I8) {
        WidenZeroPoints<std::int8_t>(first_scale, num_scales, buffers.zero_points);
      } else {
        WidenZeroPoints<std::uint8_t>(first_scale, num_scales, buffers.zero_points);
      }
    }

    const char* const input = params.input + offsets[kQuantizeInput];
    char* const output = params.output + offsets[kQuantizeOutput];
    const long long output_stride = strides[kQuantizeOutput];
    if constexpr (kOp == QuantizeOp::Dequantize) {
      const std::uint8_t* q = buffers.q;
      if constexpr (kQBits == 4) {
        UnpackNibbles(params.input, params.input_nibble + offsets[kQuantizeInput], strides[kQuantizeInput], count,
                      buffers.q);
      } else {
        q = Gather(input, strides[kQuantizeInput], count, buffers.q);
      }
      T* const x = Target(output, output_stride, buffers.output);
      DequantizeBlock(params, scales, q, x, count);
      Scatter(x, output, output_stride, count);
    } else {
      const T* const x = Gather(input, strides[kQuantizeInput], count, buffers.input);
      if constexpr (kOp == QuantizeOp::Quantize) {
        if constexpr (kQBits == 4) {
          QuantizeBlock(params, scales, x, buffers.q, count);
          const long long address = params.output_nibble + offsets[kQuantizeOutput];
          PackNibbles(buffers.q, count, reinterpret_cast<std::uint8_t*>(params.output) + address / 2);
        } else {
          std::uint8_t* const q = Target(output, output_stride, buffers.q);
          QuantizeBlock(params, scales, x, q, count);
          Scatter(q, output, output_stride, count);
        }
      } else {
        T* const y = Target(output, output_stride, buffers.output);
        if constexpr (kOp == QuantizeOp::FakeQuantize) {
          FakeQuantizeBlock(params, scales, x, y, count);
        } else {
          const T* const dy =
              Gather(params.gradient + offsets[kQuantizeGradient], strides[kQuantizeGradient], count, buffers.gradient);
          MaskGradientBlock(params, scales, x, dy, y, count);
        }
        Scatter(y, output, output_stride, count);
      }
    }
  }

  /// Nibbles whose bytes are shared with other rows, or that are no neighbours: each byte by its owner.
  void Nibbles(const long long (&offsets)[kQuantizeOperands], std::int64_t count) const {
    const auto value_at = [&](const long long(&at)[kQuantizeOperands]) {
      return quantize_value(ToCompute(*reinterpret_cast<const T*>(params.input + at[kQuantizeInput])),
                            static_cast<const F*>(params.scale)[at[kQuantizeScale]],
                            zero_point_at(params, at[kQuantizeScale]), params.q_min, params.q_max);
    };
    long long at[kQuantizeOperands];
    std::copy(std::begin(offsets), std::end(offsets), at);
    for (std::int64_t i = 0; i < count; ++i) {
      store_nibble(params, at, value_at);
      for (int k = 0; k < kQuantizeOperands; ++k) at[k] += params.axes[0].strides[k];
    }
  }

  /// Whether every row along axis 0 begins in the low half of a byte. Then no two rows share one, however long they
  /// are.
  bool HasRowsOfBytes() const {
    long long odd = params.output_nibble;
    for (int k = 1; k < params.num_axes; ++k) odd |= params.axes[k].strides[kQuantizeOutput];
    return params.axes[0].strides[kQuantizeOutput] == 1 && odd % 2 == 0;
  }

  /// Rows run along axis 0, which is cut into pieces; pieces are what threads share.
  void Run(int num_threads) const {
    const bool nibbles = kOp == QuantizeOp::Quantize && kQBits == 4 && !HasRowsOfBytes();
    const std::int64_t row = params.axes[0].extent;
    const std::int64_t pieces = (row + kPieceElems - 1) / kPieceElems;
    const std::int64_t num_rows = params.num_elems / row;
    const std::int64_t piece_bytes = std::min(row, kPieceElems) * static_cast<std::int64_t>(sizeof(T));
    const std::int64_t grain = std::max<std::int64_t>(1, cpu::kBytesPerPiece / piece_bytes);
    cpu::parallel_for(num_threads, num_rows * pieces, grain, [&](std::int64_t begin, std::int64_t end) {
      Buffers<T> buffers;
      long long index[kMaxQuantizeAxes];
      long long offsets[kQuantizeOperands] = {};
      std::int64_t rest = begin / pieces;
      for (int k = 1; k < params.num_axes; ++k) {
        index[k] = rest % params.axes[k].extent;
        rest /= params.axes[k].extent;
        for (int i = 0; i < kQuantizeOperands; ++i) offsets[i] += index[k] * params.axes[k].strides[i];
      }
      std::int64_t piece = begin % pieces;
      for (std::int64_t n = begin; n < end; ++n) {
        const std::int64_t last = std::min(row, (piece + 1) * kPieceElems);
        for (std::int64_t from = piece * kPieceElems; from < last; from += kBlockElems) {
          long long at[kQuantizeOperands];
          for (int i = 0; i < kQuantizeOperands; ++i) at[i] = offsets[i] + from * params.axes[0].strides[i];
          const std::int64_t count = std::min(kBlockElems, last - from);
          if constexpr (kOp == QuantizeOp::Quantize && kQBits == 4)
            if (nibbles) {
              Nibbles(at, count);
              continue;
            }
          Block(at, count, buffers);
        }
        if (++piece < pieces) continue;
        piece = 0;
        for (int k = 1; k < params.num_axes; ++k) {
          const QuantizeAxis& axis = params.axes[k];
          for (int i = 0; i < kQuantizeOperands; ++i) offsets[i] += axis.strides[i];
          if (++index[k] < axis.extent) break;
          index[k] = 0;
          for (int i = 0; i < kQuantizeOperands; ++i) offsets[i] -= axis.extent * axis.strides[i];
        }
      }
    });
  }
};

template <class T>
void RunOp(const QuantizeParams& params, QuantizeOp op, int q_bits, int num_threads) {
  switch (op) {
    case QuantizeOp::Quantize:
      if (q_bits == 4) return Walk<QuantizeOp::Quantize, T, 4>{params}.Run(num_threads);
      return Walk<QuantizeOp::Quantize, T, 8>{params}.Run(num_threads);
    case QuantizeOp::Dequantize:
      if (q_bits == 4) return Walk<QuantizeOp::Dequantize, T, 4>{params}.Run(num_threads);
      return Walk<QuantizeOp::Dequantize, T, 8>{params}.Run(num_threads);
    case QuantizeOp::FakeQuantize: return Walk<QuantizeOp::FakeQuantize, T, 8>{params}.Run(num_threads);
    case QuantizeOp::FakeQuantizeBackward: return Walk<QuantizeOp::FakeQuantizeBackward, T, 8>{params}.Run(num_threads);
  }
}

void Quantize(const QuantizeParams& params, QuantizeOp op, Element element, int q_bits, int num_threads) {
  switch (element) {
    case Element::F16: return RunOp<F16>(params, op, q_bits, num_threads);
    case Element::Bf16: return RunOp<Bf16>(params, op, q_bits, num_threads);
    case Element::F64: return RunOp<double>(params, op, q_bits, num_threads);
    default: return RunOp<float>(params, op, q_bits, num_threads);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace baracuda
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "baracuda/cpu/dispatch.h"

namespace baracuda {

QuantizeCpuKernel quantize_cpu_kernel(CpuTarget target) { return BARACUDA_CPU_FUNCTION(target, Quantize); }

}  // namespace baracuda
#endif

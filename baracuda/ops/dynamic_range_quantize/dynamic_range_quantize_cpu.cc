#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize_cpu.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "baracuda/cpu/parallel_for.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "baracuda/cpu/convert-inl.h"
#include "baracuda/device/numeric/element.cuh"
#include "baracuda/device/numeric/quantize.cuh"

HWY_BEFORE_NAMESPACE();
namespace baracuda {
namespace HWY_NAMESPACE {

/// Rows are converted and quantized in pieces of so many elements, which stay in the first cache.
constexpr std::int64_t kChunkElems = 512;

/// A stretch of a row.
struct Stretch {
  const char* x;
  char* q;
  std::int64_t elems;
};

/// The values of at most kChunkElems elements: in place where they lie as they are needed, else in `buffer`.
template <Element kElement>
const ComputeOf<kElement>* LoadValues(const char* x, std::int64_t stride, std::int64_t count,
                                      ComputeOf<kElement>* buffer) {
  using Storage = StorageOf<kElement>;
  const bool dense = stride == std::int64_t{sizeof(Storage)} || count == 1;
  if constexpr (std::is_same_v<Storage, ComputeOf<kElement>>)
    if (dense) return reinterpret_cast<const Storage*>(x);
  std::int64_t i = 0;
  if constexpr (sizeof(Storage) == 2)
    if (dense)
      for (; i + kLanes<Vec<float>> <= count; i += kLanes<Vec<float>>)
        store_lanes(load_narrow<kElement>(reinterpret_cast<const Storage*>(x) + i), buffer + i);
  for (; i < count; ++i) buffer[i] = to_value<kElement>(*reinterpret_cast<const Storage*>(x + i * stride));
  return buffer;
}

/// Widens a range of scalars or of vectors. A value that is not finite makes the magnitude infinite and stays there.
template <class V>
void AddToRange(RowRange<V>& range, V x) {
  const V magnitude = abs(x);
  const V infinite(std::numeric_limits<ScalarOf<V>>::infinity());
  // NaN fails the comparison, and so does infinity.
  range.magnitude = max(range.magnitude, where(magnitude < infinite, magnitude, infinite));
  range.least = min(x, range.least);
  range.greatest = max(x, range.greatest);
}

template <Element kElement>
RowRange<ComputeOf<kElement>> RangeOf(const DynamicRangeQuantizeParams& params, const Stretch& stretch) {
  using T = ComputeOf<kElement>;
  using V = Vec<T>;
  alignas(64) T buffer[kChunkElems];
  RowRange<V> lanes{V(T(0)), V(T(0)), V(T(0))};
  RowRange<T> range{};
  for (std::int64_t at = 0; at < stretch.elems; at += kChunkElems) {
    const std::int64_t count = std::min<std::int64_t>(kChunkElems, stretch.elems - at);
    const T* x = LoadValues<kElement>(stretch.x + at * params.x_inner_stride, params.x_inner_stride, count, buffer);
    std::int64_t i = 0;
    for (; i + kLanes<V> <= count; i += kLanes<V>) AddToRange(lanes, load_lanes<V>(x + i));
    for (; i < count; ++i) AddToRange(range, x[i]);
  }
  T parts[3][kLanes<V>];
  store_lanes(lanes.magnitude, parts[0]);
  store_lanes(lanes.least, parts[1]);
  store_lanes(lanes.greatest, parts[2]);
  for (int lane = 0; lane < kLanes<V>; ++lane) {
    range.magnitude = max(parts[0][lane], range.magnitude);
    range.least = min(parts[1][lane], range.least);
    range.greatest = max(parts[2][lane], range.greatest);
  }
  return range;
}

/// Stores whole numbers from −128 to 255 as bytes.
inline void StoreCodes(float code, char* q) { *q = static_cast<char>(static_cast<int>(code)); }
inline void StoreCodes(double code, char* q) { *q = static_cast<char>(static_cast<int>(code)); }
#if HWY_TARGET != HWY_SCALAR
template <class T>
void StoreCodes(Vec<T> codes, char* q) {
  const hn::RebindToUnsigned<hn::ScalableTag<T>> d;
  const hn::Rebind<std::uint8_t, hn::ScalableTag<T>> d8;
  // Added, kRounder leaves the integer in the low bits, of which both kinds of q keep a byte, whatever the sign.
  const auto bits = hn::BitCast(d, (codes + Vec<T>(kRounder<T>)).raw);
  hn::StoreU(hn::TruncateTo(d8, bits), d8, reinterpret_cast<std::uint8_t*>(q));
}
#endif

template <class V>
V Codes(V x, V scale, V zero_point, V q_min, V q_max) {
  return min(max(round_half_even(x / scale) + zero_point, q_min), q_max);
}

template <Element kElement>
void QuantizeStretch(const DynamicRangeQuantizeParams& params, const Stretch& stretch,
                     const RowQuantization<ComputeOf<kElement>>& row) {
  using T = ComputeOf<kElement>;
  using V = Vec<T>;
  const bool dense = params.q_inner_stride == 1 || stretch.elems == 1;
  if (!row.finite()) {
    const char code = static_cast<char>(clamp_code(row.zero_point, params.q_min, params.q_max));
    for (std::int64_t i = 0; i < stretch.elems; ++i) stretch.q[i * params.q_inner_stride] = code;
    return;
  }
  const T scale = row.scale, zero_point = static_cast<T>(row.zero_point);
  const T q_min = static_cast<T>(params.q_min), q_max = static_cast<T>(params.q_max);
  alignas(64) T buffer[kChunkElems];
  for (std::int64_t at = 0; at < stretch.elems; at += kChunkElems) {
    const std::int64_t count = std::min<std::int64_t>(kChunkElems, stretch.elems - at);
    const T* x = LoadValues<kElement>(stretch.x + at * params.x_inner_stride, params.x_inner_stride, count, buffer);
    char* q = stretch.q + at * params.q_inner_stride;
    std::int64_t i = 0;
    if (dense)
      for (; i + kLanes<V> <= count; i += kLanes<V>)
        StoreCodes(Codes(load_lanes<V>(x + i), V(scale), V(zero_point), V(q_min), V(q_max)), q + i);
    for (; i < count; ++i) StoreCodes(Codes(x[i], scale, zero_point, q_min, q_max), q + i * params.q_inner_stride);
  }
}

/// Where row `row` begins.
Stretch RowAt(const DynamicRangeQuantizeParams& params, std::int64_t row) {
  Stretch stretch{params.x, params.q, params.row_elems};
  for (int k = 0; k < params.num_axes; ++k) {
    const DynamicRangeQuantizeAxis& axis = params.axes[k];
    stretch.x += row % axis.extent * axis.x_stride;
    stretch.q += row % axis.extent * axis.q_stride;
    row /= axis.extent;
  }
  return stretch;
}

template <Element kElement, bool kSymmetric>
RowQuantization<ComputeOf<kElement>> FinishRow(const DynamicRangeQuantizeParams& params, std::int64_t row,
                                               const RowRange<ComputeOf<kElement>>& range) {
  const auto quantization = quantization_of<kSymmetric>(range, params.q_min, params.q_max);
  static_cast<ComputeOf<kElement>*>(params.scale)[row] = quantization.scale;
  if (params.zero_point) params.zero_point[row] = quantization.zero_point;
  return quantization;
}

/// A long row, by all threads: its range in pieces, then its codes in pieces.
template <Element kElement, bool kSymmetric>
void QuantizeLongRow(const DynamicRangeQuantizeParams& params, std::int64_t row, int num_threads) {
  using T = ComputeOf<kElement>;
  constexpr std::int64_t kMostPieces = 64;
  const std::int64_t bytes = params.row_elems * std::int64_t{sizeof(StorageOf<kElement>)};
  const std::int64_t num_pieces = std::clamp<std::int64_t>(bytes / cpu::kBytesPerPiece, 1, kMostPieces);
  const std::int64_t piece_elems = (params.row_elems + num_pieces - 1) / num_pieces;
  const Stretch whole = RowAt(params, row);
  const auto piece_of = [&](std::int64_t piece) {
    const std::int64_t from = std::min<std::int64_t>(piece * piece_elems, params.row_elems);
    return Stretch{whole.x + from * params.x_inner_stride, whole.q + from * params.q_inner_stride,
                   std::min<std::int64_t>(piece_elems, params.row_elems - from)};
  };
  RowRange<T> ranges[kMostPieces];
  cpu::parallel_for(num_threads, num_pieces, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t piece = begin; piece < end; ++piece) ranges[piece] = RangeOf<kElement>(params, piece_of(piece));
  });
  RowRange<T> range = ranges[0];
  for (std::int64_t piece = 1; piece < num_pieces; ++piece) {
    range.magnitude = max(ranges[piece].magnitude, range.magnitude);
    range.least = min(ranges[piece].least, range.least);
    range.greatest = max(ranges[piece].greatest, range.greatest);
  }
  const auto quantization = FinishRow<kElement, kSymmetric>(params, row, range);
  cpu::parallel_for(num_threads, num_pieces, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t piece = begin; piece < end; ++piece)
      QuantizeStretch<kElement>(params, piece_of(piece), quantization);
  });
}

template <Element kElement, bool kSymmetric>
void QuantizeRows(const DynamicRangeQuantizeParams& params, int num_threads) {
  const std::int64_t row_bytes =
      std::max<std::int64_t>(1, params.row_elems * std::int64_t{sizeof(StorageOf<kElement>)});
  if (params.num_rows < num_threads && row_bytes >= 2 * cpu::kBytesPerPiece) {
    for (std::int64_t row = 0; row < params.num_rows; ++row)
      QuantizeLongRow<kElement, kSymmetric>(params, row, num_threads);
    return;
  }
  const std::int64_t grain = std::max<std::int64_t>(1, cpu::kBytesPerPiece / row_bytes);
  cpu::parallel_for(num_threads, params.num_rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const Stretch stretch = RowAt(params, row);
      const auto range = RangeOf<kElement>(params, stretch);
      QuantizeStretch<kElement>(params, stretch, FinishRow<kElement, kSymmetric>(params, row, range));
    }
  });
}

void Quantize(const DynamicRangeQuantizeParams& params, Element element, bool symmetric, int num_threads) {
  const auto run = [&](auto kernel_of_symmetric, auto kernel) {
    (symmetric ? kernel_of_symmetric : kernel)(params, num_threads);
  };
  switch (element) {
    case Element::F16: return run(QuantizeRows<Element::F16, true>, QuantizeRows<Element::F16, false>);
    case Element::Bf16: return run(QuantizeRows<Element::Bf16, true>, QuantizeRows<Element::Bf16, false>);
    case Element::F64: return run(QuantizeRows<Element::F64, true>, QuantizeRows<Element::F64, false>);
    default: return run(QuantizeRows<Element::F32, true>, QuantizeRows<Element::F32, false>);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace baracuda
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "baracuda/cpu/dispatch.h"

namespace baracuda {

DynamicRangeQuantizeCpuKernel dynamic_range_quantize_cpu_kernel(CpuTarget target) {
  return BARACUDA_CPU_FUNCTION(target, Quantize);
}

}  // namespace baracuda
#endif

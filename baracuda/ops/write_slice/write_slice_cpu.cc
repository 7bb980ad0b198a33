#include "baracuda/ops/write_slice/write_slice_cpu.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "baracuda/cpu/parallel_for.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "baracuda/ops/write_slice/write_slice_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace baracuda {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// Calls body(dest_offset, source_offset) for the flat indices begin … end − 1 over the axes from `first_axis` on.
template <class Body>
void ForEachIndex(const WriteSliceParams& params, int first_axis, std::int64_t begin, std::int64_t end,
                  const Body& body) {
  long long index[8];
  long long dest = 0, source = 0, rest = begin;
  for (int k = first_axis; k < params.num_axes; ++k) {
    const WriteSliceAxis& axis = params.axes[k];
    index[k] = rest % axis.extent;
    rest /= axis.extent;
    dest += index[k] * axis.dest_stride;
    source += index[k] * axis.source_stride;
  }
  for (std::int64_t n = begin; n < end; ++n) {
    body(dest, source);
    for (int k = first_axis; k < params.num_axes; ++k) {
      const WriteSliceAxis& axis = params.axes[k];
      dest += axis.dest_stride;
      source += axis.source_stride;
      if (++index[k] < axis.extent) break;
      index[k] = 0;
      dest -= axis.extent * axis.dest_stride;
      source -= axis.extent * axis.source_stride;
    }
  }
}

std::int64_t NumIndices(const WriteSliceParams& params, int first_axis) {
  std::int64_t count = 1;
  for (int k = first_axis; k < params.num_axes; ++k) count *= params.axes[k].extent;
  return count;
}

/// Rows are cut only where there are too few of them for the threads: a long memcpy streams past the caches, short
/// pieces of it do not.
void WriteRows(const WriteSliceParams& params, int num_threads) {
  const std::int64_t num_rows = NumIndices(params, 0);
  const std::int64_t row_bytes = params.row_bytes;
  std::int64_t pieces = 1;
  if (num_rows < num_threads) pieces = std::clamp<std::int64_t>(row_bytes / cpu::kBytesPerPiece, 1, num_threads);
  const std::int64_t piece_bytes = (row_bytes + pieces - 1) / pieces;
  cpu::parallel_for(num_threads, num_rows * pieces, std::max<std::int64_t>(1, cpu::kBytesPerPiece / piece_bytes),
                    [&](std::int64_t begin, std::int64_t end) {
                      if (pieces == 1)
                        return ForEachIndex(params, 0, begin, end, [&](long long dest, long long source) {
                          std::memcpy(params.dest + dest, params.source + source, static_cast<std::size_t>(row_bytes));
                        });
                      for (std::int64_t n = begin; n < end; ++n) {
                        const std::int64_t from = n % pieces * piece_bytes;
                        const std::int64_t bytes = std::min(piece_bytes, row_bytes - from);
                        if (bytes <= 0) continue;
                        ForEachIndex(params, 0, n / pieces, n / pieces + 1, [&](long long dest, long long source) {
                          std::memcpy(params.dest + dest + from, params.source + source + from,
                                      static_cast<std::size_t>(bytes));
                        });
                      }
                    });
}

/// One row of elements. A dense destination takes vectors of a repeated or a reversed source; the rest goes one by one.
template <class T>
void WriteElements(char* dest, long long dest_stride, const char* source, long long source_stride, std::int64_t count) {
  constexpr long long kBytes = sizeof(T);
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  if (dest_stride == kBytes && source_stride == 0) {
    const auto repeated = hn::Set(d, *reinterpret_cast<const T*>(source));
    for (; i + lanes <= count; i += lanes) hn::StoreU(repeated, d, reinterpret_cast<T*>(dest) + i);
  } else if (dest_stride == kBytes && source_stride == -kBytes) {
    for (; i + lanes <= count; i += lanes) {
      const T* from = reinterpret_cast<const T*>(source) - i - (lanes - 1);
      hn::StoreU(hn::Reverse(d, hn::LoadU(d, from)), d, reinterpret_cast<T*>(dest) + i);
    }
  }
  for (; i < count; ++i)
    *reinterpret_cast<T*>(dest + i * dest_stride) = *reinterpret_cast<const T*>(source + i * source_stride);
}

/// 8-bit lanes have no Reverse in Highway 1.0.
template <>
void WriteElements<std::uint8_t>(char* dest, long long dest_stride, const char* source, long long source_stride,
                                 std::int64_t count) {
  if (dest_stride == 1 && source_stride == 0) {
    std::memset(dest, *source, static_cast<std::size_t>(count));
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) dest[i * dest_stride] = source[i * source_stride];
}

struct alignas(16) Bytes16 {
  std::uint64_t low, high;
};

template <>
void WriteElements<Bytes16>(char* dest, long long dest_stride, const char* source, long long source_stride,
                            std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i)
    *reinterpret_cast<Bytes16*>(dest + i * dest_stride) = *reinterpret_cast<const Bytes16*>(source + i * source_stride);
}

template <class T>
void WriteGeneric(const WriteSliceParams& params, int num_threads) {
  const WriteSliceAxis& inner = params.axes[0];
  const std::int64_t grain = std::max<std::int64_t>(1, cpu::kBytesPerPiece / (inner.extent * std::int64_t{sizeof(T)}));
  cpu::parallel_for(num_threads, NumIndices(params, 1), grain, [&](std::int64_t begin, std::int64_t end) {
    ForEachIndex(params, 1, begin, end, [&](long long dest, long long source) {
      WriteElements<T>(params.dest + dest, inner.dest_stride, params.source + source, inner.source_stride,
                       inner.extent);
    });
  });
}

/// `count` whole bytes whose nibbles lie half a byte off in the source: the high one of source[i], the low one of
/// source[i + 1].
void CopyShiftedNibbles(std::uint8_t* dest, const std::uint8_t* source, std::int64_t count) {
  const hn::ScalableTag<std::uint8_t> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto highs = hn::ShiftRight<4>(hn::LoadU(d, source + i));
    const auto lows = hn::ShiftLeft<4>(hn::LoadU(d, source + i + 1));
    hn::StoreU(hn::Or(highs, lows), d, dest + i);
  }
  for (; i < count; ++i) dest[i] = static_cast<std::uint8_t>((source[i] >> 4) | (source[i + 1] << 4));
}

/// Nibbles that neighbour each other in both: the whole bytes of the row at once, its two edge bytes by their owner.
void WriteNibbleRow(const WriteSliceParams& params, long long dest, long long source) {
  const std::int64_t count = params.axes[0].extent;
  const std::int64_t address = params.dest_nibble + dest;
  const std::int64_t from = params.source_nibble + source;
  const std::int64_t head = address & 1;
  const std::int64_t num_bytes = (count - head) / 2;
  if (head) write_nibble(params, params.dest_nibble, dest, from);
  auto* to_bytes = reinterpret_cast<std::uint8_t*>(params.dest) + ((address + head) >> 1);
  const auto* from_bytes = reinterpret_cast<const std::uint8_t*>(params.source) + ((from + head) >> 1);
  if ((from + head) & 1) {
    CopyShiftedNibbles(to_bytes, from_bytes, num_bytes);
  } else {
    std::memcpy(to_bytes, from_bytes, static_cast<std::size_t>(num_bytes));
  }
  if (const std::int64_t done = head + 2 * num_bytes; done < count)
    write_nibble(params, params.dest_nibble, dest + done, from + done);
}

void WriteNibbles(const WriteSliceParams& params, int num_threads) {
  if (params.num_axes == 0) return write_nibble(params, params.dest_nibble, 0, params.source_nibble);
  const WriteSliceAxis& inner = params.axes[0];
  const bool dense = inner.dest_stride == 1 && inner.source_stride == 1;
  const std::int64_t grain = std::max<std::int64_t>(1, cpu::kBytesPerPiece / inner.extent);
  cpu::parallel_for(num_threads, NumIndices(params, 1), grain, [&](std::int64_t begin, std::int64_t end) {
    ForEachIndex(params, 1, begin, end, [&](long long dest, long long source) {
      if (dense) return WriteNibbleRow(params, dest, source);
      for (std::int64_t i = 0; i < inner.extent; ++i)
        write_nibble(params, params.dest_nibble, dest + i * inner.dest_stride,
                     params.source_nibble + source + i * inner.source_stride);
    });
  });
}

void WriteSlice(const WriteSliceParams& params, WriteSliceVariant variant, int element_bytes, int num_threads) {
  if (variant == WriteSliceVariant::Nibbles) return WriteNibbles(params, num_threads);
  if (variant != WriteSliceVariant::Generic) return WriteRows(params, num_threads);
  switch (element_bytes) {
    case 1: return WriteGeneric<std::uint8_t>(params, num_threads);
    case 2: return WriteGeneric<std::uint16_t>(params, num_threads);
    case 4: return WriteGeneric<std::uint32_t>(params, num_threads);
    case 8: return WriteGeneric<std::uint64_t>(params, num_threads);
    default: return WriteGeneric<Bytes16>(params, num_threads);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace baracuda
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "baracuda/cpu/dispatch.h"

namespace baracuda {

WriteSliceCpuKernel write_slice_cpu_kernel(CpuTarget target) { return BARACUDA_CPU_FUNCTION(target, WriteSlice); }

}  // namespace baracuda
#endif

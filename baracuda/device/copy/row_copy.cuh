#pragma once

// Copies rows of bytes at any alignment with 16-byte accesses.
//
// A row of `row_bytes` is cut at the 16-byte boundaries of its destination into vectors 0, 1, …; the first and the last
// may be partial. A vector whose source lies, rounded out to 16-byte boundaries, inside the source row is moved with
// aligned 16-byte loads, shifted together, and one aligned 16-byte store. The others, at most two at each end, are
// moved element by element, so that not one byte outside the row is read or written.

namespace baracuda {

inline constexpr int kVectorBytes = 16;

struct alignas(kVectorBytes) Vector16 {
  unsigned word[4];
};

/// The 16 bytes that start `shift` (0 … 15, a multiple of kGranule) bytes into the 32 bytes low, high.
template <int kGranule>
inline Vector16 shift_together(const Vector16& low, const Vector16& high, unsigned shift) {
  const unsigned words[8] = {low.word[0],  low.word[1],  low.word[2],  low.word[3],
                             high.word[0], high.word[1], high.word[2], high.word[3]};
  // Register arrays cannot be indexed at run time: select by the bits of the shift instead.
  unsigned by_two[6], by_one[5];
  for (int i = 0; i < 6; ++i) by_two[i] = (shift & 8) ? words[i + 2] : words[i];
  for (int i = 0; i < 5; ++i) by_one[i] = kGranule <= 4 && (shift & 4) ? by_two[i + 1] : by_two[i];
  Vector16 result;
  for (int i = 0; i < 4; ++i)
    result.word[i] = kGranule < 4 ? __funnelshift_r(by_one[i], by_one[i + 1], 8 * (shift & 3)) : by_one[i];
  return result;
}

/// An element of kBytes that is only moved.
template <int kBytes>
struct alignas(kBytes) OpaqueElement {
  unsigned char bytes[kBytes];
};
template <>
struct OpaqueElement<2> {
  unsigned short bits;
};
template <>
struct OpaqueElement<4> {
  unsigned bits;
};
template <>
struct OpaqueElement<8> {
  unsigned long long bits;
};
template <>
struct OpaqueElement<16> {
  Vector16 bits;
};

/// Moves the vectors first, first + step, … (kVectors of them) of one row; those past its end are skipped. Both
/// pointers and row_bytes are multiples of kElementBytes. All loads are issued before the first store, so kVectors · 16
/// bytes a thread are in flight; source and dest must not overlap.
template <int kElementBytes, int kVectors>
inline void copy_row_vectors(char* dest, const char* source, long long row_bytes, long long first, long long step) {
  using Element = OpaqueElement<kElementBytes>;
  // Both are 0 where an element is a vector; saying so saves the second load.
  constexpr unsigned kMisaligned = kElementBytes == kVectorBytes ? 0 : kVectorBytes - 1;
  const unsigned head = static_cast<unsigned>(reinterpret_cast<unsigned long long>(dest)) & kMisaligned;
  const unsigned shift = static_cast<unsigned>(reinterpret_cast<unsigned long long>(source - head)) & kMisaligned;

  Vector16 values[kVectors];
  bool whole[kVectors];
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    const long long begin = (first + i * step) * kVectorBytes - head;  // in the row
    whole[i] = begin >= shift && begin - shift + (shift ? 2 : 1) * kVectorBytes <= row_bytes;
    if (!whole[i]) continue;
    const Vector16* aligned = reinterpret_cast<const Vector16*>(source + begin - shift);
    values[i] = aligned[0];
    if (shift) values[i] = shift_together<kElementBytes>(values[i], aligned[1], shift);
  }
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    const long long begin = (first + i * step) * kVectorBytes - head;
    if (whole[i]) {
      *reinterpret_cast<Vector16*>(dest + begin) = values[i];
      continue;
    }
    const long long from = begin < 0 ? 0 : begin;
    const long long to = begin + kVectorBytes < row_bytes ? begin + kVectorBytes : row_bytes;
    for (long long at = from; at < to; at += kElementBytes)
      *reinterpret_cast<Element*>(dest + at) = *reinterpret_cast<const Element*>(source + at);
  }
}

}  // namespace baracuda

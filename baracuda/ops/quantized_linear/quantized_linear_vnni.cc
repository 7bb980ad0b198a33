#include "baracuda/ops/quantized_linear/quantized_linear_cpu.h"

// Compiled with AVX-512 VNNI (CMakeLists.txt), so it uses no inline functions that others could link to.

#ifdef __AVX512VNNI__
#include <immintrin.h>

namespace baracuda {
namespace {

constexpr int kVectorBytes = 64;
/// Sums that a step of the loop keeps in registers, a vector each: 24 of the 32, beside 4 vectors of weights, one of q,
/// and the flip. Each loaded vector of weights serves 6 products, each of q 4.
constexpr int kRows = 6, kChannels = 4;

/// The sums of the lanes of four vectors.
inline __m128i add_lanes(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
  const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
  const __m512i abcd = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
  const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(abcd), _mm512_extracti64x4_epi64(abcd, 1));
  return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

/// vpdpbusd multiplies unsigned by signed bytes: s8 weights become unsigned by an offset of 128, a flip of the high
/// bit. It wraps, it does not saturate.
template <int kNumRows, int kNumChannels>
inline void multiply(const QuantizedDotBlock& block, int row, int channel) {
  const __m512i flip = _mm512_set1_epi8(block.weight_is_signed ? static_cast<char>(0x80) : 0);
  const std::int8_t* q = block.q + row * block.q_stride;
  const std::uint8_t* weight = block.weight + channel * block.weight_stride;
  __m512i acc[kNumRows][4];
  for (auto& of_row : acc)
    for (__m512i& sum : of_row) sum = _mm512_setzero_si512();

  const auto step = [&](std::int64_t at, __mmask64 mask) __attribute__((always_inline)) {
    __m512i w[kNumChannels];
    for (int j = 0; j < kNumChannels; ++j)
      w[j] = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, weight + j * block.weight_stride + at), flip);
    for (int i = 0; i < kNumRows; ++i) {
      const __m512i values = _mm512_maskz_loadu_epi8(mask, q + i * block.q_stride + at);
      for (int j = 0; j < kNumChannels; ++j) acc[i][j] = _mm512_dpbusd_epi32(acc[i][j], w[j], values);
    }
  };
  std::int64_t at = 0;
  for (; at + kVectorBytes <= block.k; at += kVectorBytes) step(at, ~__mmask64{0});
  // What is masked off is 0 in q, so its flipped weights do not count.
  if (at < block.k) step(at, ~__mmask64{0} >> (kVectorBytes - (block.k - at)));

  for (int i = 0; i < kNumRows; ++i) {
    const __m128i sums = add_lanes(acc[i][0], acc[i][1], acc[i][2], acc[i][3]);
    std::uint32_t* to = block.acc + (row + i) * block.acc_stride + channel;
    if constexpr (kNumChannels == 4) {
      auto* four = reinterpret_cast<__m128i_u*>(to);
      _mm_storeu_si128(four, _mm_add_epi32(_mm_loadu_si128(four), sums));
    } else {
      const __mmask8 mask = (1 << kNumChannels) - 1;
      _mm_mask_storeu_epi32(to, mask, _mm_add_epi32(_mm_maskz_loadu_epi32(mask, to), sums));
    }
  }
}

template <int kNumRows>
void multiply_rows(const QuantizedDotBlock& block, int row, int channel, int num_channels) {
  switch (num_channels) {
    case 1: return multiply<kNumRows, 1>(block, row, channel);
    case 2: return multiply<kNumRows, 2>(block, row, channel);
    case 3: return multiply<kNumRows, 3>(block, row, channel);
    default: return multiply<kNumRows, 4>(block, row, channel);
  }
}

void dot_block(const QuantizedDotBlock& block) {
  for (int channel = 0; channel < block.num_channels; channel += kChannels) {
    const int rest = block.num_channels - channel, num_channels = rest < kChannels ? rest : kChannels;
    for (int row = 0; row < block.num_rows; row += kRows) {
      switch (block.num_rows - row) {
        case 1: multiply_rows<1>(block, row, channel, num_channels); break;
        case 2: multiply_rows<2>(block, row, channel, num_channels); break;
        case 3: multiply_rows<3>(block, row, channel, num_channels); break;
        case 4: multiply_rows<4>(block, row, channel, num_channels); break;
        case 5: multiply_rows<5>(block, row, channel, num_channels); break;
        default: multiply_rows<kRows>(block, row, channel, num_channels); break;
      }
    }
  }
}

}  // namespace

QuantizedDot quantized_dot_vnni() { return {dot_block, 128}; }

}  // namespace baracuda
#else
// Another architecture, whose CPUs have no such target: never called.
baracuda::QuantizedDot baracuda::quantized_dot_vnni() { return {}; }
#endif

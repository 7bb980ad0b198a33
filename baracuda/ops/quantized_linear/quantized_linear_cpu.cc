#include "baracuda/ops/quantized_linear/quantized_linear_cpu.h"

#include <algorithm>
#include <cstring>

#include "baracuda/cpu/parallel_for.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "baracuda/ops/quantized_linear/quantized_linear_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "baracuda/cpu/simd-inl.h"
#include "baracuda/device/numeric/activation.cuh"
#include "baracuda/device/numeric/element.cuh"

HWY_BEFORE_NAMESPACE();
namespace baracuda {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// ---- sums of products -----------------------------------------------------------------------------------------------

/// Sums that a step of the loop keeps in registers; AVX-512 has twice as many.
constexpr int kRows = 4, kChannels = HWY_LANES(std::uint8_t) >= 64 ? 4 : 2;

/// Bytes widened to 16 bits. A product of two is less than 2^15 in magnitude, so that a sum of two products is exact.
template <class T>
auto LoadWide(const T* bytes) {
  const hn::ScalableTag<std::int16_t> d16;
  const hn::Rebind<T, decltype(d16)> d8;
  return hn::PromoteTo(d16, hn::LoadU(d8, bytes));
}

template <class Weight, int kNumRows, int kNumChannels>
void Multiply(const QuantizedDotBlock& block, int row, int channel) {
  const hn::ScalableTag<std::int16_t> d16;
  const hn::ScalableTag<std::int32_t> d32;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d16));
  const std::int8_t* q = block.q + row * block.q_stride;
  const auto* weight = reinterpret_cast<const Weight*>(block.weight) + channel * block.weight_stride;
  // The second of each pair is what some instruction sets need beside the first.
  hn::Vec<decltype(d32)> acc[kNumRows][kNumChannels], more[kNumRows][kNumChannels];
  for (int i = 0; i < kNumRows; ++i)
    for (int j = 0; j < kNumChannels; ++j) acc[i][j] = more[i][j] = hn::Zero(d32);

  std::int64_t at = 0;
  for (; at + lanes <= block.k; at += lanes) {
    hn::Vec<decltype(d16)> w[kNumChannels];
    for (int j = 0; j < kNumChannels; ++j) w[j] = LoadWide(weight + j * block.weight_stride + at);
    for (int i = 0; i < kNumRows; ++i) {
      const auto values = LoadWide(q + i * block.q_stride + at);
      for (int j = 0; j < kNumChannels; ++j)
        acc[i][j] = hn::ReorderWidenMulAccumulate(d32, values, w[j], acc[i][j], more[i][j]);
    }
  }
  for (int i = 0; i < kNumRows; ++i)
    for (int j = 0; j < kNumChannels; ++j) {
      auto sum = static_cast<std::uint32_t>(hn::GetLane(hn::SumOfLanes(d32, hn::Add(acc[i][j], more[i][j]))));
      for (std::int64_t p = at; p < block.k; ++p)
        sum += static_cast<std::uint32_t>(q[i * block.q_stride + p] * weight[j * block.weight_stride + p]);
      block.acc[(row + i) * block.acc_stride + channel + j] += sum;
    }
}

template <class Weight, int kNumChannels>
void MultiplyChannels(const QuantizedDotBlock& block, int channel) {
  int row = 0;
  for (; row + kRows <= block.num_rows; row += kRows) Multiply<Weight, kRows, kNumChannels>(block, row, channel);
  for (; row < block.num_rows; ++row) Multiply<Weight, 1, kNumChannels>(block, row, channel);
}

template <class Weight>
void MultiplyBlock(const QuantizedDotBlock& block) {
  int channel = 0;
  for (; channel + kChannels <= block.num_channels; channel += kChannels)
    MultiplyChannels<Weight, kChannels>(block, channel);
  for (; channel < block.num_channels; ++channel) MultiplyChannels<Weight, 1>(block, channel);
}

void DotBlock(const QuantizedDotBlock& block) {
  if (block.weight_is_signed)
    MultiplyBlock<std::int8_t>(block);
  else
    MultiplyBlock<std::uint8_t>(block);
}

/// Σ q.
std::int32_t SumOfRow(const std::int8_t* q, std::int64_t k) {
  const hn::ScalableTag<std::int16_t> d16;
  const hn::ScalableTag<std::int32_t> d32;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d16));
  const auto ones = hn::Set(d16, std::int16_t{1});
  auto acc = hn::Zero(d32), more = hn::Zero(d32);
  std::int64_t at = 0;
  for (; at + lanes <= k; at += lanes) acc = hn::ReorderWidenMulAccumulate(d32, LoadWide(q + at), ones, acc, more);
  std::int32_t sum = hn::GetLane(hn::SumOfLanes(d32, hn::Add(acc, more)));
  for (; at < k; ++at) sum += q[at];
  return sum;
}

// ---- one block of outputs -------------------------------------------------------------------------------------------

/// A block's rows of q and of weights stay in a core's second cache; a stretch of k of a few channels in its first.
constexpr int kBlockRows = 48, kBlockChannels = 64;
constexpr std::int64_t kStretch = 4096;

/// What the channels of a block have, for as many as a full one has, so that all is whole vectors.
template <class T>
struct ChannelValues {
  alignas(64) T scale[kBlockChannels] = {};
  alignas(64) T bias[kBlockChannels] = {};
  alignas(64) std::uint32_t zero_point[kBlockChannels] = {};
};

template <class T>
Vec<T> LoadIntegers(const std::uint32_t* integers) {
#if HWY_TARGET == HWY_SCALAR
  return static_cast<T>(static_cast<std::int32_t>(*integers));
#else
  const hn::ScalableTag<T> d;
  const hn::Rebind<std::int32_t, decltype(d)> d32;
  const auto whole = hn::LoadU(d32, reinterpret_cast<const std::int32_t*>(integers));
  if constexpr (sizeof(T) == 8)
    return Vec<T>(hn::PromoteTo(d, whole));
  else
    return Vec<T>(hn::ConvertTo(d, whole));
#endif
}

/// from_value, of as many as V has.
template <Element kOutput, class V>
void StoreOutputs(V values, StorageOf<kOutput>* outputs) {
#if HWY_TARGET == HWY_SCALAR
  *outputs = from_value<kOutput>(values);
#else
  if constexpr (sizeof(StorageOf<kOutput>) == 2) {
    const hn::Rebind<std::uint16_t, typename V::Tag> d16;
    hn::StoreU(hn::DemoteTo(d16, encode<kOutput>(values).raw), d16, outputs);
  } else {
    store_lanes(where(is_nan(values), quiet_nan<V>(), values), outputs);
  }
#endif
}

/// Scales, adds the bias, activates and stores the sums of one row. Only what is left after the zero point fits s32:
/// before, sums are modulo 2^32.
template <Element kOutput>
void StoreRow(const QuantizedLinearParams& params, std::uint32_t* acc, std::int32_t q_sum,
              const ChannelValues<ComputeOf<kOutput>>& channels, ComputeOf<kOutput> row_scale, int num_channels,
              StorageOf<kOutput>* y) {
  using T = ComputeOf<kOutput>;
  using V = Vec<T>;
  for (int j = 0; j < kBlockChannels; ++j) acc[j] -= channels.zero_point[j] * static_cast<std::uint32_t>(q_sum);
  alignas(64) StorageOf<kOutput> outputs[kBlockChannels];
  for (int j = 0; j < kBlockChannels; j += kLanes<V>) {
    // Without k the sum is 0 whatever the scales are.
    V v(T(0));
    if (params.k > 0) v = LoadIntegers<T>(acc + j) * (V(row_scale) * load_lanes<V>(channels.scale + j));
    if (params.bias) v = v + load_lanes<V>(channels.bias + j);
    StoreOutputs<kOutput>(activate(params.activation, v), outputs + j);
  }
  std::memcpy(y, outputs, static_cast<std::size_t>(num_channels) * sizeof(*y));
}

template <Element kOutput>
void ComputeBlock(const QuantizedLinearParams& params, Element weight_element, const QuantizedDot& dot,
                  std::int64_t first_row, std::int64_t first_channel) {
  using T = ComputeOf<kOutput>;
  const int num_rows = static_cast<int>(std::min<std::int64_t>(kBlockRows, params.m - first_row));
  const int num_channels = static_cast<int>(std::min<std::int64_t>(kBlockChannels, params.c_out - first_channel));
  const bool is_signed = weight_element == Element::I8;
  ChannelValues<T> channels;
  for (int j = 0; j < num_channels; ++j) {
    channels.scale[j] = load_as<T>(params.weight_scale, params.weight_scale_element, first_channel + j);
    if (params.bias) channels.bias[j] = load_as<T>(params.bias, params.bias_element, first_channel + j);
    channels.zero_point[j] =
        is_signed ? static_cast<std::uint32_t>(dot.signed_offset) : params.weight_zero_point[first_channel + j];
  }

  alignas(64) std::uint32_t acc[kBlockRows * kBlockChannels];
  std::memset(acc, 0, static_cast<std::size_t>(num_rows) * kBlockChannels * sizeof(std::uint32_t));
  const std::int8_t* q = params.q + first_row * params.k;
  for (std::int64_t at = 0; at < params.k; at += kStretch)
    dot.block({q + at, params.k, params.weight + first_channel * params.weight_stride + at, params.weight_stride,
               is_signed, num_rows, num_channels, std::min<std::int64_t>(kStretch, params.k - at), acc,
               kBlockChannels});
  const bool needs_sums = !is_signed || dot.signed_offset != 0;
  for (int i = 0; i < num_rows; ++i) {
    const std::int64_t row = first_row + i;
    StoreRow<kOutput>(params, acc + i * kBlockChannels, needs_sums ? SumOfRow(q + i * params.k, params.k) : 0, channels,
                      static_cast<const T*>(params.row_scale)[row], num_channels,
                      static_cast<StorageOf<kOutput>*>(params.y) + row * params.y_stride + first_channel);
  }
}

template <Element kOutput>
void Compute(const QuantizedLinearParams& params, Element weight_element, const QuantizedDot& dot, int num_threads) {
  const std::int64_t blocks_m = (params.m + kBlockRows - 1) / kBlockRows;
  const std::int64_t blocks_n = (params.c_out + kBlockChannels - 1) / kBlockChannels;
  const std::int64_t grain = std::max<std::int64_t>(1, cpu::kBytesPerPiece / (kBlockChannels * (params.k + 1)));
  // Neighbouring blocks share rows of q.
  cpu::parallel_for(num_threads, blocks_m * blocks_n, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n)
      ComputeBlock<kOutput>(params, weight_element, dot, n / blocks_n * kBlockRows, n % blocks_n * kBlockChannels);
  });
}

void QuantizedLinear(const QuantizedLinearParams& params, Element weight_element, Element output_element,
                     const QuantizedDot& dot, int num_threads) {
  switch (output_element) {
    case Element::F16: return Compute<Element::F16>(params, weight_element, dot, num_threads);
    case Element::Bf16: return Compute<Element::Bf16>(params, weight_element, dot, num_threads);
    case Element::F64: return Compute<Element::F64>(params, weight_element, dot, num_threads);
    default: return Compute<Element::F32>(params, weight_element, dot, num_threads);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace baracuda
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "baracuda/cpu/dispatch.h"

namespace baracuda {

QuantizedDot quantized_dot(CpuTarget target) { return {BARACUDA_CPU_FUNCTION(target, DotBlock), 0}; }

QuantizedLinearCpuKernel quantized_linear_cpu_kernel(CpuTarget target) {
  return BARACUDA_CPU_FUNCTION(target, QuantizedLinear);
}

}  // namespace baracuda
#endif

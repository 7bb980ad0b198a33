#pragma once

#include <cstdint>

#include "baracuda/core/arch.h"
#include "baracuda/ops/quantized_linear/quantized_linear_config.h"

namespace baracuda {

/// A block of sums over a stretch of k, for any strides and alignment:
///
///   acc[i · acc_stride + j] += Σ q[i, p] · (weight[j, p] + offset)      modulo 2^32
struct QuantizedDotBlock {
  const std::int8_t* q;
  std::int64_t q_stride;
  const std::uint8_t* weight;  ///< s8 or u8
  std::int64_t weight_stride;
  bool weight_is_signed;
  int num_rows, num_channels;
  std::int64_t k;
  std::uint32_t* acc;
  std::int64_t acc_stride;
};

/// How a machine makes such blocks.
struct QuantizedDot {
  void (*block)(const QuantizedDotBlock& block);
  int signed_offset;  ///< the offset that it adds to s8 weights; 0 for u8 ones
};

/// By AVX-512 VNNI's products of unsigned and signed bytes. Only where the CPU has it.
QuantizedDot quantized_dot_vnni();
/// By 16-bit products.
QuantizedDot quantized_dot(CpuTarget target);

/// Multiplies, scales, adds and activates on the CPU, all but the quantization of x.
using QuantizedLinearCpuKernel = void (*)(const QuantizedLinearParams& params, Element weight_element,
                                          Element output_element, const QuantizedDot& dot, int num_threads);

QuantizedLinearCpuKernel quantized_linear_cpu_kernel(CpuTarget target);

}  // namespace baracuda

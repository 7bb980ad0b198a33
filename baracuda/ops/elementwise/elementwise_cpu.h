#pragma once

#include <cstdint>

#include "baracuda/core/arch.h"
#include "baracuda/ops/elementwise/elementwise_config.h"

namespace baracuda {

/// Values that lie one after the other, of the type that is computed in.
struct ElementwiseBlock {
  void* output;
  const void* inputs[3];
  std::int64_t count;
  const unsigned long long* scalars;  ///< as ElementwiseParams::scalars
  const unsigned char* table;         ///< ElementwiseCpuKernel::lookup's, 256 bytes
};

/// Computes a block. The output may be an input.
using ElementwiseLoop = void (*)(const ElementwiseBlock& block);
/// Elements to values or back, one after the other.
using ElementwiseConversion = void (*)(void* to, const void* from, std::int64_t count);

/// What computes one operator on its elements: conversions of what is not computed in as it lies, and a loop.
struct ElementwiseCpuKernel {
  ElementwiseLoop loop = nullptr;
  ElementwiseConversion load = nullptr;            ///< null: elements are values
  ElementwiseConversion load_condition = nullptr;  ///< of the first input, where that is a condition
  ElementwiseConversion store = nullptr;
  /// A loop over elements that does what the three do, by a table of what they make of every byte. Null: there is none.
  ElementwiseLoop lookup = nullptr;
};

/// The descriptor must have been validated.
ElementwiseCpuKernel elementwise_cpu_kernel(CpuTarget target, ElementwiseOp op, Element element, Element output);

/// Runs a kernel over the index space of `params`, of which num_items, divisors and chunks are the GPU's.
/// `output_bytes` and `input_bytes`: sizes of their elements.
void run_elementwise(const ElementwiseCpuKernel& kernel, const ElementwiseParams& params, int num_inputs,
                     int output_bytes, const int (&input_bytes)[3], int num_threads);

}  // namespace baracuda

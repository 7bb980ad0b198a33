#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <vector>

#include "baracuda/ops/quantize/dequantize.h"
#include "baracuda/ops/quantize/fake_quantize.h"
#include "baracuda/ops/quantize/fake_quantize_backward.h"
#include "baracuda/ops/quantize/quantize.h"
#include "testing/case_text.h"
#include "testing/devices.h"
#include "testing/guarded_buffer.h"
#include "testing/op.h"
#include "testing/placement.h"
#include "testing/random.h"

namespace baracuda::testing {

template <>
struct EnumValues<QuantizationGranularity> {
  static constexpr auto& values = kQuantizationGranularities;
};

/// One run of a plan of the family: the descriptor, and how its tensors lie in memory. Input is x, of DequantizePlan q;
/// output is q, x, y or dx; gradient is dy.
template <class Descriptor>
struct QuantizationCase {
  Descriptor descriptor;
  Dims input_strides;  ///< rank 0: contiguous
  Dims output_strides;
  Dims gradient_strides;
  int input_misalignment = 0;  ///< bytes past a 256-byte boundary; a multiple of the element size
  int output_misalignment = 0;
  int gradient_misalignment = 0;
  /// NaN, infinities and subnormal numbers among x; zero, negative, infinite and NaN scales; zero points of 32 bits.
  bool hostile = false;
  int num_threads = 1;  ///< CPU
  std::uint64_t seed = 1;
};

using QuantizeCase = QuantizationCase<QuantizeDescriptor>;
using DequantizeCase = QuantizationCase<DequantizeDescriptor>;
using FakeQuantizeCase = QuantizationCase<FakeQuantizeDescriptor>;
using FakeQuantizeBackwardCase = QuantizationCase<FakeQuantizeBackwardDescriptor>;

template <class T>
struct IsQuantizationCase : std::false_type {};
template <class Descriptor>
struct IsQuantizationCase<QuantizationCase<Descriptor>> : std::true_type {};

template <class Self, class Visit>
requires IsQuantizationCase<std::remove_const_t<Self>>::value void visit_fields(Self& self, Visit&& visit) {
  visit_fields(self.descriptor, visit);
  visit("input_strides", self.input_strides);
  visit("output_strides", self.output_strides);
  if constexpr (std::same_as<std::remove_const_t<Self>, FakeQuantizeBackwardCase>) {
    visit("gradient_strides", self.gradient_strides);
    visit("gradient_misalignment", self.gradient_misalignment);
  }
  visit("input_misalignment", self.input_misalignment);
  visit("output_misalignment", self.output_misalignment);
  visit("hostile", self.hostile);
  visit("num_threads", self.num_threads);
  visit("seed", self.seed);
}

template <class Descriptor>
std::string to_string(const QuantizationCase<Descriptor>& value) {
  return print_case(QuantizationPlan<Descriptor>::kName, value);
}

/// The buffers that a case runs on, guarded, on the device.
template <class Descriptor>
struct QuantizationBuffers {
  using Plan = QuantizationPlan<Descriptor>;

  QuantizationCase<Descriptor> value;
  Placement input_place, output_place, gradient_place;
  GuardedBuffer input, output, gradient, scale, zero_point;

  static Result<QuantizationBuffers> create(const QuantizationCase<Descriptor>& value, const Stream& stream);

  typename Plan::Args args() const;
  std::vector<GuardedBuffer*> operands() { return {&input, &output, &gradient, &scale, &zero_point}; }
  /// After a run: every byte of every buffer is as the oracle has it, but for a NaN's sign and payload.
  Result<void> check();
  /// After an error.
  Result<void> expect_untouched() const;
};

/// A case with odd sizes, padding, permuted, negative and broadcast strides, at random.
template <class Descriptor>
QuantizationCase<Descriptor> random_quantization_case(Random& random);

/// Cases made for a purpose: every pair of elements at every granularity, sizes around vectors, blocks and pieces, the
/// strides that change the kernel.
template <class Descriptor>
std::vector<QuantizationCase<Descriptor>> designed_quantization_cases();

/// Runs the case in guarded buffers and compares every byte of them with the oracle's.
template <class Descriptor>
Result<void> check_quantization(const QuantizationCase<Descriptor>& value, const TestTarget& target);

const Op& quantize_op();
const Op& dequantize_op();
const Op& fake_quantize_op();
const Op& fake_quantize_backward_op();

}  // namespace baracuda::testing

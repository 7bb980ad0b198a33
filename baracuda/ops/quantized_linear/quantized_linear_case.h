#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <vector>

#include "baracuda/ops/quantized_linear/quantized_linear.h"
#include "testing/case_text.h"
#include "testing/devices.h"
#include "testing/guarded_buffer.h"
#include "testing/op.h"
#include "testing/random.h"

namespace baracuda::testing {

template <>
struct EnumValues<Activation> {
  static constexpr auto& values = kActivations;
};

/// One run of QuantizedLinearPlan: the descriptor, and how its operands lie in memory.
struct QuantizedLinearCase {
  QuantizedLinearDescriptor descriptor;
  std::int64_t x_padding = 0;  ///< elements between rows
  std::int64_t weight_padding = 0;
  std::int64_t y_padding = 0;
  int x_misalignment = 0;  ///< bytes past a 256-byte boundary; a multiple of the element size
  int weight_misalignment = 0;
  int y_misalignment = 0;
  int act_q_misalignment = 0;
  bool hostile = false;  ///< rows of x of every kind of random_row
  int num_threads = 1;   ///< CPU
  std::uint64_t seed = 1;
};

template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, QuantizedLinearCase>
void visit_fields(Self& self, Visit&& visit) {
  visit_fields(self.descriptor, visit);
  visit("x_padding", self.x_padding);
  visit("weight_padding", self.weight_padding);
  visit("y_padding", self.y_padding);
  visit("x_misalignment", self.x_misalignment);
  visit("weight_misalignment", self.weight_misalignment);
  visit("y_misalignment", self.y_misalignment);
  visit("act_q_misalignment", self.act_q_misalignment);
  visit("hostile", self.hostile);
  visit("num_threads", self.num_threads);
  visit("seed", self.seed);
}

std::string to_string(const QuantizedLinearCase& value);

/// The operands of a case on a device, in guarded buffers.
struct QuantizedLinearBuffers {
  QuantizedLinearCase value;
  GuardedBuffer x, weight, weight_scale, weight_zero_point, bias, y, act_q, act_scale;

  /// Full of data, uploaded.
  static Result<QuantizedLinearBuffers> create(const QuantizedLinearCase& value, const Stream& stream);
  QuantizedLinearArgs args() const;
  std::vector<GuardedBuffer*> operands() {
    return {&x, &weight, &weight_scale, &weight_zero_point, &bias, &y, &act_q, &act_scale};
  }
  /// After the run: every byte of every buffer against the oracle's, but outputs of GELU and SiLU within 2 ulp.
  Result<void> check();
};

/// A case with odd sizes, padding and misalignment, at random.
QuantizedLinearCase random_quantized_linear_case(Random& random);

/// Runs the case and compares it with the oracle, and where there is a GELU or SiLU the outputs, bit for bit, with
/// those of the CPU's scalar code.
Result<void> check_quantized_linear(const QuantizedLinearCase& value, const TestTarget& target);

const Op& quantized_linear_op();

}  // namespace baracuda::testing

#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <vector>

#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize.h"
#include "testing/devices.h"
#include "testing/guarded_buffer.h"
#include "testing/op.h"
#include "testing/placement.h"
#include "testing/random.h"

namespace baracuda::testing {

/// One run of DynamicRangeQuantizePlan: the descriptor, and how its tensors lie in memory.
struct DynamicRangeQuantizeCase {
  DynamicRangeQuantizeDescriptor descriptor;
  Dims x_strides;          ///< rank 0: contiguous
  Dims q_strides;          ///< likewise
  int x_misalignment = 0;  ///< bytes past a 256-byte boundary; a multiple of the element size
  int q_misalignment = 0;
  bool hostile = false;     ///< rows of every kind of random_row
  bool zero_point = false;  ///< wants zero points of a symmetric run
  int num_threads = 1;      ///< CPU
  std::uint64_t seed = 1;
};

template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, DynamicRangeQuantizeCase>
void visit_fields(Self& self, Visit&& visit) {
  visit_fields(self.descriptor, visit);
  visit("x_strides", self.x_strides);
  visit("q_strides", self.q_strides);
  visit("x_misalignment", self.x_misalignment);
  visit("q_misalignment", self.q_misalignment);
  visit("hostile", self.hostile);
  visit("zero_point", self.zero_point);
  visit("num_threads", self.num_threads);
  visit("seed", self.seed);
}

std::string to_string(const DynamicRangeQuantizeCase& value);

/// The operands of a case on a device, in guarded buffers.
struct DynamicRangeQuantizeBuffers {
  DynamicRangeQuantizeCase value;
  Placement x_place, q_place;
  GuardedBuffer x, q, scale, zero_point;

  /// Full of data, uploaded.
  static Result<DynamicRangeQuantizeBuffers> create(const DynamicRangeQuantizeCase& value, const Stream& stream);
  DynamicRangeQuantizeArgs args() const;
  std::vector<GuardedBuffer*> operands() { return {&x, &q, &scale, &zero_point}; }
  /// After the run: every byte of every buffer against the oracle's.
  Result<void> check();
};

/// The values of a row to quantize. Ordinary rows are uniform, of any size; among hostile ones there are also zeros,
/// ties, subnormal numbers, the greatest numbers, one sign alone, and, more rarely, a NaN or an infinity.
std::vector<double> random_row(Element element, std::int64_t length, bool hostile, Random& random);

/// A case with odd sizes, padding, permuted, negative and broadcast strides, at random.
DynamicRangeQuantizeCase random_dynamic_range_quantize_case(Random& random);

/// Runs the case and compares every byte with the oracle's.
Result<void> check_dynamic_range_quantize(const DynamicRangeQuantizeCase& value, const TestTarget& target);

const Op& dynamic_range_quantize_op();

}  // namespace baracuda::testing

#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "baracuda/ops/elementwise/elementwise.h"
#include "testing/case_text.h"
#include "testing/devices.h"
#include "testing/guarded_buffer.h"
#include "testing/op.h"
#include "testing/placement.h"
#include "testing/random.h"

namespace baracuda::testing {

template <>
struct EnumValues<ElementwiseOp> {
  static const std::vector<ElementwiseOp> values;
};

/// How one tensor of a case lies in memory.
struct ElementwiseTensorCase {
  std::optional<Dims> shape;  ///< absent: the output's
  Dims strides;               ///< rank 0: contiguous
  int misalignment = 0;       ///< bytes past a 256-byte boundary; a multiple of the element size
};

/// One run of ElementwisePlan: the descriptor, and how its tensors lie in memory.
struct ElementwiseCase {
  ElementwiseDescriptor descriptor;
  ElementwiseTensorCase x, y, z;
  Dims output_strides;
  int output_misalignment = 0;
  std::string in_place;   ///< "x", "y" or "z": the input that is the output
  bool counting = false;  ///< element i of an input has the bits of i: every value of a kind of 8 or 16 bits, in order
  bool hostile = false;   ///< half of the values are random bits or special ones: zeros, limits, infinities, NaN
  bool scalars = false;   ///< drawn from the seed instead of the defaults
  int num_threads = 1;    ///< CPU
  std::uint64_t seed = 1;
};

template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, ElementwiseCase>
void visit_fields(Self& self, Visit&& visit) {
  visit_fields(self.descriptor, visit);
  visit("x", self.x.shape);
  visit("x_strides", self.x.strides);
  visit("x_misalignment", self.x.misalignment);
  visit("y", self.y.shape);
  visit("y_strides", self.y.strides);
  visit("y_misalignment", self.y.misalignment);
  visit("z", self.z.shape);
  visit("z_strides", self.z.strides);
  visit("z_misalignment", self.z.misalignment);
  visit("output_strides", self.output_strides);
  visit("output_misalignment", self.output_misalignment);
  visit("in_place", self.in_place);
  visit("counting", self.counting);
  visit("hostile", self.hostile);
  visit("scalars", self.scalars);
  visit("num_threads", self.num_threads);
  visit("seed", self.seed);
}

std::string to_string(const ElementwiseCase& value);

/// The operands of a case in guarded buffers. An input that is the output has a buffer too, for what it held.
struct ElementwiseBuffers {
  struct Scalars {
    double given[2] = {};
  };

  ElementwiseCase value;
  Scalars scalars;
  Element output_kind;
  Placement output_place;
  GuardedBuffer output;
  std::vector<Element> kinds;
  std::vector<Placement> places;
  std::vector<GuardedBuffer> inputs;
  int in_place = -1;  ///< the input that is the output

  static Result<ElementwiseBuffers> create(const ElementwiseCase& value, const Stream& stream);
  std::vector<GuardedBuffer*> operands();
  ElementwiseArgs args() const;
  /// After the run: each result against the oracle's, every other byte against what it was.
  Result<void> check();
};

/// A case of any operator with odd sizes, padding, permuted, negative and broadcast strides, or in place, at random.
ElementwiseCase random_elementwise_case(Random& random);

/// Runs the case in guarded buffers and compares each result with the oracle's within the operator's tolerance, and
/// every other byte with what it was. `bytes`: receives the output's buffer.
Result<void> check_elementwise(const ElementwiseCase& value, const TestTarget& target,
                               std::vector<std::byte>* bytes = nullptr);

const Op& elementwise_op();

}  // namespace baracuda::testing

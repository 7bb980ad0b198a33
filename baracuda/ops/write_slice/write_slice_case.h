#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <vector>

#include "baracuda/ops/write_slice/write_slice.h"
#include "testing/devices.h"
#include "testing/guarded_buffer.h"
#include "testing/op.h"
#include "testing/placement.h"
#include "testing/random.h"

namespace baracuda::testing {

/// One run of WriteSlicePlan: the descriptor, and how its tensors lie in memory.
struct WriteSliceCase {
  WriteSliceDescriptor descriptor;
  Dims dest_strides;          ///< rank 0: contiguous
  Dims source_strides;        ///< likewise
  int dest_misalignment = 0;  ///< bytes past a 256-byte boundary; a multiple of the element size
  int source_misalignment = 0;
  Dims device_starts;  ///< the positions on the device; rank 0: those of the descriptor
  bool status = false;
  int num_threads = 1;  ///< CPU
  std::uint64_t seed = 1;
};

template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, WriteSliceCase>
void visit_fields(Self& self, Visit&& visit) {
  visit_fields(self.descriptor, visit);
  visit("dest_strides", self.dest_strides);
  visit("source_strides", self.source_strides);
  visit("dest_misalignment", self.dest_misalignment);
  visit("source_misalignment", self.source_misalignment);
  visit("starts", self.device_starts);
  visit("status", self.status);
  visit("num_threads", self.num_threads);
  visit("seed", self.seed);
}

std::string to_string(const WriteSliceCase& value);

/// The buffers that a case runs on, guarded and full of random bytes, on the device.
struct WriteSliceBuffers {
  WriteSliceCase value;
  Dims extents, positions;  ///< of the window
  Placement dest_place, source_place;
  GuardedBuffer dest, source, starts, status;

  static Result<WriteSliceBuffers> create(const WriteSliceCase& value, const Stream& stream);

  WriteSliceArgs args() const;
  std::vector<GuardedBuffer*> operands() { return {&dest, &source, &starts, &status}; }
  /// After a run: every byte of every buffer is as the oracle has it.
  Result<void> check();
};

/// A case with odd sizes, padding, permuted, negative and broadcast strides, at random.
WriteSliceCase random_write_slice_case(Random& random);

/// Runs the case in guarded buffers and compares every byte of them with the oracle's.
Result<void> check_write_slice(const WriteSliceCase& value, const TestTarget& target);

const Op& write_slice_op();

}  // namespace baracuda::testing

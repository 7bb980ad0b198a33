#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "python/src/managed_tensor.h"

namespace baracuda::python {

/// Somebody's tensor, to be read as elements of another kind: bytes as pairs of 4-bit integers, u16 as bf16. What
/// baracuda.view makes, for packages that lack an element kind.
struct Reinterpreted {
  nanobind::object tensor;
  DLDataType dtype;
  std::optional<std::vector<std::int64_t>> shape;
};

/// An argument of a call: a tensor that is borrowed, and what the C ABI gets to see of it.
class Operand {
 public:
  /// Raises as ManagedTensor::borrow does, and InvalidProblem where a tensor cannot be reinterpreted so.
  Operand(ArgName name, nanobind::handle object, bool written, const RunsOn& place);

  /// Points into this object.
  const DLTensor& tensor() const { return tensor_; }
  /// The memory, without gaps. Raises InvalidProblem where there are some, and where it is not where the plan runs.
  std::span<std::byte> contiguous_memory(ArgName name, std::optional<int> ordinal) const;
  /// Leaves the memory to the caller.
  ManagedTensor take_memory() && { return std::move(memory_); }

 private:
  void reinterpret(ArgName name, const Reinterpreted& as);
  void make_pairs(ArgName name, const Reinterpreted& as);

  ManagedTensor memory_;
  DLTensor tensor_;
  std::vector<std::int64_t> shape_, strides_;
};

}  // namespace baracuda::python

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "baracuda/core/dims.h"
#include "baracuda/core/element.h"
#include "baracuda/core/result.h"
#include "testing/random.h"

namespace baracuda::testing {

/// Where the elements of a case's tensor lie in a buffer of its own.
struct Placement {
  Dims shape;
  Dims strides;                   ///< elements; nibbles for the packed kinds
  int misalignment = 0;           ///< bytes from a 256-byte boundary to the buffer
  std::int64_t origin_bytes = 0;  ///< from the buffer to the element at index 0 of every axis
  std::int64_t bytes = 0;         ///< of the buffer: from the first byte that the strides reach to the last
};

/// Places the tensor `field` of a case, of which `strides` (rank 0: contiguous) and `misalignment` are the fields
/// <field>_strides and <field>_misalignment. Errors: InvalidProblem, naming the field (a wrong number of strides, a
/// misalignment that is not in 0 … 255 or no multiple of the element, a reach beyond GuardedBuffer::kMaxBytes).
Result<Placement> place(std::string_view field, Element element, const Dims& shape, const Dims& strides = {},
                        int misalignment = 0);

/// Strides of a tensor whose axes lie in random order with random gaps, some of them backwards; with `repeats` one may
/// be 0.
Dims random_strides(const Dims& shape, Random& random, bool repeats);

/// What an oracle reads or writes: bytes, and where in them the element at index 0 of every axis lies.
template <class Byte>
struct OracleTensor {
  std::span<Byte> bytes;
  std::int64_t origin_bytes = 0;
  Dims strides;  ///< elements; nibbles for the packed kinds
};

}  // namespace baracuda::testing

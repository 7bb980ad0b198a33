#pragma once

#include <cstdint>
#include <string_view>

#include "baracuda/core/buffer.h"
#include "baracuda/core/result.h"
#include "baracuda/core/view.h"

namespace baracuda {

/// The bytes [begin, end) that a view's elements reach; begin = end where it has none.
struct Reach {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;

  bool empty() const { return begin == end; }
  bool overlaps(const Reach& other) const {
    return !empty() && !other.empty() && begin < other.end && other.begin < end;
  }
};

/// A view and what it is called in messages: "dest".
struct NamedReach {
  std::string_view field;
  Reach reach;
};

/// Proves, before anything is launched, that the views of one call are what the plan expects and that every access
/// stays inside its buffer. One object per call; nothing is allocated or formatted unless a check fails.
class ArgChecker {
 public:
  ArgChecker(std::string_view plan, Device device) : plan_(plan), device_(device) {}

  /// Device, element and shape are as expected; pointer present and aligned where there are elements; the furthest
  /// bytes that the strides reach lie in the view's buffer. Returns those bytes.
  ///
  /// Errors: InvalidProblem (device, shape, null pointer, reach before the buffer or past 2^63), Unsupported (element),
  /// MisalignedOperand, BufferTooSmall (reach past the buffer; sizes counted from its begin).
  Result<Reach> tensor(std::string_view field, const TensorRef& view, Element element, const Dims& shape) const;

  /// The same for a vector of exactly `length`, else InvalidProblem. One that is `scratch` has at least `length`; a
  /// shorter one is BufferTooSmall.
  Result<Reach> vector(std::string_view field, const VectorRef& view, Element element, std::int64_t length,
                       bool scratch = false) const;

  /// No two indices of `view` name the same element: strides, sorted by size, each step over what is inside.
  Result<void> injective(std::string_view field, const TensorRef& view) const;

  /// The innermost axis has stride 1; anything else is Unsupported.
  Result<void> contiguous_rows(std::string_view field, const TensorRef& view) const;

  /// A matrix whose rows are contiguous and do not run into each other: innermost stride 1, row stride no less than a
  /// row is long; anything else is Unsupported.
  Result<void> separate_rows(std::string_view field, const TensorRef& matrix) const;

  /// Row-major without gaps; anything else is Unsupported.
  Result<void> contiguous(std::string_view field, const TensorRef& view) const;

  /// The two share no byte.
  Result<void> disjoint(NamedReach output, NamedReach other) const;

  /// The workspace is on the device, large enough and aligned to 256.
  Result<void> workspace(const Workspace& workspace, std::int64_t needed_bytes) const;

  /// The stream is on the device that the plan was selected for.
  Result<void> stream(Device stream_device) const;

 private:
  Result<void> device(std::string_view field, Device given) const;
  Result<void> element(std::string_view field, Element given, Element expected) const;
  Result<void> pointer(std::string_view field, const void* data, Element element) const;
  Result<Reach> inside(std::string_view field, ByteRange reach, ByteRange buffer) const;

  std::string_view plan_;
  Device device_;
};

/// The product of the extents, or nothing if one is negative or the product passes 2^63 − 1.
bool checked_elements(const Dims& shape, std::int64_t* elements);

}  // namespace baracuda

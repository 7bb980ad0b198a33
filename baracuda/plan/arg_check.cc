#include "baracuda/plan/arg_check.h"

#include <fmt/core.h>

#include <algorithm>
#include <cassert>
#include <limits>

#include "baracuda/core/propagate.h"

namespace baracuda {
namespace {

constexpr std::uintptr_t kWorkspaceAlignment = 256;

}  // namespace

bool checked_elements(const Dims& shape, std::int64_t* elements) {
  *elements = 1;
  bool overflow = false;
  for (std::int64_t extent : shape) {
    if (extent < 0) return false;
    overflow |= __builtin_mul_overflow(*elements, extent, elements);
  }
  // 2^40 × 2^40 × 0 is an empty tensor, not an overflow.
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) {
    *elements = 0;
    return true;
  }
  return !overflow;
}

Result<void> ArgChecker::stream(Device stream_device) const {
  if (stream_device == device_) [[likely]]
    return {};
  return Error::invalid_problem(fmt::format("{}: stream is on {}, but the plan was selected for {}", plan_,
                                            stream_device.name(), device_.name()));
}

Result<void> ArgChecker::device(std::string_view field, Device given) const {
  if (given == device_) [[likely]]
    return {};
  return Error::invalid_problem(
      fmt::format("{}: {} is on {}, expected {}", plan_, field, given.name(), device_.name()));
}

Result<void> ArgChecker::element(std::string_view field, Element given, Element expected) const {
  if (given == expected) [[likely]]
    return {};
  return Error::unsupported(
      fmt::format("{}: {}.element is {}, expected {}", plan_, field, name_of(given), name_of(expected)));
}

Result<void> ArgChecker::pointer(std::string_view field, const void* data, Element element) const {
  if (data == nullptr) [[unlikely]]
    return Error::invalid_problem(fmt::format("{}: {}.data is null, but the view has elements", plan_, field));
  const int bytes = std::max(1, element_bytes(element));
  // Element sizes are powers of two.
  if (reinterpret_cast<std::uintptr_t>(data) & static_cast<std::uintptr_t>(bytes - 1)) [[unlikely]]
    return Error::misaligned(fmt::format("{}: {}.data is {:#x}, expected a multiple of {} bytes, the size of {}", plan_,
                                         field, reinterpret_cast<std::uintptr_t>(data), bytes, name_of(element)));
  return {};
}

Result<Reach> ArgChecker::inside(std::string_view field, ByteRange reach, ByteRange buffer) const {
  if (reach.begin < buffer.begin) [[unlikely]]
    return Error::invalid_problem(fmt::format("{}: {} reaches {} bytes before the begin of its buffer", plan_, field,
                                              buffer.begin - reach.begin));
  if (reach.end > buffer.end) [[unlikely]] {
    // A buffer range that begins far below the view leaves more than 63 bits.
    constexpr std::uintptr_t kMost = std::numeric_limits<std::int64_t>::max();
    const auto needed = static_cast<std::int64_t>(std::min(reach.end - buffer.begin, kMost));
    const auto got = buffer.end < buffer.begin ? 0 : static_cast<std::int64_t>(buffer.end - buffer.begin);
    return Error::buffer_too_small(fmt::format("{}: {} needs a buffer of {} bytes, got {}", plan_, field, needed, got),
                                   needed, got);
  }
  return Reach{reach.begin, reach.end};
}

Result<Reach> ArgChecker::tensor(std::string_view field, const TensorRef& view, Element element,
                                 const Dims& shape) const {
  BARACUDA_RETURN_IF_ERROR(device(field, view.device));
  BARACUDA_RETURN_IF_ERROR(this->element(field, view.element, element));
  if (view.shape != shape) [[unlikely]]
    return Error::invalid_problem(
        fmt::format("{}: {}.shape is {}, expected {}", plan_, field, view.shape.to_string(), shape.to_string()));
  if (view.strides.rank() != shape.rank()) [[unlikely]]
    return Error::invalid_problem(fmt::format("{}: {}.strides has {} entries, expected one per axis, {}", plan_, field,
                                              view.strides.rank(), shape.rank()));
  for (std::int64_t extent : shape)
    if (extent == 0) return Reach{};
  BARACUDA_RETURN_IF_ERROR(pointer(field, view.data, element));

  const std::optional<ByteRange> reach = reached_bytes(view.data, element, shape, view.strides);
  if (!reach) [[unlikely]]
    return Error::invalid_problem(fmt::format("{}: {}, shape {} with strides {}, reaches outside the address space",
                                              plan_, field, shape.to_string(), view.strides.to_string()));
  return inside(field, *reach, view.buffer);
}

Result<Reach> ArgChecker::vector(std::string_view field, const VectorRef& view, Element element, std::int64_t length,
                                 bool scratch) const {
  BARACUDA_RETURN_IF_ERROR(device(field, view.device));
  BARACUDA_RETURN_IF_ERROR(this->element(field, view.element, element));
  if (scratch ? view.length < length : view.length != length) [[unlikely]] {
    std::string message = fmt::format("{}: {}.length is {}, expected {}{}", plan_, field, view.length,
                                      scratch ? "at least " : "", length);
    if (!scratch) return Error::invalid_problem(std::move(message));
    return Error::buffer_too_small(std::move(message), static_cast<std::int64_t>(contiguous_bytes(element, {length})),
                                   static_cast<std::int64_t>(contiguous_bytes(element, {view.length})));
  }
  if (length == 0) return Reach{};
  BARACUDA_RETURN_IF_ERROR(pointer(field, view.data, element));
  const std::optional<ByteRange> reach = reached_bytes(view.data, element, {length}, {1});
  if (!reach) [[unlikely]]
    return Error::invalid_problem(
        fmt::format("{}: {} of length {} reaches outside the address space", plan_, field, length));
  return inside(field, *reach, view.buffer);
}

Result<void> ArgChecker::injective(std::string_view field, const TensorRef& view) const {
  struct Axis {
    std::uint64_t stride;  // its magnitude
    int index;
  };
  Axis axes[kMaxRank];
  int count = 0;
  for (int axis = 0; axis < view.shape.size(); ++axis) {
    if (view.shape[axis] == 0) return {};
    if (view.shape[axis] == 1) continue;
    const auto bits = static_cast<std::uint64_t>(view.strides[axis]);
    const std::uint64_t stride = view.strides[axis] < 0 ? -bits : bits;
    int place = count++;
    for (; place > 0 && axes[place - 1].stride > stride; --place) axes[place] = axes[place - 1];
    axes[place] = {stride, axis};
  }
  std::uint64_t inside = 0;  // greatest offset of the axes with smaller strides; the proven reach bounds it
  for (int i = 0; i < count; ++i) {
    if (axes[i].stride <= inside) [[unlikely]]
      return Error::invalid_problem(
          fmt::format("{}: {} may overlap itself: the stride {} of axis {} does not step over the {} elements inside",
                      plan_, field, view.strides[axes[i].index], axes[i].index, inside + 1));
    inside += static_cast<std::uint64_t>(view.shape[axes[i].index] - 1) * axes[i].stride;
  }
  return {};
}

Result<void> ArgChecker::contiguous_rows(std::string_view field, const TensorRef& view) const {
  const int inner = view.rank() - 1;
  if (inner < 0 || view.shape[inner] <= 1 || view.strides[inner] == 1) [[likely]]
    return {};
  return Error::unsupported(
      fmt::format("{}: {}.strides[{}] is {}, expected 1", plan_, field, inner, view.strides[inner]));
}

Result<void> ArgChecker::separate_rows(std::string_view field, const TensorRef& matrix) const {
  assert(matrix.rank() == 2 && "a matrix");
  if (matrix.shape[0] == 0 || matrix.shape[1] == 0) return {};
  BARACUDA_RETURN_IF_ERROR(contiguous_rows(field, matrix));
  if (matrix.shape[0] == 1 || matrix.strides[0] >= matrix.shape[1]) [[likely]]
    return {};
  return Error::unsupported(fmt::format("{}: {}.strides[0] is {}, expected at least {}, the length of a row", plan_,
                                        field, matrix.strides[0], matrix.shape[1]));
}

Result<void> ArgChecker::contiguous(std::string_view field, const TensorRef& view) const {
  const Dims expected = contiguous_strides(view.shape);
  for (std::int64_t extent : view.shape)
    if (extent == 0) return {};
  for (int axis = 0; axis < view.shape.size(); ++axis)
    if (view.shape[axis] > 1 && view.strides[axis] != expected[axis]) [[unlikely]]
      return Error::unsupported(fmt::format("{}: {}.strides is {}, expected {}, a contiguous tensor", plan_, field,
                                            view.strides.to_string(), expected.to_string()));
  return {};
}

Result<void> ArgChecker::disjoint(NamedReach output, NamedReach other) const {
  if (!output.reach.overlaps(other.reach)) [[likely]]
    return {};
  return Error::invalid_problem(
      fmt::format("{}: {} and {} overlap in memory, expected disjoint byte ranges", plan_, output.field, other.field));
}

Result<void> ArgChecker::workspace(const Workspace& workspace, std::int64_t needed_bytes) const {
  if (needed_bytes == 0) return {};
  if (workspace.data() == nullptr || workspace.bytes() < needed_bytes) [[unlikely]] {
    const std::int64_t got = workspace.data() == nullptr ? 0 : workspace.bytes();
    return Error::workspace_too_small(
        fmt::format("{}: workspace has {} bytes, expected at least {}", plan_, got, needed_bytes), needed_bytes, got);
  }
  BARACUDA_RETURN_IF_ERROR(device("workspace", workspace.device()));
  const auto address = reinterpret_cast<std::uintptr_t>(workspace.data());
  if (address % kWorkspaceAlignment) [[unlikely]]
    return Error::misaligned(
        fmt::format("{}: workspace is at {:#x}, expected a multiple of {} bytes", plan_, address, kWorkspaceAlignment));
  return {};
}

}  // namespace baracuda

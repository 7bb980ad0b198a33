#include "baracuda/capi/tensor_view.h"

#include <fmt/core.h>

#include <optional>
#include <span>

#include "baracuda/capi/element_types.h"
#include "baracuda/core/propagate.h"

namespace baracuda::capi {
namespace {

std::optional<Element> element_of(DLDataType type) {
  if (type.lanes != 1) return std::nullopt;
  for (const ElementType& each : kElementTypes)
    if (type.code == each.code && type.bits == each.bits) return each.element;
  return std::nullopt;
}

std::optional<Device> device_of(DLDevice device, Device plan_device) {
  switch (device.device_type) {
    case kDLCPU: return Device::cpu();
    case kDLCUDA: return Device::cuda(device.device_id);
    case kDLCUDAHost:
    case kDLCUDAManaged: return plan_device;  // either side reads and writes it
    default: return std::nullopt;
  }
}

Error invalid(const TensorField& field, std::string_view what) {
  return Error::invalid_problem(fmt::format("{}: {}{}", field.op, field.field, what));
}

}  // namespace

Result<TensorMut> tensor_view(const TensorField& field, const DLTensor& tensor) {
  TensorMut view;
  const std::optional<Device> device = device_of(tensor.device, field.device);
  if (!device) [[unlikely]]
    return invalid(field, fmt::format(" is on a device of DLPack's type {}, expected 1 (CPU), 2 (CUDA), 3 (CUDA host) "
                                      "or 13 (CUDA managed)",
                                      static_cast<int>(tensor.device.device_type)));
  view.device = *device;

  const std::optional<Element> element = element_of(tensor.dtype);
  if (!element) [[unlikely]]
    return Error::unsupported(
        fmt::format("{}: {} has DLPack's dtype code {} with {} bits and {} lanes, which is no element kind", field.op,
                    field.field, tensor.dtype.code, tensor.dtype.bits, tensor.dtype.lanes));
  view.element = *element;

  if (tensor.ndim < 0) [[unlikely]]
    return invalid(field, fmt::format(".ndim is {}, expected 0 to {}", tensor.ndim, kMaxRank));
  const auto rank = static_cast<std::size_t>(tensor.ndim);
  if (rank > 0 && tensor.shape == nullptr) [[unlikely]]
    return invalid(field, fmt::format(".shape is NULL, expected {} extents", rank));
  view.shape = Dims(std::span(tensor.shape, rank));
  view.strides = tensor.strides ? Dims(std::span(tensor.strides, rank)) : contiguous_strides(view.shape);
  for (int axis = 0; axis < view.shape.size(); ++axis)
    if (view.shape[axis] < 0) [[unlikely]]
      return invalid(field, fmt::format(".shape[{}] is {}, expected at least 0", axis, view.shape[axis]));

  if (tensor.data == nullptr) return view;  // an empty tensor's may be
  const auto base = reinterpret_cast<std::uintptr_t>(tensor.data);
  std::uintptr_t begin;
  std::optional<ByteRange> reach;
  if (!__builtin_add_overflow(base, tensor.byte_offset, &begin)) {
    view.data = reinterpret_cast<void*>(begin);
    reach = reached_bytes(view.data, view.element, view.shape, view.strides);
  }
  if (!reach) [[unlikely]]
    return invalid(field, fmt::format(", shape {} with strides {} and byte_offset {}, reaches outside the address "
                                      "space",
                                      view.shape.to_string(), view.strides.to_string(), tensor.byte_offset));
  view.buffer = *reach;
  return view;
}

Result<VectorMut> vector_view(const TensorField& field, const DLTensor& tensor) {
  BARACUDA_ASSIGN_OR_RETURN(const TensorMut view, tensor_view(field, tensor));
  if (view.rank() != 1) [[unlikely]]
    return invalid(field, fmt::format(".ndim is {}, expected 1", view.rank()));
  if (view.shape[0] > 1 && view.strides[0] != 1) [[unlikely]]
    return Error::unsupported(
        fmt::format("{}: {}.strides[0] is {}, expected 1", field.op, field.field, view.strides[0]));
  return VectorMut{{view.data, view.element, view.shape[0], view.device, view.buffer}};
}

}  // namespace baracuda::capi

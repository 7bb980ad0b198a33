#include "python/src/operand.h"

#include "python/src/error.h"

namespace nb = nanobind;

namespace baracuda::python {
namespace {

bool is_tensor(const DLTensor& tensor) {
  return tensor.ndim == 0 || (tensor.ndim > 0 && tensor.ndim <= 8 && tensor.shape != nullptr);
}

bool is_row_major(const DLTensor& tensor) {
  if (tensor.strides == nullptr) return true;
  std::int64_t stride = 1;
  for (int axis = tensor.ndim - 1; axis >= 0; --axis) {
    if (tensor.shape[axis] <= 1) continue;
    if (tensor.strides[axis] != stride || __builtin_mul_overflow(stride, tensor.shape[axis], &stride)) return false;
  }
  return true;
}

/// −1 where it overflows, or an extent is negative.
std::int64_t num_elements(const std::int64_t* shape, int rank) {
  std::int64_t product = 1;
  for (int axis = 0; axis < rank; ++axis)
    if (shape[axis] < 0 || __builtin_mul_overflow(product, shape[axis], &product)) return -1;
  return product;
}

/// As the C ABI has it for tensors.
bool is_used_by(std::optional<int> ordinal, DLDevice device) {
  switch (device.device_type) {
    case kDLCPU: return !ordinal;
    case kDLCUDA: return ordinal == device.device_id;
    case kDLCUDAHost:
    case kDLCUDAManaged: return true;
    default: return false;
  }
}

}  // namespace

Operand::Operand(ArgName name, nb::handle object, bool written, const RunsOn& place) {
  const Reinterpreted* as = nullptr;
  if (nb::try_cast(object, as) && as) object = as->tensor;
  memory_ = ManagedTensor::borrow(name, object, written, place);
  tensor_ = memory_.tensor();
  if (as) reinterpret(name, *as);
}

std::span<std::byte> Operand::contiguous_memory(ArgName name, std::optional<int> ordinal) const {
  if (!is_used_by(ordinal, tensor_.device))
    raise(BARACUDA_INVALID_PROBLEM, "%s: %s is on another device than the plan", name.plan, name.arg);
  const DLDataType type = tensor_.dtype;
  std::int64_t bytes = is_tensor(tensor_) ? num_elements(tensor_.shape, tensor_.ndim) : -1;
  if (bytes < 0 || __builtin_mul_overflow(bytes, type.bits / 8, &bytes) || type.bits % 8 != 0 || type.lanes != 1 ||
      !is_row_major(tensor_))
    raise(BARACUDA_INVALID_PROBLEM, "%s: %s is to be row-major without gaps, of elements of whole bytes", name.plan,
          name.arg);
  std::uintptr_t begin, end;
  if ((tensor_.data == nullptr && bytes > 0) ||
      __builtin_add_overflow(reinterpret_cast<std::uintptr_t>(tensor_.data), tensor_.byte_offset, &begin) ||
      __builtin_add_overflow(begin, bytes, &end))
    raise(BARACUDA_INVALID_PROBLEM, "%s: %s is outside the address space", name.plan, name.arg);
  return {reinterpret_cast<std::byte*>(begin), static_cast<std::size_t>(bytes)};
}

void Operand::reinterpret(ArgName name, const Reinterpreted& as) {
  const int bits = tensor_.dtype.bits * tensor_.dtype.lanes;
  if (bits != (as.dtype.bits == 4 ? 8 : as.dtype.bits))
    raise(BARACUDA_INVALID_PROBLEM, "%s: %s is a view of elements of %d bits, which cannot be read as ones of %d",
          name.plan, name.arg, bits, as.dtype.bits);
  tensor_.dtype = as.dtype;
  if (!is_tensor(tensor_)) return;  // the C ABI refuses it
  if (as.dtype.bits == 4)
    make_pairs(name, as);
  else if (as.shape)
    raise(BARACUDA_INVALID_PROBLEM, "%s: %s is a view with a shape of its own, which only 4-bit elements have",
          name.plan, name.arg);
}

void Operand::make_pairs(ArgName name, const Reinterpreted& as) {
  if (as.shape) {
    const std::int64_t num_bytes = num_elements(tensor_.shape, tensor_.ndim);
    const std::int64_t num_nibbles = num_elements(as.shape->data(), static_cast<int>(as.shape->size()));
    if (!is_row_major(tensor_) || num_bytes < 0 || num_nibbles < 0 || num_nibbles / 2 + num_nibbles % 2 != num_bytes)
      raise(BARACUDA_INVALID_PROBLEM,
            "%s: %s is a view with a shape of %lld 4-bit elements, two in a byte, for which it needs as many bytes in "
            "row-major order; it has %lld%s",
            name.plan, name.arg, static_cast<long long>(num_nibbles), static_cast<long long>(num_bytes),
            is_row_major(tensor_) ? "" : " with gaps or in another order");
    shape_ = *as.shape;
    tensor_.strides = nullptr;
  } else {
    const int last = tensor_.ndim - 1;
    if (last < 0 || (tensor_.strides && tensor_.shape[last] > 1 && tensor_.strides[last] != 1))
      raise(BARACUDA_INVALID_PROBLEM,
            "%s: %s is a view of 4-bit elements, for which the bytes of the last axis are to "
            "be neighbours",
            name.plan, name.arg);
    shape_.assign(tensor_.shape, tensor_.shape + tensor_.ndim);
    bool fits = !__builtin_mul_overflow(shape_[last], 2, &shape_[last]);
    if (tensor_.strides) {
      strides_.assign(tensor_.strides, tensor_.strides + tensor_.ndim);
      for (std::int64_t& stride : strides_) fits &= !__builtin_mul_overflow(stride, 2, &stride);
      strides_[last] = 1;
      tensor_.strides = strides_.data();
    }
    if (!fits) raise(BARACUDA_INVALID_PROBLEM, "%s: %s is a view of 2^63 elements or more", name.plan, name.arg);
  }
  tensor_.shape = shape_.data();
  tensor_.ndim = static_cast<std::int32_t>(shape_.size());
}

}  // namespace baracuda::python

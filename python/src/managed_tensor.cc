#include "python/src/managed_tensor.h"

#include "python/src/error.h"
#include "python/src/values.h"

namespace nb = nanobind;

namespace baracuda::python {
namespace {

/// The producer's stream protocol gives 0 no meaning, and 1 to the legacy default stream, whose handle is null.
std::uintptr_t dlpack_stream(std::uintptr_t handle) { return handle == 0 ? 1 : handle; }

nb::object ask_for_capsule(nb::handle object, const nb::dict& stream) {
  nb::dict keywords;
  keywords.update(stream);
  keywords["max_version"] = nb::make_tuple(DLPACK_MAJOR_VERSION, DLPACK_MINOR_VERSION);
  keywords["copy"] = false;
  const nb::object method = object.attr("__dlpack__");
  try {
    return method(**keywords);
  } catch (const nb::python_error& error) {
    if (!error.matches(PyExc_TypeError)) throw;
  }
  return method(**stream);  // a producer from before DLPack 1.0
}

nb::object class_name(nb::handle object) { return object.type().attr("__name__"); }

}  // namespace

ManagedTensor ManagedTensor::borrow(ArgName name, nb::handle object, bool written, bool on_cuda,
                                    std::uintptr_t cuda_stream) {
  if (!nb::hasattr(object, "__dlpack__") || !nb::hasattr(object, "__dlpack_device__"))
    raise_type_error("%s: %s is a %U, which has no __dlpack__", name.plan, name.arg, class_name(object).ptr());

  nb::dict stream;
  const std::int64_t device = integer(nb::object(object.attr("__dlpack_device__")()[0]));
  if (on_cuda && (device == kDLCUDA || device == kDLCUDAManaged)) stream["stream"] = dlpack_stream(cuda_stream);
  const nb::object capsule = ask_for_capsule(object, stream);

  ManagedTensor result;
  if (PyCapsule_IsValid(capsule.ptr(), "dltensor_versioned")) {
    result.versioned_ =
        static_cast<DLManagedTensorVersioned*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor_versioned"));
    PyCapsule_SetName(capsule.ptr(), "used_dltensor_versioned");
    if (const unsigned major = result.versioned_->version.major; major != DLPACK_MAJOR_VERSION)
      raise(BARACUDA_UNSUPPORTED, "%s: %s comes as DLPack %u, version %d is understood", name.plan, name.arg, major,
            DLPACK_MAJOR_VERSION);
  } else if (PyCapsule_IsValid(capsule.ptr(), "dltensor")) {
    result.legacy_ = static_cast<DLManagedTensor*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor"));
    PyCapsule_SetName(capsule.ptr(), "used_dltensor");
  } else {
    raise_type_error("%s: __dlpack__ of %s gave no DLPack capsule, or one that was used before", name.plan, name.arg);
  }

  if (written && result.has_flag(DLPACK_FLAG_BITMASK_READ_ONLY))
    raise(BARACUDA_INVALID_PROBLEM, "%s: %s is written, but the %U given is read-only", name.plan, name.arg,
          class_name(object).ptr());
  if (written && result.has_flag(DLPACK_FLAG_BITMASK_IS_COPIED))
    raise(BARACUDA_INVALID_PROBLEM, "%s: %s is written, but the %U given lends a copy of itself", name.plan, name.arg,
          class_name(object).ptr());
  if (result.tensor().dtype.bits < 8 && result.has_flag(DLPACK_FLAG_BITMASK_IS_SUBBYTE_TYPE_PADDED))
    raise(BARACUDA_UNSUPPORTED, "%s: %s has elements of %d bits padded to bytes, packed ones are served", name.plan,
          name.arg, result.tensor().dtype.bits);
  return result;
}

ManagedTensor::~ManagedTensor() {
  if (versioned_ && versioned_->deleter) versioned_->deleter(versioned_);
  if (legacy_ && legacy_->deleter) legacy_->deleter(legacy_);
}

}  // namespace baracuda::python

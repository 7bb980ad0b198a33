#include "python/src/managed_tensor.h"

#include <limits>
#include <string>

#include "python/src/error.h"
#include "python/src/stream.h"
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
  nb::object refusal;
  try {
    return method(**keywords);
  } catch (const nb::python_error& error) {
    if (!error.matches(PyExc_TypeError)) throw;
    refusal = nb::borrow(error.value());
  }
  try {
    return method(**stream);  // a producer from before DLPack 1.0
  } catch (const nb::python_error& error) {
    // Which of the two tells what is wrong, only a reader can see.
    if (!error.value().is(refusal)) PyException_SetContext(error.value().ptr(), refusal.release().ptr());
    throw;
  }
}

/// A str, whatever a metaclass makes of __name__.
nb::object class_name(nb::handle object) {
  return checked_object(PyType_GetName(reinterpret_cast<PyTypeObject*>(object.type().ptr())));
}

/// The GPU that `device`, of __dlpack_device__, names.
int ordinal_of(ArgName name, nb::handle device) {
  const std::int64_t ordinal = integer(nb::object(device[1]));
  if (ordinal < 0 || ordinal > std::numeric_limits<int>::max())
    raise(BARACUDA_INVALID_PROBLEM, "%s: %s is on the GPU %lld", name.plan, name.arg, static_cast<long long>(ordinal));
  return static_cast<int>(ordinal);
}

}  // namespace

ManagedTensor ManagedTensor::borrow(ArgName name, nb::handle object, bool written, const RunsOn& place) {
  if (!nb::hasattr(object, "__dlpack__") || !nb::hasattr(object, "__dlpack_device__"))
    raise_type_error("%s: %s is a %U, which has no __dlpack__", name.plan, name.arg, class_name(object).ptr());

  if (written && nb::cast<bool>(nb::module_::import_("baracuda._packages").attr("is_immutable")(object)))
    raise(BARACUDA_INVALID_PROBLEM, "%s: %s is written, but the %U given is jax's, which never change", name.plan,
          name.arg, class_name(object).ptr());

  nb::dict stream;
  const nb::object device = object.attr("__dlpack_device__")();
  const std::int64_t device_type = integer(nb::object(device[0]));
  if (device_type == kDLCUDA) {
    // Its producer would take the plan's stream for one of its own GPU's.
    if (const int ordinal = ordinal_of(name, device); place.ordinal != ordinal)
      raise(BARACUDA_INVALID_PROBLEM, "%s: %s is on cuda:%d, expected %s%s", name.plan, name.arg, ordinal,
            place.ordinal ? "cuda:" : "cpu", place.ordinal ? std::to_string(*place.ordinal).c_str() : "");
    stream["stream"] = dlpack_stream(place.cuda_stream);
  } else if (device_type == kDLCUDAManaged) {
    stream["stream"] = dlpack_stream(place.ordinal ? place.cuda_stream : 0);
  }
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
  // Its producer has made a stream wait, not the host.
  if (device_type == kDLCUDAManaged && !place.ordinal) wait_for_default_stream(ordinal_of(name, device));
  return result;
}

ManagedTensor::~ManagedTensor() {
  if (versioned_ && versioned_->deleter) versioned_->deleter(versioned_);
  if (legacy_ && legacy_->deleter) legacy_->deleter(legacy_);
}

}  // namespace baracuda::python

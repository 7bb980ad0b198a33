#include "python/src/values.h"

namespace nb = nanobind;

namespace baracuda::python {

nb::object checked_object(PyObject* result) {
  if (result == nullptr) throw nb::python_error();
  return nb::steal(result);
}

std::int64_t integer(nb::handle value) {
  const std::int64_t result = PyLong_AsLongLong(checked_object(PyNumber_Index(value.ptr())).ptr());
  if (result == -1 && PyErr_Occurred()) throw nb::python_error();
  return result;
}

}  // namespace baracuda::python

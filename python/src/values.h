#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>

namespace baracuda::python {

/// What a function of Python's gave; null raises the exception that it left.
nanobind::object checked_object(PyObject* result);

/// Of whatever counts as a whole number: Python's, numpy's, an enumerator. Raises TypeError and OverflowError.
std::int64_t integer(nanobind::handle value);

}  // namespace baracuda::python

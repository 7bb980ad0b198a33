#include "python/src/struct_writer.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "python/src/error.h"
#include "python/src/values.h"

namespace nb = nanobind;

namespace baracuda::python {
namespace {

double real(nb::handle value) {
  const double result = PyFloat_AsDouble(value.ptr());
  if (result == -1 && PyErr_Occurred()) throw nb::python_error();
  return result;
}

baracuda_dims dims(nb::handle value) {
  const nb::object sizes = checked_object(PySequence_Tuple(value.ptr()));
  baracuda_dims result = {};
  result.rank = static_cast<std::int64_t>(nb::len(sizes));  // more than there is room for are the plan's to refuse
  for (std::size_t axis = 0; axis < std::min(nb::len(sizes), std::size(result.sizes)); ++axis)
    result.sizes[axis] = integer(nb::object(sizes[axis]));
  return result;
}

const char* text(nb::handle value) {
  Py_ssize_t length;
  const char* result = PyUnicode_AsUTF8AndSize(value.ptr(), &length);
  if (result == nullptr) throw nb::python_error();
  if (std::strlen(result) != static_cast<std::size_t>(length)) throw nb::value_error("a name with a null character");
  return result;
}

const char* expected(Kind kind) {
  switch (kind) {
    case Kind::Flag: return "a bool";
    case Kind::Integer: return "an integer of 64 bits";
    case Kind::Real: return "a number";
    case Kind::Dims: return "a sequence of integers of 64 bits";
    case Kind::Name: return "a string";
    case Kind::View: return "a tensor";
  }
  return "";
}

template <class T>
void put(void* c_struct, std::size_t offset, T value) {
  std::memcpy(static_cast<char*>(c_struct) + offset, &value, sizeof value);
}

void put_value(const Member& member, nb::handle value, void* c_struct) {
  switch (member.kind) {
    case Kind::Flag: {
      const int truth = PyObject_IsTrue(value.ptr());
      if (truth < 0) throw nb::python_error();
      return put(c_struct, member.offset, baracuda_flag{truth});
    }
    case Kind::Integer: return put(c_struct, member.offset, integer(value));
    case Kind::Real: return put(c_struct, member.offset, real(value));
    case Kind::Dims: return put(c_struct, member.offset, dims(value));
    case Kind::Name: return put(c_struct, member.offset, text(value));
    case Kind::View: break;  // write_view does it
  }
}

}  // namespace

void write_member(const char* owner, const Member& member, nb::handle value, void* c_struct) {
  if (value.is_none()) return;
  try {
    put_value(member, value, c_struct);
  } catch (const nb::python_error& error) {
    if (!error.matches(PyExc_TypeError) && !error.matches(PyExc_OverflowError)) throw;
    raise_type_error("%s: %s must be %s, not %R", owner, member.name, expected(member.kind), value.ptr());
  }
  if (member.flag_offset != kNoFlag) put(c_struct, member.flag_offset, baracuda_flag{1});
}

void write_view(const Member& member, const DLTensor* tensor, void* c_struct) { put(c_struct, member.offset, tensor); }

}  // namespace baracuda::python

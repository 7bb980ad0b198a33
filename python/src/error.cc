#include "python/src/error.h"

#include <nanobind/nanobind.h>

#include <cstdarg>
#include <cstring>

#include "python/src/values.h"

namespace nb = nanobind;

namespace baracuda::python {
namespace {

nb::object formatted(const char* format, std::va_list arguments) {
  return checked_object(PyUnicode_FromFormatV(format, arguments));  // %R raises what a __repr__ does
}

[[noreturn]] void raise(baracuda_status status, nb::handle message, std::int64_t needed, std::int64_t got,
                        std::int64_t code) {
  const nb::object type = nb::module_::import_("baracuda._errors").attr(baracuda_status_name(status));
  PyErr_SetObject(type.ptr(), type(message, needed, got, code).ptr());
  throw nb::python_error();
}

}  // namespace

void check(baracuda_status status) {
  if (status == BARACUDA_OK) return;
  // Whatever bytes of the caller's the message quotes.
  const char* message = baracuda_last_error_message();
  const auto text = nb::steal(PyUnicode_DecodeUTF8(message, static_cast<Py_ssize_t>(std::strlen(message)), "replace"));
  raise(status, text, baracuda_last_error_needed(), baracuda_last_error_got(), baracuda_last_error_code());
}

void raise(baracuda_status status, const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  const nb::object message = formatted(format, arguments);
  va_end(arguments);
  raise(status, message, 0, 0, 0);
}

void raise_type_error(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  const nb::object message = formatted(format, arguments);
  va_end(arguments);
  PyErr_SetObject(PyExc_TypeError, message.ptr());
  throw nb::python_error();
}

}  // namespace baracuda::python

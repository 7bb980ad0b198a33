#pragma once

#include "baracuda/capi/baracuda_c.h"

namespace baracuda::python {

/// Raises the exception of a status that is not 0, with the calling thread's last error. With the GIL.
void check(baracuda_status status);

/// Raises the exception of `status`, for what is wrong before the C ABI sees it. `format` is PyUnicode_FromFormat's.
[[noreturn]] void raise(baracuda_status status, const char* format, ...);

/// Raises TypeError.
[[noreturn]] void raise_type_error(const char* format, ...);

}  // namespace baracuda::python

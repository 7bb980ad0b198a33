#pragma once

#include <nanobind/nanobind.h>

#include "python/src/op.h"

namespace baracuda::python {

/// Puts a Python value into a member of a C struct, which is at its default; None leaves it there. `owner` is what
/// messages call the struct. Raises TypeError. A Name points into `value`.
void write_member(const char* owner, const Member& member, nanobind::handle value, void* c_struct);

/// Puts a tensor into a member that is a view.
void write_view(const Member& member, const DLTensor* tensor, void* c_struct);

}  // namespace baracuda::python

#pragma once

#include <cstdint>
#include <memory>

#include "baracuda/capi/baracuda_c.h"

namespace baracuda::python {

using Stream = std::shared_ptr<baracuda_stream>;

/// Both raise what the C ABI refuses. With the GIL.
Stream cpu_stream(int num_threads);
Stream adopted_stream(std::uintptr_t handle, int ordinal);

/// Waits, without the GIL, until a GPU's legacy default stream is done. Raises what the C ABI refuses.
void wait_for_default_stream(int ordinal);

}  // namespace baracuda::python

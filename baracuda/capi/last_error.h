#pragma once

#include "baracuda/capi/baracuda_c.h"
#include "baracuda/core/result.h"

namespace baracuda::capi {

/// Makes an error what the functions baracuda_last_error_… tell on this thread, and returns its status.
baracuda_status keep_last_error(const Error& error) noexcept;

}  // namespace baracuda::capi

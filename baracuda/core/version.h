#pragma once

#include <string_view>

#include "baracuda/core/export.h"

namespace baracuda {

/// "0.1.0": major.minor.patch, semantic versioning.
BARACUDA_API std::string_view version();

}  // namespace baracuda
